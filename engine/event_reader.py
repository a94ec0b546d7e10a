"""Reads a block event by event and tells how likely every value of the next field is.

One step of the recurrent network for each event, one small layer for each field: what it costs is the
number of calls of numpy, so sums that many fields share are made once and buffers are used again.
Everything is exact (``engine.event_odds``), so their order changes nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.event_odds import (
    ALL_HIDDEN,
    F64,
    FIELDS,
    GATES,
    HEADS,
    LARGEST,
    LEVELS,
    NO_PITCH,
    ODDS_REACH,
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

_SWITCHES: Final = 2 * STATE  # outputs that say how much of a state is kept
_WIDE: Final = HEADS["phoneme"].width
_FINEST: Final = np.full(STATE, READ_GRID / STATE_GRID)
_NOTHING: Final = np.zeros(ALL_HIDDEN)
_JUMP: Final = LARGEST["jump"]
_JUMPS: Final = LEVELS["jump"]
_PITCHES: Final = LEVELS["last_pitch"]

# Bound once: looking them up costs a tenth of calling them.
_add, _subtract, _multiply = np.add, np.subtract, np.multiply
_maximum, _rint = np.maximum, np.rint


class _Field:
    """From one field's hidden layer to its odds, in one block."""

    __slots__ = (
        "_known", "_logits", "_nothing", "_out", "_positive", "_steps", "_told", "_top", "_weights",
        "_whole", "last", "values",
    )  # fmt: skip

    def __init__(self, layer: Layer, told: F64, weights: F64, values: int) -> None:
        """``told``: [width] the layer as far as it is told; whoever owns it keeps it up to date."""
        self._told, self._known, self._out, self._weights = told, layer.known, layer.out, weights
        self._nothing = _NOTHING[: len(told)]
        self._whole = np.ones(1 + len(told))  # the first stays one, for the bias
        self._positive = self._whole[1:]
        self._logits = np.empty(len(layer.out[0]))
        self.values = self._logits[:values]
        """Logits of the values, in steps of the odds."""
        self.last = self._logits[-1:]
        self._steps = np.empty(values, np.intp)
        self._top = np.empty(())  # an array: subtracting from a number takes half as long again

    def ask(self) -> None:
        """Find the logits."""
        _maximum(self._told, self._nothing, out=self._positive)
        self._out[0].dot(self._whole, self._logits)

    def ask_when(self, known: int, which: int = 0) -> None:
        """The same by the matrix ``which`` when that row of what is known holds."""
        positive = self._positive
        _add(self._told, self._known[known], positive)
        _maximum(positive, self._nothing, out=positive)
        self._out[which].dot(self._whole, self._logits)

    def odds(self) -> Odds:
        """What the logits say; they are gone afterwards."""
        values, top, steps = self.values, self._top, self._steps
        top[()] = values[values.argmax()]
        _subtract(top, values, values)
        steps[...] = values  # rounds down
        return Odds(self._weights.take(steps, None, None, "clip"))


