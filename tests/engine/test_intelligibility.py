"""The live meter: what was said against what is heard, over the last ten seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.intelligibility import MAX_PHONEMES, MISSING, WINDOW_TICKS, IntelligibilityMeter
from engine.phonemes import SILENCE

WORDS = [3, 29, 11, 34, 18, 7, 12, 30, 5, 41] * 6


def speak(meter: IntelligibilityMeter, ids: list[int], step: int = 10, start: int = 0) -> int:
    for number, phoneme in enumerate(ids):
        meter.said(start + number * step, phoneme)
    return start + len(ids) * step


def test_everything_heard_is_one() -> None:
    meter = IntelligibilityMeter()
    end = speak(meter, WORDS)
    for number, phoneme in enumerate(WORDS):
        meter.heard(number * 10 + 3, phoneme)
    assert meter.score(end) == 1.0


def test_nothing_heard_is_nought_and_nothing_said_is_none() -> None:
    meter = IntelligibilityMeter()
    assert meter.score(100) is None
    end = speak(meter, WORDS)
    assert meter.score(end) == 0.0
    assert meter.score(end + WINDOW_TICKS + 1) is None


def test_every_fifth_phoneme_lost_costs_a_fifth() -> None:
    meter = IntelligibilityMeter()
    end = speak(meter, WORDS)
    for number, phoneme in enumerate(WORDS):
        if number % 5:
            meter.heard(number * 10, phoneme)
    assert meter.score(end) == pytest.approx(0.8)


def test_missing_events_count_as_deletions() -> None:
    meter = IntelligibilityMeter()
    for number, phoneme in enumerate(WORDS):
        meter.said(number * 10, MISSING if number % 4 == 0 else phoneme)
        if number % 4:
            meter.heard(number * 10, phoneme)
    assert meter.score(600) == pytest.approx(0.75)


def test_an_outage_costs_every_event_that_was_lost_in_it() -> None:
    meter = IntelligibilityMeter()
    for number, phoneme in enumerate(WORDS):
        lost = 20 <= number < 50  # in a row: a hole is no single phoneme
        meter.said(number * 10, MISSING if lost else phoneme)
        if not lost:
            meter.heard(number * 10, phoneme)
    assert meter.score(600) == pytest.approx(0.5)


def test_silence_and_repeats_do_not_count() -> None:
    meter = IntelligibilityMeter()
    for number, phoneme in enumerate(WORDS):
        for piece in (0, 4, 7):
            meter.said(number * 10 + piece, phoneme)
        meter.said(number * 10 + 9, SILENCE)
        meter.heard(number * 10, phoneme)
    assert meter.score(600) == 1.0


def test_stretches_nobody_listened_to_are_left_out() -> None:
    meter = IntelligibilityMeter()
    end = speak(meter, WORDS)
    for number, phoneme in enumerate(WORDS[:30]):
        meter.heard(number * 10, phoneme)
    assert meter.score(end) == pytest.approx(0.5)
    meter.ignore(300, 600)
    assert meter.score(end) == 1.0


def test_phonemes_just_outside_the_window_are_not_held_against_the_link() -> None:
    meter = IntelligibilityMeter()
    end = speak(meter, WORDS)
    for number, phoneme in enumerate(WORDS):
        meter.heard(number * 10 + 15, phoneme)  # the last two end up after the window
    assert meter.score(end) == 1.0


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-(10**9), 10**9), st.integers(-1, 42)), max_size=60
    ),
    st.integers(-(10**9), 10**9),
)
def test_any_input_gives_a_share_or_none(marks: list[tuple[bool, int, int]], now: int) -> None:
    meter = IntelligibilityMeter()
    for near, tick, phoneme in marks:
        (meter.said if near else meter.heard)(tick, phoneme)
    score = meter.score(now)
    assert score is None or 0.0 <= score <= 1.0


def test_memory_is_bounded() -> None:
    meter = IntelligibilityMeter()
    for tick in range(5 * MAX_PHONEMES):
        meter.said(tick, 1 + tick % 2)
        meter.heard(tick, 1 + tick % 2)
    assert len(meter._said) == len(meter._heard) == MAX_PHONEMES
