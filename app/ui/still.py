"""Widgets that keep a picture of themselves, so that painting the window anew only copies it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QWidget

from app.ui.theme import theme


def clear_picture(size: QSize, ratio: float) -> QPixmap:
    """Transparent; ``size`` in device-independent pixels on a screen of ``ratio``."""
    made = QPixmap(size * ratio)
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    return made


class Still(QWidget):
    """Drawn once for a size and a theme; who changes what ``draw`` shows calls ``redraw``."""

    def __init__(self) -> None:
        super().__init__()
        self._picture = QPixmap()
        theme().changed.connect(self.redraw)

    def draw(self, painter: QPainter) -> None:
        """Everything, antialiased."""

    def redraw(self) -> None:
        self._picture = QPixmap()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.redraw()

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        if self._picture.isNull() or self._picture.devicePixelRatio() != ratio:
            self._picture = clear_picture(self.size(), ratio)
            painter = QPainter(self._picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.draw(painter)
            painter.end()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.end()
