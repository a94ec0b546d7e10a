"""The phoneme lanes: where events stand, and that scrolling paints nothing twice."""

from __future__ import annotations

import dataclasses
from collections import deque

import numpy as np
import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QImage, QPainter
from pytestqt.qtbot import QtBot

from app.mark_view import MarkView
from app.stats import EventMark
from app.ui.phoneme_lane import (
    BOX_HEIGHT,
    MOST_AT_ONCE,
    PIXELS_PER_MS,
    LaneStrip,
    begins_ms,
    near_offset_ms,
)
from app.ui.phoneme_stream import PhonemeStream
from app.ui.theme import theme
from engine.events import TICK_MS

SIZE = QSize(400, 60)
LENGTH_TICKS = 8
BOX_WIDTH = LENGTH_TICKS * TICK_MS * PIXELS_PER_MS


def mark(side: str, start_tick: int, at_ms: float, **changes: object) -> EventMark:
    kind = "sent" if side == "near" else "played"
    made = EventMark(side, 0, 3, "b", start_tick, 10, None, -20.0, kind, at_ms)  # type: ignore[arg-type]
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def speech(count: int, first: int = 0, side: str = "far") -> list[EventMark]:
    """``count`` phonemes without a pause, some concealed, some missing, most with a pitch."""
    made = []
    for number in range(first, first + count):
        tick = number * LENGTH_TICKS
        kind = ("played", "played", "concealed", "played", "missing")[number % 5]
        pitch = None if number % 7 == 0 else (90.0 + 13.0 * (number % 11), 180.0)
        changes = {"duration_ticks": LENGTH_TICKS, "f0_hz": pitch}
        if side == "far":
            changes["kind"] = kind
        made.append(mark(side, tick, float(tick * TICK_MS), **changes))
    return made


def pixels(strip: LaneStrip, now_ms: float) -> np.ndarray:
    picture = QImage(SIZE, QImage.Format.Format_ARGB32_Premultiplied)
    picture.fill(0)
    painter = QPainter(picture)
    strip.blit(painter, SIZE.width(), now_ms)
    painter.end()
    return np.frombuffer(picture.constBits(), np.uint8).reshape(SIZE.height(), -1).copy()


def test_near_events_keep_their_distances_though_they_are_sent_in_bursts() -> None:
    events = [mark("near", 500, 1150.0), mark("near", 510, 1150.0), mark("near", 530, 1350.0)]
    begins = begins_ms(events)
    assert np.diff(begins).tolist() == [100.0, 200.0]
    assert begins[-1] + near_offset_ms(events) + 100.0 <= 1350.0


def test_far_events_rendered_in_one_go_are_shown_one_after_the_other() -> None:
    events = [mark("far", 0, 42.0), mark("far", 10, 42.5), mark("far", 20, 900.0)]
    assert begins_ms(events) == [42.0, 142.0, 900.0]
    assert begins_ms(events[:1], free_ms=60.0) == [60.0]
    late = [mark("far", 10 * number, 0.0) for number in range(100)]
    assert max(begins_ms(late)) <= 1500.0


def picture(lane: PhonemeStream) -> QImage:
    """The lane as soon as nothing more comes."""
    made = lane.grab().toImage()
    while (later := lane.grab().toImage()) != made:
        made = later
    return made


@pytest.mark.parametrize("side", ["near", "far"])
def test_a_lane_painted_piece_by_piece_is_the_lane_painted_at_once(qapp: object, side: str) -> None:
    events = speech(400, side=side)  # several times through all the room of the strip
    pieces, whole = LaneStrip(), LaneStrip()
    for end in range(1, len(events) + 1):
        pieces.update(events[max(0, end - 200) : end], SIZE, 1.0)
    while not whole.update(events[-200:], SIZE, 1.0):
        assert whole.painted % MOST_AT_ONCE == 0
    now_ms = float(400 * LENGTH_TICKS * TICK_MS)
    one, other = pixels(pieces, now_ms), pixels(whole, now_ms)
    assert other[-int(BOX_HEIGHT) :].any(axis=0).mean() > 0.9  # the lane is full of boxes
    inside = slice(40, None)  # at the left edge the whole one begins without a pitch before it
    wrong = np.abs(one[:, inside].astype(int) - other[:, inside].astype(int)) > 40
    assert wrong.mean() < 0.02  # a symbol may be rounded to the next pixel, a hatch begin elsewhere
    assert pieces.painted == 400
    assert whole.painted < 60  # only what is seen


