"""A plot of the last minute in the window's colours, drawn into a picture in a turn of its own.

Painting copies the picture, so a window that is painted anew for whatever reason waits for no plot.
pyqtgraph draws the curves; its axes and scenes take some milliseconds a plot and are left out. How
a curve is drawn decides whether that is quick: one thick smooth path through 240 restless points
takes Qt up to 15 ms, through calm ones less than 2 ms. Restless curves are drawn as short lines,
dotted ones thin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QShowEvent,
    QTransform,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app.ui.history import SECONDS
from app.ui.still import Still, clear_picture
from app.ui.theme import text_font, theme
from app.ui.view_models import tr
from app.ui.widgets import label
from engine.events import Pcm

Ticks = Sequence[tuple[float, str]]
RESTLESS_PX: Final = 1000.0  # that a curve goes up and down in all
EARLIEST_S: Final = -SECONDS - 4.0  # at the left edge, with room for a caption
LATEST_S: Final = 2.0
LEFT_PX: Final = 46  # for what stands beside the plot
BOTTOM_PX: Final = 18  # and below it
TOP_PX: Final = 4


class _Curve:
    """A line and its look."""

    def __init__(self, colour: str, dashed: bool) -> None:
        self.item: Any = pg.PlotCurveItem(connect="finite", antialias=True)
        self._colour, self._dashed = colour, dashed
        self._way = 0.0  # up and down, in units of y

    def set(self, x: Pcm, y: Pcm) -> None:
        if np.isfinite(y).any():
            self._way = float(np.nansum(np.abs(np.diff(y))))
            self.item.setData(x, y)
        else:
            self.item.clear()

    def paint(self, painter: QPainter, y_scale: float) -> None:
        """``y_scale``: pixels to a unit of y."""
        restless = self._way * y_scale > RESTLESS_PX
        self.item.setSegmentedLineMode("on" if restless and not self._dashed else "off")
        style = Qt.PenStyle.DotLine if self._dashed else Qt.PenStyle.SolidLine
        width = (1.0 if restless else 1.5) if self._dashed else 2.0
        ink = getattr(theme().palette, self._colour)
        self.item.setPen(pg.mkPen(ink, width=width, style=style))
        self.item.paint(painter, None, None)


class TimePlot(QWidget):
    """Curves over the last 60 s; the y range and its ticks are given."""

    def __init__(
        self, low: float, high: float, ticks: Ticks, name: str, *, times: bool = True
    ) -> None:
        """``times``: with captions below; a plot above another one needs none."""
        super().__init__()
        self._low, self._high, self._ticks, self._times = low, high, ticks, times
        self._curves: dict[str, _Curve] = {}
        self._ground = self._picture = QPixmap()
        self._later = QTimer(self)  # several changes of a turn cost one drawing
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._draw)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(64)
        self.setMinimumWidth(120)
        theme().changed.connect(self._start_over)

    def sizeHint(self) -> QSize:
        return QSize(320, 150)

    def add_curve(self, key: str, colour: str, *, dashed: bool = False) -> None:
        """``colour`` names a field of the palette."""
        self._curves[key] = _Curve(colour, dashed)

    def set_curve(self, key: str, x: Pcm, y: Pcm) -> None:
        self._curves[key].set(x, y)
        self._later.start(0)

    def _start_over(self) -> None:
        """Another size or other colours: what lies below the curves changes too."""
        self._ground = QPixmap()
        self._later.start(0)

    def _draw(self) -> None:
        if not self.isVisible():
            return
        if self._ground.isNull():
            self._ground = self._drawn_ground()
        area = self._area()
        x_scale = area.width() / (LATEST_S - EARLIEST_S)
        y_scale = area.height() / (self._high - self._low)
        placed = QTransform.fromTranslate(area.left(), area.bottom())
        placed.scale(x_scale, -y_scale).translate(-EARLIEST_S, -self._low)
        self._picture = self._ground.copy()
        painter = QPainter(self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(area)
        painter.setTransform(placed, combine=True)
        for curve in self._curves.values():
            curve.paint(painter, y_scale)
        painter.end()
        self.update()

    def _area(self) -> QRectF:
        """Where the curves are."""
        below = BOTTOM_PX if self._times else 0
        return QRectF(self.rect()).adjusted(LEFT_PX, TOP_PX, -2.0, -below - 1.0)

    def _drawn_ground(self) -> QPixmap:
        """The lines and captions behind the curves."""
        colours, area = theme().palette, self._area()
        picture = clear_picture(self.size(), self.devicePixelRatioF())
        painter = QPainter(picture)
        painter.setFont(text_font(11))
        rim, ink = QColor(colours.border), QColor(colours.muted)
        painter.setPen(rim)
        painter.drawLine(area.topLeft(), area.bottomLeft())
        if self._times:
            painter.drawLine(area.bottomLeft(), area.bottomRight())
        height = painter.fontMetrics().height()
        for value, text in self._ticks:
            share = (value - self._low) / (self._high - self._low)
            y = round(area.bottom() - share * area.height())
            painter.setPen(rim)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(ink)
            beside = QRectF(0.0, y - height / 2, LEFT_PX - 4.0, height)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(beside, flags, text)
        for second, text in _captions() if self._times else ():
            x = area.left() + (second - EARLIEST_S) / (LATEST_S - EARLIEST_S) * area.width()
            below = QRectF(x - 40.0, area.bottom() + 1.0, 80.0, BOTTOM_PX)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, text)
        painter.end()
        return picture

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._later.start(0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._start_over()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.end()


def _captions() -> Ticks:
    return ((-60.0, tr("−60 s")), (-30.0, tr("−30 s")), (-2.0, tr("now")))


class LineSample(Still):
    """A short stretch of a curve's line, for a legend."""

    def __init__(self, colour: str, *, dashed: bool = False) -> None:
        super().__init__()
        self._colour, self._dashed = colour, dashed
        self.setFixedSize(20, 12)

    def draw(self, painter: QPainter) -> None:
        style = Qt.PenStyle.DotLine if self._dashed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(QColor(getattr(theme().palette, self._colour)), 2.0, style))
        painter.drawLine(QPointF(1.0, 6.0), QPointF(19.0, 6.0))


def figure(text: str = "–") -> QLabel:
    """A number beside a plot."""
    made = label(text, "value")
    made.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return made
