"""Mouth-to-ear delay as a stacked bar, one piece for each stage, with the figures below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from app.stats import DELAY_STAGES, CallStats
from app.ui.palette import DELAY_TINTS
from app.ui.still import Still
from app.ui.theme import theme
from app.ui.view_models import ms_text, tr
from app.ui.widgets import Card, label, row, set_text

SCALES_MS: Final = (400.0, 800.0, 1600.0, 3200.0, 6400.0)
"""The bar's length is the smallest of these that holds the delay, so that it seldom changes."""


def stage_names() -> dict[str, str]:
    return {
        "capture": tr("Capture"),
        "recognise": tr("Recognise"),
        "packetise": tr("Packetise"),
        "network": tr("Network"),
        "playout": tr("Playout"),
        "synthesise": tr("Synthesise"),
    }


class StackedBar(QWidget):
    """The bar alone."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[float, ...] = (0.0,) * len(DELAY_STAGES)
        self._opus_ms = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(46)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(320, 46)

    def set_delays(self, stages_ms: Mapping[str, float], opus_ms: float) -> None:
        stages = tuple(round(max(0.0, stages_ms.get(name, 0.0))) * 1.0 for name in DELAY_STAGES)
        if (stages, round(opus_ms)) != (self._stages, round(self._opus_ms)):
            self._stages, self._opus_ms = stages, opus_ms
            self.update()

    def scale_ms(self) -> float:
        longest = max(sum(self._stages), self._opus_ms)
        return next((s for s in SCALES_MS if s >= longest), longest)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        bar = QRectF(0, 2, self.width(), 24)
        rim = QPainterPath()
        rim.addRoundedRect(bar, 6, 6)
        painter.fillPath(rim, QColor(colours.sunken))
        painter.setClipPath(rim)
        scale = self.width() / self.scale_ms()
        x = 0.0
        for value_ms, tint in zip(self._stages, DELAY_TINTS[colours.dark], strict=True):
            painter.fillRect(QRectF(x, 2, value_ms * scale, 24), QColor(tint))
            x += value_ms * scale
        painter.setClipping(False)
        rim = QPainterPath()
        rim.addRoundedRect(QRectF(0, 34, self.width(), 8), 4, 4)
        painter.fillPath(rim, QColor(colours.sunken))
        painter.setClipPath(rim)
        painter.fillRect(QRectF(0, 34, self._opus_ms * scale, 8), QColor(colours.second))
        painter.end()


class Swatch(Still):
    """A small square of one stage's colour."""

    def __init__(self, stage: int) -> None:
        super().__init__()
        self._stage = stage
        self.setFixedSize(12, 12)

    def draw(self, painter: QPainter) -> None:
        colours = theme().palette
        painter.setPen(Qt.PenStyle.NoPen)
        tints = (*DELAY_TINTS[colours.dark], colours.second)
        painter.setBrush(QColor(tints[self._stage]))
        painter.drawRoundedRect(QRectF(0, 0, 12, 12), 3, 3)


class DelayCard(Card):
    """The bar, the sum, and every stage in figures."""

    def __init__(self) -> None:
        super().__init__(tr("Mouth to ear"))
        self.total = label(ms_text(None), "heading")
        self.top.addWidget(self.total)
        self.bar = StackedBar()
        self.body.addWidget(self.bar)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        self.values: dict[str, QLabel] = {}
        names = [*stage_names().items(), ("opus", tr("Opus, in all"))]
        for number, (key, name) in enumerate(names):
            value = label(ms_text(None), "value")
            self.values[key] = value
            cell = row(Swatch(number), label(name, "small"), None, value, spacing=6)
            grid.addLayout(cell, number // 2, number % 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        self.body.addLayout(grid)
        self.body.addStretch(1)

    def show_stats(self, stats: CallStats) -> None:
        self.bar.set_delays(stats.delay_stages_ms, stats.opus_delay_ms)
        words = []
        names = stage_names()
        total_ms = sum(stats.delay_stages_ms.values()) or None  # nothing was heard yet
        for stage in DELAY_STAGES:
            text = ms_text(total_ms and stats.delay_stages_ms.get(stage, 0.0))
            set_text(self.values[stage], text)
            words.append(f"{names[stage]} {text}")
        opus = ms_text(stats.opus_delay_ms or None)
        set_text(self.values["opus"], opus)
        words.append(f"{tr('Opus, in all')} {opus}")
        total = ms_text(total_ms)
        set_text(self.total, total)
        self.setAccessibleDescription(f"{total}: {', '.join(words)}")