def test_scrolling_paints_no_event_again(qapp: object) -> None:
    lane = PhonemeStream("far", "theirs")
    lane.resize(SIZE)
    events = tuple(speech(40))
    for turn in range(20):
        lane.set_events(events, 3200.0 + 50.0 * turn)
        lane.grab()
    assert lane.strip.painted <= 40
    before = lane.strip.painted
    lane.set_events((*events, *speech(2, first=40)), 4300.0)
    lane.grab()
    assert lane.strip.painted == before + 2


def test_a_full_lane_is_filled_over_some_paintings_and_asks_for_them(
    qapp: object, qtbot: QtBot
) -> None:
    lane = PhonemeStream("far", "theirs")
    lane.resize(SIZE)
    lane.set_events(tuple(speech(200)), 16_000.0)
    lane.grab()
    assert lane.strip.painted == MOST_AT_ONCE
    lane.show()
    qtbot.waitUntil(lambda: lane.strip.painted > SIZE.width() * 0.95 / BOX_WIDTH)
    painted = lane.strip.painted
    qtbot.wait(50)
    assert lane.strip.painted == painted


def test_new_colours_another_size_and_another_call_paint_the_lane_anew(qapp: object) -> None:
    lane = PhonemeStream("far", "theirs")
    lane.resize(SIZE)
    events = tuple(speech(20))
    lane.set_events(events, 1600.0)
    pictures = [picture(lane)]
    theme().choose("dark")
    pictures.append(picture(lane))
    theme().choose("light")
    assert pictures[0] != pictures[1]
    assert picture(lane) == pictures[0]
    painted = lane.strip.painted
    lane.resize(SIZE.width() + 100, SIZE.height())
    lane.grab()
    assert lane.strip.painted > painted
    lane.clear()
    empty = lane.grab().toImage()
    lane.set_events(tuple(speech(3)), 240.0)
    assert lane.grab().toImage() != empty


def test_a_long_silence_leaves_the_lane_empty_and_it_goes_on_behind_it(qapp: object) -> None:
    strip = LaneStrip()
    events = speech(10)
    strip.update(events, SIZE, 1.0)
    later = speech(10, first=1000)
    while not strip.update([*events, *later], SIZE, 1.0):
        pass
    end_ms = float(1010 * LENGTH_TICKS * TICK_MS)
    row = pixels(strip, end_ms)[-20]
    words_px = 10 * LENGTH_TICKS * TICK_MS * PIXELS_PER_MS
    spoken = row.reshape(-1, 4)[-int(words_px) :].any(axis=1)
    assert spoken.mean() > 0.6
    assert not row.reshape(-1, 4)[: -int(words_px) - 4].any()


def test_what_was_heard_late_ends_no_lane_in_painting_it_for_ever(qapp: object) -> None:
    at_once = [mark("far", 10 * number, 0.0) for number in range(17)]  # too much to be queued
    events = [*at_once, *(mark("far", 10 * n, 100.0 * (n - 16)) for n in range(17, 37))]
    assert min(np.diff(begins_ms(events))) < -1000.0
    strip = LaneStrip()
    paintings = 1
    while not strip.update(events, QSize(100, 60), 1.0):
        paintings += 1
        assert paintings < 20


def test_marks_are_put_on_the_calls_clock_once() -> None:
    marks: deque[EventMark] = deque(speech(5), maxlen=6)
    view = MarkView()
    first = view.since(marks, 100.0)
    assert [m.at_ms for m in first] == [m.at_ms - 100.0 for m in marks]
    assert view.since(marks, 100.0) is first
    marks.extend(speech(3, first=5))  # two of the old ones fall out
    second = view.since(marks, 100.0)
    assert [m.start_tick for m in second] == [m.start_tick for m in marks]
    assert all(one is other for one, other in zip(first[2:], second[:3], strict=True))
    assert [m.at_ms for m in view.since(marks, 0.0)] == [m.at_ms for m in marks]
    assert view.since((), 0.0) == ()
    assert [m.at_ms for m in view.since(speech(2), 0.0)] == [0.0, 80.0]
