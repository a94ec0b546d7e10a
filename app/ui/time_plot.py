"""A plot of the last minute in the window's colours: pyqtgraph with everything idle switched off.

The time axis is fixed, so that a new point redraws curves and nothing else. How curves are drawn
decides whether the window stays quick: one thick smooth path through 240 restless points takes Qt
6 ms, through calm ones 0.3 ms. Restless curves are drawn as short lines (0.3 ms), dotted ones thin.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.ui.history import SECONDS
from app.ui.palette import Palette
from app.ui.theme import text_font, theme
from app.ui.view_models import tr
from app.ui.widgets import label
from engine.events import Pcm

Ticks = Sequence[tuple[float, str]]
RESTLESS: Final = 20.0  # times the height of the plot that a curve goes up and down


class TimePlot(pg.PlotWidget):
    """Curves over the last 60 s. ``set_curve`` draws; the y range and its ticks are given."""

    _worn: Palette | None = None

    def __init__(self, low: float, high: float, ticks: Ticks, name: str) -> None:
        super().__init__(background=None)
        self._curves: dict[str, tuple[Any, str, bool]] = {}
        self._restless: set[str] = set()
        self._height = high - low
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(64)
        self.setMinimumWidth(120)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setViewportUpdateMode(self.ViewportUpdateMode.MinimalViewportUpdate)
        item = self.getPlotItem()
        item.setContentsMargins(0, 4, 2, 0)
        self.setXRange(-SECONDS - 4, 2, padding=0)
        self.setYRange(low, high, padding=0)
        item.getViewBox().setDefaultPadding(0.0)
        item.showGrid(x=False, y=True, alpha=0.9)
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setStyle(tickFont=text_font(11), tickLength=0, tickTextOffset=4)
            axis.setCacheMode(axis.CacheMode.DeviceCoordinateCache)
        item.getAxis("left").setWidth(46)
        item.getAxis("bottom").setHeight(18)
        item.getAxis("bottom").setTicks(
            [[(-60, tr("−60 s")), (-30, tr("−30 s")), (-2, tr("now"))], []]
        )
        self.set_ticks(ticks)
        self._recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        new = self._worn is not None and self._worn is not theme().palette
        if new and event.type() == QEvent.Type.StyleChange:  # its zone has put them on
            QTimer.singleShot(0, self, self._recolour)  # axes take a millisecond each

    def sizeHint(self) -> QSize:
        return QSize(320, 150)

    def set_ticks(self, ticks: Ticks) -> None:
        self.getPlotItem().getAxis("left").setTicks([list(ticks), []])

    def add_curve(self, key: str, colour: str, *, dashed: bool = False) -> None:
        """``colour`` names a field of the palette."""
        curve = pg.PlotCurveItem(connect="finite", antialias=True)
        curve.setSegmentedLineMode("off")
        # stroked when it changes; copied when the window is painted for another reason
        curve.setCacheMode(curve.CacheMode.DeviceCoordinateCache)
        self.addItem(curve)
        self._curves[key] = (curve, colour, dashed)
        curve.setPen(self._pen(key, colour, dashed))

    def set_curve(self, key: str, x: Pcm, y: Pcm) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a minute without one value
            known = np.isfinite(y)
            if known.any():
                self._calm(key, float(np.nansum(np.abs(np.diff(y)))) <= RESTLESS * self._height)
                self._curves[key][0].setData(x, y)
            else:
                self._curves[key][0].clear()

    def _calm(self, key: str, calm: bool) -> None:
        """Choose how the curve is drawn from now on."""
        if calm == (key not in self._restless):
            return
        (self._restless.discard if calm else self._restless.add)(key)
        curve, colour, dashed = self._curves[key]
        curve.setSegmentedLineMode("off" if calm or dashed else "on")
        curve.setPen(self._pen(key, colour, dashed))

    def _pen(self, key: str, colour: str, dashed: bool) -> Any:
        thin = 1.0 if key in self._restless else 1.5
        style = Qt.PenStyle.DotLine if dashed else Qt.PenStyle.SolidLine
        ink = getattr(theme().palette, colour)
        return pg.mkPen(ink, width=thin if dashed else 2.0, style=style)

    def _recolour(self) -> None:
        colours = self._worn = theme().palette
        for side in ("left", "bottom"):
            axis = self.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colours.border))
            axis.setTextPen(pg.mkPen(colours.muted))
        for key, (curve, colour, dashed) in self._curves.items():
            curve.setPen(self._pen(key, colour, dashed))


class LineSample(QWidget):
    """A short stretch of a curve's line, for a legend."""

    def __init__(self, colour: str, *, dashed: bool = False) -> None:
        super().__init__()
        self._colour, self._dashed = colour, dashed
        self.setFixedSize(20, 12)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(QColor(getattr(theme().palette, self._colour)), 2.0)
        if self._dashed:
            pen.setStyle(Qt.PenStyle.DotLine)
        painter.setPen(pen)
        box = QRectF(self.rect())
        middle = box.center().y()
        painter.drawLine(QPointF(box.left() + 1, middle), QPointF(box.right() - 1, middle))
        painter.end()


def figure(text: str = "–") -> Any:
    """A number beside a plot."""
    made = label(text, "value")
    made.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return made
