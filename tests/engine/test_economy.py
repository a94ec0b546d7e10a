"""Cheaper prosody: never far from what was measured, and worth it."""

from __future__ import annotations

from benchmarks.packet_policy import talk
from engine.bitstream import BitCounter, walk_block
from engine.economy import economise
from engine.events import PhonemeEvent
from engine.probability import MAX_BLOCK_EVENTS, default_tables

SPEECH = talk(40.0, seed=51)


def economised(events: list[PhonemeEvent], step_bits: float = 0.8) -> list[PhonemeEvent]:
    sent: list[PhonemeEvent] = []
    for event in events:
        sent.append(economise(event, sent[-1] if sent else None, step_bits=step_bits))
    return sent


def bits(events: list[PhonemeEvent]) -> float:
    counter = BitCounter(default_tables())
    for start in range(0, len(events), MAX_BLOCK_EVENTS):
        block = events[start : start + MAX_BLOCK_EVENTS]
        walk_block(counter, block[0].index, block[0].start_tick, block)
    return counter.total_bits - counter.bits["code"]


def test_pitch_and_energy_move_by_one_step_at_most_and_nothing_else_does() -> None:
    for measured, sent in zip(SPEECH, economised(SPEECH), strict=True):
        assert abs(sent.energy - measured.energy) <= 1
        assert all(abs(a - b) <= 1 for a, b in zip(sent.pitch, measured.pitch, strict=True))
        assert (sent.phoneme, sent.start_tick, sent.duration_ticks, sent.voiced, sent.codes) == (
            measured.phoneme, measured.start_tick, measured.duration_ticks, measured.voiced,
            measured.codes,
        )  # fmt: skip


def test_it_saves_bits() -> None:
    assert bits(economised(SPEECH)) < 0.97 * bits(SPEECH)


def test_when_a_step_is_dear_the_measured_values_stay() -> None:
    assert economised(SPEECH, step_bits=100.0) == SPEECH
