"""When events stand on a lane, and how a lane paints them: boxes, symbols and the line of the pitch.

``LaneStrip`` is a picture of a lane on the lane's own time scale. An event is painted once, when it
is new, and a lane that begins anew is filled over some paintings; scrolling copies the picture.
Nothing in here knows the time of day.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPen, QPixmap, QStaticText

from app.stats import EventMark
from app.ui.still import clear_picture
from app.ui.theme import ipa_font, theme
from engine.events import TICK_MS
from engine.phonemes import PHONEMES, SILENCE

PIXELS_PER_MS: Final = 0.16  # a short consonant (60 ms) has room for one symbol
MAX_QUEUE_MS: Final = 1500.0  # more was never queued before a loudspeaker
PITCH_LOW_HZ: Final = 70.0
PITCH_HIGH_HZ: Final = 400.0
PITCH_GAP_PX: Final = 8.0  # a longer pause breaks the line of the pitch
BOX_HEIGHT: Final = 30.0
ROOM_PX: Final = 640  # for events to come: what was painted is moved every two seconds
MOST_AT_ONCE: Final = 8  # events painted in one go: less than a millisecond
GLYPH_PX: Final = (16, 12)  # a symbol is smaller where its box is narrow


def near_offset_ms(events: Sequence[EventMark]) -> float:
    """From the talker's ticks to the call's clock, so that the newest event lies just behind now.

    Events are sent in bursts; the smallest lag of the recent ones is the steady one.
    """
    recent = events[-24:]
    return min(e.at_ms - (e.start_tick + e.duration_ticks) * TICK_MS for e in recent)


def begins_ms(events: Sequence[EventMark], free_ms: float = -math.inf) -> list[float]:
    """When each event began on its lane's scale: near ones by the talker's ticks, far ones when they
    were spoken. Far ones that were rendered in one go are heard one after the other; ``free_ms`` is
    when the event before them ends."""
    if events and events[0].side == "near":
        return [float(event.start_tick * TICK_MS) for event in events]
    begins: list[float] = []
    for event in events:
        begin = max(event.at_ms, free_ms)
        if begin - event.at_ms > MAX_QUEUE_MS:
            begin = event.at_ms
        begins.append(begin)
        free_ms = begin + event.duration_ticks * TICK_MS
    return begins


class LaneStrip:
    """The picture: ``update`` with what is to be seen, then ``blit``."""

    def __init__(self) -> None:
        self._fonts = {size: ipa_font(size) for size in GLYPH_PX}
        self._picture: QPixmap | None = None
        self._left_ms = 0.0
        self._newest: EventMark | None = None
        self._free_ms = -math.inf
        self._pitch: QPointF | None = None
        self.painted = 0
        """Events painted so far, for tests: scrolling must not raise it."""

    def forget(self) -> None:
        """Paint everything anew next time: other colours, another call."""
        self._picture = self._newest = None

    def update(self, events: Sequence[EventMark], size: QSize, ratio: float) -> bool:
        """Add what is new in ``events`` for a lane of ``size``, on a screen of ``ratio``; false
        where some of it waits for the next time."""
        if not events or (events[-1] is self._newest and self._fits(size, ratio)):
            return True
        new = self._new_ones(events) if self._fits(size, ratio) else None
        if new is not None:
            begins = begins_ms(new, self._free_ms)
            self._scroll(begins[-1] + new[-1].duration_ticks * TICK_MS)
            if begins[0] < self._left_ms:
                new = None
        if new is None:
            new, begins = self._start_over(events, size, ratio)
        new, begins = new[:MOST_AT_ONCE], begins[:MOST_AT_ONCE]
        if self._picture is not None:
            painter = QPainter(self._picture)
            self._paint(painter, new, begins, size.height())
            painter.end()
        self._newest = new[-1]
        return self._newest is events[-1]

    def blit(self, painter: QPainter, width: int, now_ms: float) -> None:
        """Draw the lane so that ``now_ms`` on its scale is at its right edge."""
        if self._picture is not None:
            x = width - (now_ms - self._left_ms) * PIXELS_PER_MS
            painter.drawPixmap(QPointF(round(x), 0.0), self._picture)

    def _fits(self, size: QSize, ratio: float) -> bool:
        picture = self._picture
        if picture is None or picture.devicePixelRatio() != ratio:
            return False
        wanted = QSize(size.width() + ROOM_PX, size.height())
        return picture.deviceIndependentSize().toSize() == wanted

    def _scroll(self, end_ms: float) -> None:
        """Move what was painted to the left, so that ``end_ms`` has a place and room behind it."""
        old = self._picture
        if old is None or self._x(end_ms) <= old.deviceIndependentSize().width():
            return
        by_px = math.ceil(self._x(end_ms) - old.deviceIndependentSize().width()) + ROOM_PX // 2
        self._picture = clear_picture(old.deviceIndependentSize().toSize(), old.devicePixelRatio())
        painter = QPainter(self._picture)
        painter.drawPixmap(QPointF(-by_px, 0.0), old)
        painter.end()
        self._left_ms += by_px / PIXELS_PER_MS
        if self._pitch is not None:
            self._pitch = self._pitch - QPointF(by_px, 0.0)

    def _x(self, at_ms: float) -> float:
        return (at_ms - self._left_ms) * PIXELS_PER_MS

    def _new_ones(self, events: Sequence[EventMark]) -> Sequence[EventMark] | None:
        """What follows the newest painted event; None where that one is no longer among them."""
        for back in range(len(events) - 1, -1, -1):
            if events[back] is self._newest:
                return events[back + 1 :]
        return None

    def _start_over(
        self, events: Sequence[EventMark], size: QSize, ratio: float
    ) -> tuple[Sequence[EventMark], list[float]]:
        """A new picture whose left edge is what stands at the lane's left edge by now."""
        begins = begins_ms(events)
        # a whole pixel, so that an event looks the same in every picture
        self._left_ms = (math.floor(begins[-1] * PIXELS_PER_MS) - size.width()) / PIXELS_PER_MS
        # from the one that is half out of it; what was heard late may begin before others
        seen = max((n for n, begin in enumerate(begins) if begin < self._left_ms), default=0)
        self._picture = clear_picture(QSize(size.width() + ROOM_PX, size.height()), ratio)
        self._pitch, self._free_ms = None, -math.inf
        return events[seen:], begins[seen:]

    def _paint(
        self, painter: QPainter, events: Sequence[EventMark], begins: list[float], height: int
    ) -> None:
        colours = theme().palette
        near = events[0].side == "near"
        fill = QColor(colours.second_weak if near else colours.accent_weak)
        ink = QPen(QColor(colours.second if near else colours.accent), 2.0)
        ink.setCapStyle(Qt.PenCapStyle.RoundCap)
        ink.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        box_top = height - BOX_HEIGHT - 2.0
        lines: list[list[QPointF]] = [[] if self._pitch is None else [self._pitch]]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for mark, begin in zip(events, begins, strict=True):
            x, length = self._x(begin), mark.duration_ticks * TICK_MS * PIXELS_PER_MS
            if mark.phoneme != SILENCE or mark.kind == "missing":
                self._box(painter, mark, QRectF(x, box_top, length, BOX_HEIGHT), fill)
            paused = x - self._x(self._free_ms) > PITCH_GAP_PX
            if mark.f0_hz is None or mark.kind == "missing" or paused:
                lines.append([])
            if mark.f0_hz is not None and mark.kind != "missing":
                for share, f0_hz in zip((0.25, 0.75), mark.f0_hz, strict=True):
                    lines[-1].append(QPointF(x + share * length, _pitch_y(f0_hz, box_top)))
            self._free_ms = begin + mark.duration_ticks * TICK_MS
            self.painted += 1
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(ink)
        for line in lines:
            if len(line) > 1:
                painter.drawPolyline(line)
        self._pitch = lines[-1][-1] if lines[-1] else None

    def _box(self, painter: QPainter, mark: EventMark, box: QRectF, fill: QColor) -> None:
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
        size, smaller = GLYPH_PX
        glyph = symbol(mark.ipa, size)
        if glyph.size().width() > box.width() + 1.0:
            size = smaller
            glyph = symbol(mark.ipa, size)
        if glyph.size().width() > box.width() + 5.0:
            return
        painter.setFont(self._fonts[size])
        painter.setPen(QColor(colours.muted if mark.kind == "missing" else colours.text))
        middle = box.center()
        painter.drawStaticText(
            QPointF(middle.x() - glyph.size().width() / 2, middle.y() - glyph.size().height() / 2),
            glyph,
        )


@lru_cache(maxsize=256)
def symbol(ipa: str, pixels: int) -> QStaticText:
    """``ipa`` laid out; the first one loads the font, which takes some milliseconds."""
    made = QStaticText(ipa)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.prepare(font=ipa_font(pixels))
    return made


def symbols_laid_out() -> Iterator[QStaticText]:
    """Every symbol in every size, one at a time, before they are needed."""
    return (symbol(ipa, pixels) for pixels in GLYPH_PX for ipa in PHONEMES)


def _pitch_y(f0_hz: float, box_top: float) -> float:
    share = math.log(max(f0_hz, 1.0) / PITCH_LOW_HZ) / math.log(PITCH_HIGH_HZ / PITCH_LOW_HZ)
    return box_top - 4.0 - min(1.0, max(0.0, share)) * max(8.0, box_top - 10.0)
