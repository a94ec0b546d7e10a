"""A level bar in dBFS with a peak that holds and a warning when samples hit full scale.

The ballistics are fixed steps for each update (20 a second), so that a test needs no clock.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.stats import SILENT_DBFS, Level
from app.ui.theme import theme
from app.ui.view_models import level_text, tr

FLOOR_DBFS: Final = -60.0
HOLD_UPDATES: Final = 30  # 1.5 s
FALL_DB: Final = 1.0  # for each update: 20 dB a second
WARM_DBFS: Final = -9.0


class LevelMeter(QWidget):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._level = Level()
        self._shown_dbfs = SILENT_DBFS
        self._peak_dbfs = SILENT_DBFS
        self._held = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(name)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(140, 10)

    def minimumSizeHint(self) -> QSize:
        return QSize(56, 10)

    @property
    def peak_dbfs(self) -> float:
        """The peak being held."""
        return self._peak_dbfs

    @property
    def clipped(self) -> bool:
        return self._level.clipped

    def set_level(self, level: Level) -> None:
        before = (self._level.clipped, round(self._shown_dbfs), round(self._peak_dbfs))
        self._level = level
        self._shown_dbfs = max(level.rms_dbfs, self._shown_dbfs - 2.0 * FALL_DB, SILENT_DBFS)
        self._held += 1
        if level.peak_dbfs >= self._peak_dbfs:
            self._peak_dbfs, self._held = level.peak_dbfs, 0
        elif self._held > HOLD_UPDATES:
            self._peak_dbfs = max(self._peak_dbfs - FALL_DB, SILENT_DBFS)
        if before != (level.clipped, round(self._shown_dbfs), round(self._peak_dbfs)):
            self.update()

    def text(self) -> str:
        return level_text(self._level.rms_dbfs)

    def describe(self) -> None:
        """Refresh what a screen reader says; call it about once a second."""
        warning = tr(", too loud") if self._level.clipped else ""
        text = tr("{0}: level {1}, peak {2}{3}").format(
            self._name, level_text(self._level.rms_dbfs), level_text(self._peak_dbfs), warning
        )
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)
            self.setToolTip(text)

    def _x(self, dbfs: float) -> float:
        share = (min(0.0, max(FLOOR_DBFS, dbfs)) - FLOOR_DBFS) / -FLOOR_DBFS
        return share * self.width()

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        track = QRectF(0, (self.height() - 6) / 2, self.width(), 6)
        painter.setBrush(QColor(colours.border))
        painter.drawRoundedRect(track, 3, 3)
        filled = self._x(self._shown_dbfs)
        if filled > 1.0:
            warm = self._shown_dbfs > WARM_DBFS
            painter.setBrush(QColor(colours.warn if warm else colours.accent))
            painter.drawRoundedRect(QRectF(track.left(), track.top(), filled, 6), 3, 3)
        if self._peak_dbfs > FLOOR_DBFS:
            loud = self._level.clipped or self._peak_dbfs > -0.5
            painter.setBrush(QColor(colours.danger if loud else colours.text))
            x = min(self._x(self._peak_dbfs), self.width() - 3.0)
            painter.drawRoundedRect(QRectF(x, track.top() - 2, 3, 10), 1, 1)
        if self._level.clipped:
            painter.setBrush(QColor(colours.danger))
            painter.drawRoundedRect(QRectF(self.width() - 12, track.top() - 1, 12, 8), 3, 3)
        painter.end()
