"""Blocks of events: what comes back, what is refused, and what they cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from benchmarks.packet_policy import talk
from engine.bitstream import (
    KNOWN_EVENTS,
    MAX_BLOCK_BYTES,
    BitCounter,
    BlockError,
    count_events,
    decode_block,
    encode_block,
    walk_block,
)
from engine.events import ENERGY_LEVELS, PITCH_LEVELS, PhonemeEvent
from engine.phonemes import N_PHONEMES
from engine.probability import MAX_BLOCK_EVENTS, SHAPES, Tables
from engine.weights import WeightsError, load_weights


@st.composite
def blocks(draw: st.DrawFn) -> list[PhonemeEvent]:
    """Any legal events, likely or not."""
    count = draw(st.integers(1, MAX_BLOCK_EVENTS))
    tick = draw(st.integers(0, 1 << 30))
    index = draw(st.integers(0, 1 << 20))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    even = 1 + draw(st.booleans())
    events = []
    for position in range(count):
        hole = 0 if rng.random() < 0.8 else int(2 ** rng.uniform(0, 23)) // even * even
        tick += hole if position else 0
        voiced = bool(rng.random() < 0.5)
        pitch = (int(rng.integers(PITCH_LEVELS)), int(rng.integers(PITCH_LEVELS)))
        events.append(
            PhonemeEvent(
                index=index + position,
                phoneme=int(rng.integers(N_PHONEMES)),
                start_tick=tick,
                duration_ticks=int(rng.integers(1, 20 // even + 1)) * even,
                voiced=voiced,
                pitch=pitch if voiced else (0, 0),
                energy=int(rng.integers(ENERGY_LEVELS)),
                codes=tuple(int(c) for c in rng.integers(0, 256, rng.integers(0, 4))),
            )
        )
        tick = events[-1].end_tick
    return events


@settings(max_examples=60, deadline=None)
@given(blocks())
def test_any_legal_block_comes_back_whole(events: list[PhonemeEvent]) -> None:
    data = encode_block(events, [len(e.codes) for e in events])
    assert len(data) <= MAX_BLOCK_BYTES
    assert decode_block(data, events[0].index, events[0].start_tick) == events


@settings(max_examples=30, deadline=None)
@given(blocks(), st.integers(1, MAX_BLOCK_EVENTS - 1))
def test_a_block_may_lean_on_the_one_before(events: list[PhonemeEvent], cut: int) -> None:
    assume(cut < len(events))
    known, rest = events[:cut], events[cut:]
    data = encode_block(rest, [len(e.codes) for e in rest], known=known)
    start = rest[0].index, rest[0].start_tick
    assert decode_block(data, *start, known=known) == rest
    assert decode_block(data, *start, known=known[-KNOWN_EVENTS:]) == rest
    assert decode_block(data, *start) != rest


def test_what_went_before_saves_bits() -> None:
    events = [replace(e, codes=()) for e in talk(60.0, seed=8)]
    alone = sum(len(encode_block(events[i : i + 16], [0] * 16)) for i in range(16, 160, 16))
    leaning = sum(
        len(encode_block(events[i : i + 16], [0] * 16, known=events[:i]))
        for i in range(16, 160, 16)
    )
    assert leaning < 0.97 * alone


def test_layers_left_out_do_not_come_back() -> None:
    events = talk(2.0, seed=4)[:8]
    layers = [0, 1, 2, 3, 3, 2, 1, 0]
    decoded = decode_block(encode_block(events, layers), events[0].index, events[0].start_tick)
    assert decoded == [replace(e, codes=e.codes[:n]) for e, n in zip(events, layers, strict=True)]


def test_no_events_make_no_bytes() -> None:
    assert encode_block([], []) == b"" and decode_block(b"", 5, 9) == []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused_or_decode_to_legal_events(data: bytes) -> None:
    events = decode_block(data, 0, 0)
    for event in events or []:
        assert 0 <= event.phoneme < N_PHONEMES and 1 <= event.duration_ticks <= 20
        assert all(0 <= p < PITCH_LEVELS for p in event.pitch)
        assert 0 <= event.energy < ENERGY_LEVELS and all(0 <= c < 256 for c in event.codes)


def test_nearly_all_random_bytes_are_refused() -> None:
    rng = np.random.default_rng(7)
    blocks = [rng.bytes(int(rng.integers(1, 90))) for _ in range(500)]
    accepted = sum(decode_block(block, 0, 0) is not None for block in blocks)
    assert accepted < 25


def test_oversized_blocks_are_refused_unread() -> None:
    assert decode_block(bytes(MAX_BLOCK_BYTES + 1), 0, 0) is None


@pytest.mark.parametrize(
    "change",
    [
        {"phoneme": N_PHONEMES},
        {"duration_ticks": 21},
        {"duration_ticks": 0},
        {"energy": ENERGY_LEVELS},
        {"voiced": True, "pitch": (0, PITCH_LEVELS)},
        {"codes": (256,)},
    ],
    ids=str,
)
def test_values_off_their_scale_are_not_written(change: dict[str, object]) -> None:
    with pytest.raises(BlockError):
        encode_block([replace(PhonemeEvent(0, 1, 0, 5), **change)], [1 if "codes" in change else 0])


def test_events_that_do_not_follow_one_another_are_not_written() -> None:
    first = PhonemeEvent(0, 1, 0, 5)
    for second in (PhonemeEvent(2, 1, 5, 5), PhonemeEvent(1, 1, 4, 5)):
        with pytest.raises(BlockError):
            encode_block([first, second], [0, 0])


def test_whole_bytes_cost_at_most_one_more_than_the_information() -> None:
    events = talk(20.0, seed=5)
    for start in range(0, 120, 8):
        block = events[start : start + 8]
        counter = BitCounter()
        walk_block(counter, block[0].index, block[0].start_tick, block)
        size = len(encode_block(block, [3] * 8))
        assert size * 8 <= counter.total_bits + 16


def test_events_as_likely_as_the_model_says_cost_their_entropy() -> None:
    counter = BitCounter()
    coded = 0
    events = [replace(e, codes=()) for e in talk(300.0, seed=6)]
    for start in range(0, len(events), MAX_BLOCK_EVENTS):
        block = events[start : start + MAX_BLOCK_EVENTS]
        walk_block(counter, block[0].index, block[0].start_tick, block)
        coded += 8 * len(encode_block(block, [0] * len(block)))
    assert coded <= counter.total_bits * 1.02  # the range coder and whole bytes waste this much


def test_unlikely_events_fit_into_the_largest_block() -> None:
    events, tick = [], 0
    for index in range(MAX_BLOCK_EVENTS):
        tick += (1 << 23) - 1
        events.append(
            PhonemeEvent(index, 41, tick, 1 + index % 2 * 19, True, (39, 0), 0, (9, 9, 9))
        )
        tick = events[-1].end_tick
    data = encode_block(events, [3 - i % 4 for i in range(MAX_BLOCK_EVENTS)])
    assert len(data) <= MAX_BLOCK_BYTES
    assert decode_block(data, 0, events[0].start_tick) is not None


def test_tables_of_another_shape_are_refused() -> None:
    tensors, _ = load_weights("tables")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    weights = arrays.pop("weights")
    assert set(arrays) == set(SHAPES)
    arrays["duration"] = arrays["duration"][:-1]
    with pytest.raises(WeightsError):
        Tables(arrays, weights)


@pytest.mark.parametrize("number", [1, 2, 24, 25, 64])
def test_how_many_events_there_are_is_known_without_reading_them(number: int) -> None:
    events = talk(20.0, seed=51)[:number]
    data = encode_block(events, [len(e.codes) for e in events])
    assert count_events(data) == number
    read = decode_block(data, events[0].index, events[0].start_tick, most_events=24)
    assert read == (events if number <= 24 else None)


def test_what_can_be_no_block_has_no_events_to_count() -> None:
    assert count_events(b"\xff" * 40) is None
