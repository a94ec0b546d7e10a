"""After a call: why it ended, how long it was, where the recording and its report lie."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QHideEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.stats import CallStats
from app.ui.buttons import IconButton
from app.ui.call_header import Portrait
from app.ui.outside_words import in_user_language
from app.ui.theme import theme
from app.ui.view_models import display_name, duration_text, tr
from app.ui.widgets import GRID, ElidedLabel, label, row, set_text

LOOK_MS: Final = 500  # how often it is looked whether the report is there: it takes seconds
REPORT: Final = "report.html"


def _open(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class EndedPage(QWidget):
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path()
        self.portrait = Portrait(72)
        self.name = ElidedLabel("", "title")
        self.name.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.words = label("", "muted", wrap=True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.figures = label("", "muted", wrap=True)
        self.figures.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.recording = IconButton(tr("Open the recording"), "folder")
        self.recording.clicked.connect(lambda: _open(self._folder))
        self.report = IconButton(tr("Open the report"), "wave")
        self.report.clicked.connect(lambda: _open(self._folder / REPORT))
        self._look = QTimer(self)
        self._look.setInterval(LOOK_MS)
        self._look.timeout.connect(self._look_for_report)
        self.back = IconButton(tr("Done"), "check", "primary")
        self.back.clicked.connect(self.left)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(GRID)
        layout.addStretch(2)
        layout.addWidget(self.portrait, 0, Qt.AlignmentFlag.AlignHCenter)
        for part in (self.name, self.words, self.figures):
            layout.addWidget(part)
        layout.addSpacing(2 * GRID)
        layout.addLayout(row(None, self.recording, self.report, self.back, None))
        layout.addStretch(3)
        for zone in (self.recording, self.report, self.back):
            theme().dress(zone)

    def show_stats(self, stats: CallStats) -> None:
        met = bool(stats.peer_name) or stats.seconds > 0
        self.name.set_full_text(display_name(stats.peer_name) if met else tr("No call"))
        self.portrait.show_person(stats.peer_name, False)
        words = tr("Call ended after {0}").format(duration_text(stats.seconds))
        if stats.seconds <= 0:
            words = tr("The call did not come about.")
        notice = in_user_language(stats.notice)
        set_text(self.words, f"{words}\n{notice}" if notice else words)
        figures = ""
        if stats.events_received:
            figures = tr("{0} phonemes came, {1} never did").format(
                stats.events_received, stats.events_lost
            )
        set_text(self.figures, figures)
        path = Path(stats.recording_path) if stats.recording_path else None
        recorded = path is not None and path.exists()
        if path is not None:
            self._folder = path if path.is_dir() else path.parent
        self.recording.setVisible(recorded)
        self.report.setVisible(False)
        if recorded:
            self._look_for_report()
            self._look.start()

    def _look_for_report(self) -> None:
        if (self._folder / REPORT).is_file():
            self.report.setVisible(True)
            self._look.stop()

    def hideEvent(self, event: QHideEvent) -> None:
        if not event.spontaneous():  # left, not minimised
            self._look.stop()
        super().hideEvent(event)
