"""Reads a block event by event and tells how likely every value of the next field is.

One step of the recurrent network for each event, one small layer for each field. The loops are compiled
(``engine.event_kernels``), and everything is exact (``engine.event_odds``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.event_kernels import F32, step, weigh, weigh_phonemes
from engine.event_odds import (
    F64,
    FIELDS,
    GATES,
    LARGEST,
    LEVELS,
    NO_PITCH,
    READ_GRID,
    START_ENERGY,
    START_PITCH,
    STATE,
    STATE_GRID,
    EventNetwork,
    Layer,
)
from engine.events import ENERGY_LEVELS, MAX_EVENT_TICKS, PITCH_LEVELS
from engine.phonemes import N_PHONEMES, SILENCE
from engine.probability import Odds

_COARSENESS: Final = STATE_GRID / READ_GRID
_NO_ROW: Final = np.zeros(GATES, np.float32)
_NOT_UNLIKELY: Final = np.zeros(N_PHONEMES, np.uint8)
_JUMP: Final = LARGEST["jump"]
_JUMPS: Final = LEVELS["jump"]
_PITCHES: Final = LEVELS["last_pitch"]


class _Field:
    """From what the matrix read of the state to the odds of one field."""

    __slots__ = ("_known", "_out", "_phonemes", "_read", "_values", "_weights")

    def __init__(self, layer: Layer, read: F32, weights: F64) -> None:
        """``read``: everything the matrix read; whoever owns it keeps it up to date."""
        self._read, self._weights = read[layer.part], weights
        self._phonemes, self._known, self._out = layer.phonemes, layer.known, layer.out
        self._values = self._out[0].shape[1]

    def odds(self, phoneme: int, known: int = 0, which: int = 0) -> Odds:
        """By the matrix ``which`` when that row of what is known holds."""
        found = np.empty(self._values)
        total = weigh(
            self._read, self._phonemes[phoneme], self._known[known], self._out[which],
            self._weights, found,
        )  # fmt: skip
        return Odds(found, total)


class EventOdds:
    """One block's reader: ask for the odds of the fields in order, then ``advance``; ``begin`` for
    the next block, since all it needs is laid out then."""

    def __init__(self, network: EventNetwork, even: bool) -> None:
        """``even``: every boundary of the block lies on the recogniser's 20 ms grid."""
        self._net = network
        self._begun = network.inputs.begun[even]
        self._begin = network.begin[int(even)]
        self._state = np.empty(STATE)
        self._coarse = np.ones(1 + STATE, np.float32)  # the first stays one, for the bias
        self._coarse_state = self._coarse[1:]
        self._coarse_state[...] = np.rint(self._begin / _COARSENESS)
        self._read_first = network.matrix.dot(self._coarse)
        self._read = np.empty_like(self._read_first)
        layers = dict(network.layers)
        if even:
            layers["duration"] = network.even_duration
        self._phonemes = layers["phoneme"]
        self._read_phoneme = self._read[self._phonemes.part]
        self._durations, self._voicing, self._energies, self._firsts, self._seconds = (
            _Field(layers[name], self._read, network.weights) for name in FIELDS[1:]
        )
        self.begin()

    def begin(self) -> None:
        """Nothing was told yet."""
        self._pitch, self._energy = NO_PITCH, START_ENERGY
        self._spoken: tuple[int, ...] = ()
        self._state[...] = self._begin
        self._read[...] = self._read_first

    def phoneme(self) -> Odds:
        net, spoken, unlikely = self._net, self._spoken, _NOT_UNLIKELY
        if len(spoken) == 3:
            unlikely = net.ngram[(spoken[0] * N_PHONEMES + spoken[1]) * N_PHONEMES + spoken[2]]
        found = np.empty(N_PHONEMES)
        nothing, out = self._phonemes.known[0], self._phonemes.out[0]
        total = weigh_phonemes(self._read_phoneme, nothing, out, unlikely, net.weights, found)
        return Odds(found, total)

    def duration(self, phoneme: int) -> Odds:
        """Of ticks - 1, or of half the ticks - 1 in an even block."""
        return self._durations.odds(phoneme)

    def voiced(self, phoneme: int, duration_ticks: int) -> Odds:
        return self._voicing.odds(phoneme, duration_ticks - 1)

    def energy(self, phoneme: int, duration_ticks: int, voiced: bool) -> Odds:
        return self._energies.odds(phoneme, 2 * duration_ticks - 2 + voiced, self._energy)

    def pitch_first(self, phoneme: int, energy: int) -> Odds:
        start = START_PITCH if self._pitch == NO_PITCH else self._pitch
        return self._firsts.odds(phoneme, energy * _PITCHES + self._pitch, start)

    def pitch_second(self, phoneme: int, duration_ticks: int, first: int) -> Odds:
        known = (duration_ticks - 1) * _JUMPS + self._jump(first)
        return self._seconds.odds(phoneme, known, first)

    def advance(
        self,
        phoneme: int,
        hole: bool,
        duration_ticks: int,
        voiced: bool,
        energy: int,
        pitch: tuple[int, int],
    ) -> None:
        """The event is told: read it."""
        net = self._net
        given = self._given(phoneme, hole, duration_ticks, voiced, energy, pitch)
        step(
            *given, self._read, net.sigmoid, net.tanh, self._state, self._coarse_state, _COARSENESS
        )
        net.matrix.dot(self._coarse, self._read)
        self._energy = energy
        if voiced:
            self._pitch = pitch[1]
        if phoneme != SILENCE and self._spoken[-1:] != (phoneme,):
            self._spoken = (*self._spoken[-2:], phoneme)

    def _given(
        self,
        phoneme: int,
        hole: bool,
        duration_ticks: int,
        voiced: bool,
        energy: int,
        pitch: tuple[int, int],
    ) -> tuple[F32, F32, F32, F32, F32]:
        """Rows that add up to what the gates get."""
        inputs, first, second = self._net.inputs, *pitch
        return (
            self._begun[phoneme * MAX_EVENT_TICKS + duration_ticks - 1],
            inputs.energy[self._energy * ENERGY_LEVELS + energy],
            inputs.hole if hole else _NO_ROW,
            inputs.melody[first * PITCH_LEVELS + second] if voiced else _NO_ROW,
            inputs.jump[self._jump(first)] if voiced else _NO_ROW,
        )

    def _jump(self, first: int) -> int:
        """Row of the change from the pitch before, clipped."""
        if self._pitch == NO_PITCH:
            return _JUMP
        return min(max(first - self._pitch, -_JUMP), _JUMP) + _JUMP
