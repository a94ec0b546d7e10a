"""The top of a call: who it is, how it is going, and that the voice is synthetic."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy

from app.call_state import CallState
from app.stats import CallStats
from app.ui.buttons import IconButton
from app.ui.still import Still
from app.ui.theme import text_font, theme
from app.ui.view_models import (
    Quality,
    badge_text,
    display_name,
    duration_text,
    initials,
    judge,
    state_text,
    tr,
)
from app.ui.widgets import ElidedLabel, column, label, row, set_text

LIVE = (CallState.ACTIVE, CallState.RECONNECTING)


class Portrait(Still):
    """A round picture with initials; its ring shows that the peer is talking."""

    def __init__(self, size: int = 44) -> None:
        super().__init__()
        self._letters, self._talking = "?", False
        self.setFixedSize(size, size)

    def show_person(self, name: str, talking: bool) -> None:
        if (initials(name), talking) != (self._letters, self._talking):
            self._letters, self._talking = initials(name), talking
            self.redraw()

    def draw(self, painter: QPainter) -> None:
        colours = theme().palette
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.accent if self._talking else colours.border))
        painter.drawEllipse(QRectF(self.rect()))
        painter.setBrush(QColor(colours.accent_weak))
        painter.drawEllipse(QRectF(self.rect()).adjusted(2, 2, -2, -2))
        painter.setPen(QColor(colours.text))
        painter.setFont(text_font(round(self.height() * 0.36), bold=True))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._letters)


class QualityLight(QPushButton):
    """One light and one word; pressing it opens the details."""

    def __init__(self) -> None:
        super().__init__()
        self._quality = Quality("muted", tr("No call"), "")
        self.setCheckable(True)
        self.setAutoDefault(False)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)
        self.show_quality(self._quality, force=True)

    def sizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance(self.text()) + 52, 36)

    def show_quality(self, quality: Quality, *, force: bool = False) -> None:
        if quality == self._quality and not force:
            return
        self._quality = quality
        self.setText(quality.word)
        self.setToolTip(tr("{0} Press for details (D).").format(quality.reason))
        self.setAccessibleName(tr("Quality: {0}").format(quality.word))
        self.setAccessibleDescription(quality.reason)
        self.updateGeometry()
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        rim = colours.accent if self.isChecked() or self.hasFocus() else colours.border
        painter.setPen(QColor(rim))
        painter.setBrush(QColor(colours.accent_weak if self.isChecked() else colours.surface))
        painter.drawRoundedRect(box, 8, 8)
        if self.hasFocus():
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 7, 7)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(getattr(colours, self._quality.light)))
        painter.drawEllipse(QRectF(13, self.height() / 2 - 5, 10, 10))
        painter.setPen(QColor(colours.text))
        painter.setFont(self.font())
        text = QRectF(31, 0, self.width() - 36, self.height())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.end()


class CallHeader(QFrame):
    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "header")
        self.portrait = Portrait()
        self.name = ElidedLabel("", "title")
        self.state = ElidedLabel("", "muted")
        self.badge = label("", "badge")
        self.badge.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.badge.setToolTip(
            tr("You hear a voice that this computer speaks from the phonemes that arrive.")
        )
        self.recording = label("", "error")
        self.light = QualityLight()
        self.settings = IconButton("", "settings", "quiet")
        self.settings.setAccessibleName(tr("Settings"))
        self.settings.setToolTip(tr("Devices and settings"))
        words = column(self.name, self.state, spacing=0)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(12)
        layout.addWidget(self.portrait)
        layout.addLayout(words, 1)
        layout.addLayout(row(self.recording, self.badge, self.light, self.settings, spacing=12))
        self.badge.hide()
        self.recording.hide()

    def show_stats(self, stats: CallStats, blind: bool) -> None:
        known = stats.peer_name or stats.state in LIVE
        name = display_name(stats.peer_name) if known else tr("Calling …")
        self.name.set_full_text(name)
        self.portrait.show_person(stats.peer_name, stats.far_talking)
        state = state_text(stats.state)
        if stats.state in LIVE:
            state = f"{duration_text(stats.seconds)}  ·  {state}"
        self.state.set_full_text(state)
        badge = badge_text(stats, blind)
        set_text(self.badge, badge)
        self.badge.setAccessibleName(badge)
        self.badge.setVisible(bool(badge))
        recording = ""
        if stats.recording == "on":
            recording = tr("● Recording {0}").format(duration_text(stats.recording_seconds))
        elif stats.recording == "failed":
            recording = tr("● They may record")
        set_text(self.recording, recording)
        self.recording.setVisible(bool(recording))
        self.light.show_quality(judge(stats, blind))
