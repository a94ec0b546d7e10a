"""Trellis-free rate–distortion choice of an event's pitch and energy.

A measured event and the one sent before it go in; the same event comes out, its pitch points and its
energy moved by at most one step where that saves more bits than the step is worth. Only what the
listener gets changes (by a semitone or 3 dB at most), never the format.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from engine.bitstream import BitCounter, walk_block
from engine.events import ENERGY_LEVELS, PITCH_LEVELS, PhonemeEvent
from engine.probability import Tables, default_tables

STEP_BITS = 0.8  # what leaving the measured value by one step must save


def economise(
    event: PhonemeEvent,
    previous: PhonemeEvent | None,
    tables: Tables | None = None,
    step_bits: float = STEP_BITS,
) -> PhonemeEvent:
    """The cheapest event near ``event`` after ``previous`` (as it was sent; None: the first one).

    Ties go to the measured values. Codes are left alone.
    """
    if previous is None:
        return event
    tables = tables or default_tables()
    pitches = [event.pitch]
    if event.voiced:
        first, second = (_near(point, PITCH_LEVELS) for point in event.pitch)
        pitches = sorted(product(first, second), key=lambda p: p != event.pitch)
    before = replace(previous, index=event.index - 1, codes=())
    best, best_cost = event, float("inf")
    for pitch in pitches:
        moved = abs(pitch[0] - event.pitch[0]) + abs(pitch[1] - event.pitch[1])
        candidate = replace(event, pitch=pitch, codes=())
        cost = _bits(before, candidate, tables) + step_bits * moved
        if cost < best_cost - 1e-9:
            best, best_cost = replace(event, pitch=pitch), cost
    chosen, best_cost = best, float("inf")
    for energy in sorted(_near(event.energy, ENERGY_LEVELS), key=lambda e: e != event.energy):
        candidate = replace(best, energy=energy, codes=())
        cost = _bits(before, candidate, tables) + step_bits * abs(energy - event.energy)
        if cost < best_cost - 1e-9:
            chosen, best_cost = replace(best, energy=energy), cost
    return chosen


def _near(value: int, levels: int) -> range:
    return range(max(0, value - 1), min(levels, value + 2))


def _bits(before: PhonemeEvent, event: PhonemeEvent, tables: Tables) -> float:
    counter = BitCounter(tables)
    walk_block(counter, before.index, before.start_tick, (before, event))
    return counter.total_bits
