"""One line over the call: a notice, or the other side's wish to record with yes and no."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout

from app.stats import CallStats
from app.ui.buttons import IconButton
from app.ui.view_models import display_name, tr
from app.ui.widgets import label, set_text


class NoticeBar(QFrame):
    """Says why something is as it is; a notice that was closed stays closed until it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "notice")
        self._closed = ""
        self.text = label("", wrap=True)
        self.close_button = IconButton("", "close", "quiet", size=16)
        self.close_button.setAccessibleName(tr("Close this notice"))
        self.close_button.clicked.connect(self._close)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 4, 4, 4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.close_button)
        self.hide()

    def show_text(self, text: str) -> None:
        if not text:
            self._closed = ""
        set_text(self.text, text)
        self.text.setAccessibleName(text)
        visible = bool(text) and text != self._closed
        if self.isHidden() == visible:
            self.setVisible(visible)

    def _close(self) -> None:
        self._closed = self.text.text()
        self.hide()


class ConsentBar(QFrame):
    """Both sides see this before anything is written down."""

    agreed = Signal()
    refused = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "alert")
        self.text = label("", wrap=True)
        self.agree = IconButton(tr("Agree"), "record", "primary")
        self.refuse = IconButton(tr("Refuse"), "close")
        self.agree.clicked.connect(self.agreed)
        self.refuse.clicked.connect(self.refused)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.refuse)
        layout.addWidget(self.agree)
        self.hide()

    def show_stats(self, stats: CallStats) -> None:
        name = display_name(stats.peer_name)
        asked = stats.recording == "asked"
        if asked:
            set_text(self.text, tr("{0} asks to record this call. Do you agree?").format(name))
        elif stats.recording == "asking":
            set_text(self.text, tr("Waiting for {0} to agree to a recording …").format(name))
        visible = stats.recording in ("asked", "asking")
        set_text(self.refuse, tr("Refuse") if asked else tr("Take back"))
        if self.agree.isHidden() == asked:
            self.agree.setVisible(asked)
        if self.isHidden() == visible:
            self.setVisible(visible)
