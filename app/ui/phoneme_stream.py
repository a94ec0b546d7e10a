"""Phonemes as they are said, scrolling from right to left: IPA, durations, pitch contour.

One lane a side. A box is as wide as its phoneme lasted; the line above it is the pitch. Events
that were predicted are hatched, events that never came are empty with a dashed rim.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.stats import EventMark
from app.ui.phoneme_lane import PIXELS_PER_MS, LaneStrip, near_offset_ms
from app.ui.theme import text_font, theme
from app.ui.view_models import tr
from engine.phonemes import SILENCE


class PhonemeStream(QWidget):
    """One lane."""

    def __init__(self, side: Literal["near", "far"], name: str) -> None:
        super().__init__()
        self._side = side
        self._events: tuple[EventMark, ...] = ()
        self._now_ms = 0.0
        self._offset_ms: float | None = None
        self.strip = LaneStrip()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(56)
        self.setAccessibleName(name)
        theme().changed.connect(self._recolour)

    def sizeHint(self) -> QSize:
        return QSize(480, 72)

    def _recolour(self) -> None:
        self.strip.forget()
        self.update()

    def clear(self) -> None:
        self._events, self._offset_ms, self._now_ms = (), None, 0.0
        self._recolour()

    def set_events(self, events: tuple[EventMark, ...], now_ms: float) -> None:
        """``now_ms`` since the call became active, the clock of ``EventMark.at_ms``."""
        moved = abs(now_ms - self._now_ms) * PIXELS_PER_MS >= 1.0
        if events == self._events and not (moved and self._visible(now_ms)):
            self._now_ms = now_ms
            return
        if events and self._side == "near":
            target = near_offset_ms(events)
            old = self._offset_ms
            # a new lag is approached, not jumped to, or the whole lane would twitch
            self._offset_ms = target if old is None else old + 0.2 * (target - old)
        self._events, self._now_ms = events, now_ms
        self.update()

    def _visible(self, now_ms: float) -> bool:
        span_ms = self.width() / PIXELS_PER_MS + 500.0
        return bool(self._events) and now_ms - self._events[-1].at_ms < span_ms

    def spoken(self) -> str:
        """The last phonemes as text."""
        recent = [e.ipa for e in self._events[-40:] if e.phoneme != SILENCE]
        return " ".join(recent)

    def describe(self) -> None:
        self.setAccessibleDescription(self.spoken())

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        ground = self.height() - 2.0
        painter.fillRect(QRectF(0, ground, self.width(), 1), QColor(colours.border))
        if self._events:
            if not self.strip.update(self._events, self.size(), self.devicePixelRatioF()):
                self.update()
            self.strip.blit(painter, self.width(), self._now_ms - (self._offset_ms or 0.0))
        else:
            painter.setPen(QColor(colours.muted))
            painter.setFont(text_font(13))
            words = tr("Silence so far") if self._now_ms else tr("Nothing said yet")
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
        painter.end()