class EventOdds:
    """One block's reader: ask for the odds of the fields in order, then ``advance``; ``begin`` for
    the next block, since all it needs is laid out then."""

    def __init__(self, network: EventNetwork, even: bool) -> None:
        """``even``: every boundary of the block lies on the recogniser's 20 ms grid."""
        self._net = network
        self._begun = network.inputs.begun[even]
        self._pitch = NO_PITCH
        self._energy = START_ENERGY
        self._spoken: tuple[int, ...] = ()

        self._begin = network.begin[int(even)]
        self._state = self._begin.copy()
        self._coarse = np.ones(1 + STATE, np.float32)  # the first stays one, for the bias
        self._coarse_state = self._coarse[1:]
        self._read = np.empty(GATES + ALL_HIDDEN, np.float32)
        self._read_switches = self._read[:_SWITCHES]
        self._read_rest = self._read[_SWITCHES:]
        self._rest = np.empty(STATE + ALL_HIDDEN)  # the same in double precision
        self._read_fresh = self._rest[:STATE]
        self._read_fields = self._rest[STATE + _WIDE :]

        self._given = np.empty(GATES, np.float32)
        self._given_switches, self._given_fresh = self._given[:_SWITCHES], self._given[_SWITCHES:]
        self._switch_entries = np.empty(_SWITCHES, np.intp)
        self._switches = np.empty(_SWITCHES)
        self._kept, self._used = self._switches[STATE:], self._switches[:STATE]
        self._fresh_entries = np.empty(STATE, np.intp)
        self._fresh, self._work = np.empty(STATE), np.empty(STATE)

        self._phoneme = -1  # whose layers ``told`` holds
        self._told = np.empty(ALL_HIDDEN - _WIDE)
        hidden = self._rest[STATE : STATE + _WIDE]
        self._phonemes = _Field(network.layers["phoneme"], hidden, network.weights, N_PHONEMES)
        self._unlikely = np.empty(N_PHONEMES)
        begin, fields = 0, []
        for name in FIELDS[1:]:
            end = begin + HEADS[name].width
            layer, values = network.layers[name], LEVELS[name]
            if name == "duration" and even:
                layer, values = network.even_duration, values // 2
            fields.append(_Field(layer, self._told[begin:end], network.weights, values))
            begin = end
        self._durations, self._voicing, self._energies, self._firsts, self._seconds = fields
        self._read_state()
        self._read_first = self._read.copy()

    def begin(self) -> None:
        """Nothing was told yet."""
        self._pitch, self._energy, self._spoken, self._phoneme = NO_PITCH, START_ENERGY, (), -1
        self._state[...] = self._begin
        self._read[...] = self._read_first
        self._rest[...] = self._read_rest

    def phoneme(self) -> Odds:
        field, spoken = self._phonemes, self._spoken
        field.ask()
        if len(spoken) == 3:
            history = (spoken[0] * N_PHONEMES + spoken[1]) * N_PHONEMES + spoken[2]
            unlikely = self._unlikely
            unlikely[...] = self._net.ngram[history]
            _multiply(unlikely, field.last, unlikely)
            _subtract(field.values, unlikely, field.values)
        return field.odds()

    def duration(self, phoneme: int) -> Odds:
        """Of ticks - 1, or of half the ticks - 1 in an even block."""
        if phoneme != self._phoneme:
            self._tell(phoneme)
        self._durations.ask()
        return self._durations.odds()

    def voiced(self, phoneme: int, duration_ticks: int) -> Odds:
        """One of not many: yes is some steps likelier than no."""
        if phoneme != self._phoneme:
            self._tell(phoneme)
        self._voicing.ask_when(duration_ticks - 1)
        steps = int(self._voicing.last.item())
        return self._net.two[min(max(steps, -ODDS_REACH), ODDS_REACH) + ODDS_REACH]

    def energy(self, phoneme: int, duration_ticks: int, voiced: bool) -> Odds:
        if phoneme != self._phoneme:
            self._tell(phoneme)
        known = 2 * duration_ticks - 2 + voiced
        self._energies.ask_when(known, self._energy)
        return self._energies.odds()

    def pitch_first(self, phoneme: int, energy: int) -> Odds:
        if phoneme != self._phoneme:
            self._tell(phoneme)
        start = START_PITCH if self._pitch == NO_PITCH else self._pitch
        self._firsts.ask_when(energy * _PITCHES + self._pitch, start)
        return self._firsts.odds()

    def pitch_second(self, phoneme: int, duration_ticks: int, first: int) -> Odds:
        if phoneme != self._phoneme:
            self._tell(phoneme)
        known = (duration_ticks - 1) * _JUMPS + self._jump(first)
        self._seconds.ask_when(known, first)
        return self._seconds.odds()

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
        inputs, given = self._net.inputs, self._given
        begun = self._begun[phoneme * MAX_EVENT_TICKS + duration_ticks - 1]
        _add(begun, inputs.energy[self._energy * ENERGY_LEVELS + energy], given)
        if hole:
            _add(given, inputs.hole, given)
        if voiced:
            first, second = pitch
            _add(given, inputs.melody[first * PITCH_LEVELS + second], given)
            _add(given, inputs.jump[self._jump(first)], given)
            self._pitch = second
        self._energy = energy
        if phoneme != SILENCE and self._spoken[-1:] != (phoneme,):
            self._spoken = (*self._spoken[-2:], phoneme)
        self._step()

    def _step(self) -> None:
        """One step of the gated recurrent unit (Cho et al., 2014)."""
        net, state, work, fresh = self._net, self._state, self._work, self._fresh
        _add(self._given_switches, self._read_switches, self._given_switches)
        self._switch_entries[...] = self._given_switches  # curves are tabulated
        net.sigmoid.take(self._switch_entries, None, self._switches, "clip")
        _multiply(self._used, self._read_fresh, work)
        fresh[...] = self._given_fresh
        _add(fresh, work, work)
        self._fresh_entries[...] = work
        net.tanh.take(self._fresh_entries, None, fresh, "clip")
        _subtract(state, fresh, work)
        _multiply(work, self._kept, work)
        _add(work, fresh, work)
        _rint(work, state)
        self._read_state()

    def _read_state(self) -> None:
        work = self._work
        _multiply(self._state, _FINEST, work)
        _rint(work, work)
        self._coarse_state[...] = work
        self._net.matrix.dot(self._coarse, self._read)
        self._rest[...] = self._read_rest
        self._phoneme = -1

    def _tell(self, phoneme: int) -> None:
        """What follows is asked of that phoneme: all layers get its row in one addition."""
        _add(self._read_fields, self._net.phonemes[phoneme], self._told)
        self._phoneme = phoneme

    def _jump(self, first: int) -> int:
        """Row of the change from the pitch before, clipped."""
        if self._pitch == NO_PITCH:
            return _JUMP
        return min(max(first - self._pitch, -_JUMP), _JUMP) + _JUMP
