"""Phonemes as they are said, scrolling from right to left: IPA, durations, pitch contour.

One lane a side. A box is as wide as its phoneme lasted; the line above it is the pitch. Events
that were predicted are hatched, events that never came are empty with a dashed rim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QStaticText
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.stats import EventMark
from app.ui.theme import ipa_font, text_font, theme
from app.ui.view_models import tr
from engine.events import TICK_MS
from engine.phonemes import SILENCE

PIXELS_PER_MS: Final = 0.16  # a short consonant (60 ms) has room for one symbol
MAX_QUEUE_MS: Final = 1500.0  # more was never queued before a loudspeaker
PITCH_LOW_HZ: Final = 70.0
PITCH_HIGH_HZ: Final = 400.0
BOX_HEIGHT: Final = 30.0


def near_offset_ms(events: Sequence[EventMark]) -> float:
    """From the talker's ticks to the call's clock, so that the newest event lies just behind now.

    Events are sent in bursts; the smallest lag of the recent ones is the steady one.
    """
    recent = events[-24:]
    return min(e.at_ms - (e.start_tick + e.duration_ticks) * TICK_MS for e in recent)


def begins_ms(events: Sequence[EventMark], offset_ms: float) -> list[float]:
    """When each event began on the call's clock: near ones by their ticks, far ones when they were
    spoken. Far ones that were rendered in one go are heard one after the other."""
    if events and events[0].side == "near":
        return [event.start_tick * TICK_MS + offset_ms for event in events]
    begins: list[float] = []
    free_ms = -math.inf
    for event in events:
        begin = max(event.at_ms, free_ms)
        if begin - event.at_ms > MAX_QUEUE_MS:
            begin = event.at_ms
        begins.append(begin)
        free_ms = begin + event.duration_ticks * TICK_MS
    return begins


class PhonemeStream(QWidget):
    """One lane."""

    def __init__(self, side: Literal["near", "far"], name: str) -> None:
        super().__init__()
        self._side = side
        self._events: tuple[EventMark, ...] = ()
        self._now_ms = 0.0
        self._offset_ms: float | None = None
        self._glyphs: dict[tuple[str, int], QStaticText] = {}
        self._fonts = {size: ipa_font(size) for size in (16, 12)}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(56)
        self.setAccessibleName(name)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(480, 72)

    def clear(self) -> None:
        self._events, self._offset_ms, self._now_ms = (), None, 0.0
        self.update()

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

    def _glyph(self, ipa: str, size: int) -> QStaticText:
        found = self._glyphs.get((ipa, size))
        if found is None:
            found = QStaticText(ipa)
            found.setTextFormat(Qt.TextFormat.PlainText)
            found.prepare(font=self._fonts[size])
            self._glyphs[ipa, size] = found
        return found

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box_top = self.height() - BOX_HEIGHT - 2.0
        painter.fillRect(QRectF(0, box_top + BOX_HEIGHT, self.width(), 1), QColor(colours.border))
        if not self._events:
            painter.setPen(QColor(colours.muted))
            painter.setFont(text_font(13))
            words = tr("Silence so far") if self._now_ms else tr("Nothing said yet")
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            painter.end()
            return
        near = self._side == "near"
        fill = QColor(colours.second_weak if near else colours.accent_weak)
        ink = QColor(colours.second if near else colours.accent)
        width, offset = self.width(), self._offset_ms or 0.0
        pitch: list[list[QPointF]] = [[]]
        last_end = -1e9
        for mark, begin in zip(self._events, begins_ms(self._events, offset), strict=True):
            length = mark.duration_ticks * TICK_MS * PIXELS_PER_MS
            x = width - (self._now_ms - begin) * PIXELS_PER_MS
            if x + length < 0 or x > width:
                continue
            if mark.phoneme != SILENCE or mark.kind == "missing":
                self._box(painter, mark, QRectF(x, box_top, length, BOX_HEIGHT), fill, ink)
            if mark.f0_hz is None or mark.kind == "missing" or x - last_end > 8.0:
                pitch.append([])
            if mark.f0_hz is not None and mark.kind != "missing":
                for share, f0_hz in zip((0.25, 0.75), mark.f0_hz, strict=True):
                    pitch[-1].append(QPointF(x + share * length, self._pitch_y(f0_hz, box_top)))
            last_end = x + length
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink, 2.0))
        for line in pitch:
            if len(line) > 1:
                painter.drawPolyline(line)
        painter.end()

    def _pitch_y(self, f0_hz: float, box_top: float) -> float:
        share = math.log(max(f0_hz, 1.0) / PITCH_LOW_HZ) / math.log(PITCH_HIGH_HZ / PITCH_LOW_HZ)
        return box_top - 4.0 - min(1.0, max(0.0, share)) * max(8.0, box_top - 10.0)

    def _box(
        self, painter: QPainter, mark: EventMark, box: QRectF, fill: QColor, ink: QColor
    ) -> None:
        colours = theme().palette
        box = box.adjusted(0.5, 0, -0.5, 0)
        if mark.kind == "missing":
            painter.setPen(QPen(QColor(colours.danger), 1.0, Qt.PenStyle.DashLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        elif mark.kind == "concealed":
            painter.setPen(QPen(QColor(colours.warn), 1.0))
            hatch = QColor(colours.warn)
            hatch.setAlpha(90)  # the symbol on it stays readable
            painter.setBrush(QBrush(hatch, Qt.BrushStyle.BDiagPattern))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(fill)
        painter.drawRoundedRect(box, 3, 3)
        if mark.phoneme == SILENCE:
            return
        size = 16
        glyph = self._glyph(mark.ipa, size)
        if glyph.size().width() > box.width() + 1.0:
            size = 12
            glyph = self._glyph(mark.ipa, size)
        if glyph.size().width() > box.width() + 5.0:
            return
        painter.setFont(self._fonts[size])
        painter.setPen(QColor(colours.muted if mark.kind == "missing" else colours.text))
        middle = box.center()
        painter.drawStaticText(
            QPointF(middle.x() - glyph.size().width() / 2, middle.y() - glyph.size().height() / 2),
            glyph,
        )


class StreamLegend(QWidget):
    """What the three kinds of boxes mean."""

    def __init__(self) -> None:
        super().__init__()
        self._entries = (
            ("played", tr("heard")), ("concealed", tr("concealed")), ("missing", tr("missing"))
        )  # fmt: skip
        self.setAccessibleName(
            tr("Legend: filled boxes were heard, hatched ones concealed, dashed ones are missing")
        )
        self._font = text_font(12)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._font)
        return QSize(sum(metrics.horizontalAdvance(word) + 36 for _kind, word in self._entries), 20)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font)
        metrics = painter.fontMetrics()
        x = self.width() - sum(
            metrics.horizontalAdvance(word) + 34 for _kind, word in self._entries
        )
        x += 12  # the last word needs no gap behind it
        for kind, word in self._entries:
            box = QRectF(x + 0.5, self.height() / 2 - 5.5, 14, 11)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.danger), 1.0, Qt.PenStyle.DashLine))
            if kind == "played":
                painter.setPen(QPen(QColor(colours.accent), 1.0))
                painter.setBrush(QColor(colours.accent_weak))
            elif kind == "concealed":
                painter.setPen(QPen(QColor(colours.warn), 1.0))
                painter.setBrush(QBrush(QColor(colours.warn), Qt.BrushStyle.BDiagPattern))
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(QColor(colours.muted))
            width = metrics.horizontalAdvance(word)
            painter.drawText(
                QRectF(x + 20, 0, width + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, word
            )
            x += width + 34
        painter.end()
