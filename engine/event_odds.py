"""How likely every value of an event's fields is, given the events before it in its block.

A small recurrent network and the recogniser's phoneme 4-gram read a block event by event. Both ends
of a call must find the very same odds, so weights, states and curves lie on binary grids coarse
enough that floating point holds every product and every sum exactly: no order of summation, library
or processor changes a digit. Trained by ``engine.training.event_odds``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.events import ENERGY_LEVELS, MAX_EVENT_TICKS, PITCH_LEVELS
from engine.phonemes import N_PHONEMES, SILENCE
from engine.probability import Odds
from engine.weights import WeightsError, load_weights

F64 = NDArray[np.float64]

STATE: Final = 160
STATE_GRID: Final = 2048  # steps per unit of states and of what is added to them
READ_GRID: Final = 128  # … of states as the matrices read them
WEIGHT_GRID: Final = 256  # … of the matrices that read states: single precision is exact for these
CURVE_STEPS: Final = 256  # entries per unit of the sigmoid and of tanh …
CURVE_REACH: Final = 2048  # … which are flat this many entries from zero
ODDS_STEPS: Final = 64  # per nat
ODDS_REACH: Final = 768  # steps: nothing is rarer than 12 nats below the likeliest
NGRAM_STEPS: Final = 16  # per nat

NO_PITCH: Final = PITCH_LEVELS  # nothing voiced in this block yet
START_PITCH: Final = 20  # what changes count from when nothing was told yet
START_ENERGY: Final = 12
NO_HISTORY: Final = N_PHONEMES**3  # fewer than three phonemes were told

LARGEST: Final[dict[str, int]] = {"louder": ENERGY_LEVELS - 1, "jump": 12, "glide": 12}
"""Changes of energy since the event before, of pitch since the last one, and within an event."""

LEVELS: Final[dict[str, int]] = {
    "phoneme": N_PHONEMES,
    "hole": 2,  # silence that nobody sent before this event
    "duration": MAX_EVENT_TICKS,  # ticks - 1
    "voiced": 2,
    "energy": ENERGY_LEVELS,
    "pitch_first": PITCH_LEVELS,
    "pitch_second": PITCH_LEVELS,
    **{name: 2 * largest + 1 for name, largest in LARGEST.items()},
    "last_pitch": PITCH_LEVELS + 1,
}
INPUTS: Final = tuple(name for name in LEVELS if name != "last_pitch")
"""What the network reads of every event."""
MELODIC: Final = frozenset({"pitch_first", "pitch_second", "jump", "glide"})
"""… and of these only when it is voiced."""


class Head(NamedTuple):
    """What becomes of the state when a field's odds are wanted."""

    width: int
    outputs: int
    known: tuple[str, ...] = ()
    """What of the same event was told before."""


HEADS: Final[dict[str, Head]] = {
    "phoneme": Head(128, N_PHONEMES + 1),  # and how far the 4-gram is believed
    "duration": Head(48, MAX_EVENT_TICKS, ("phoneme",)),
    "voiced": Head(32, 2, ("phoneme", "duration")),
    # Values, then changes: what follows from the one adds to what follows from the other.
    "energy": Head(64, 3 * ENERGY_LEVELS - 1, ("phoneme", "duration", "voiced")),
    "pitch_first": Head(64, 3 * PITCH_LEVELS - 1, ("phoneme", "energy", "last_pitch")),
    "pitch_second": Head(64, 3 * PITCH_LEVELS - 1, ("phoneme", "duration", "jump")),
}
FIELDS: Final = tuple(HEADS)


def _offsets(sizes: Mapping[str, int]) -> dict[str, int]:
    """Where each part begins when all are put one after the other."""
    begins, total = {}, 0
    for name, size in sizes.items():
        begins[name], total = total, total + size
    return begins


_INPUT_ROW: Final = _offsets({name: LEVELS[name] for name in INPUTS})
_HIDDEN: Final = _offsets({n: head.width for n, head in HEADS.items()})
_GATES: Final = 3 * STATE


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "begin": (2, STATE),
        "kind": (2, _GATES),
        "inputs": (sum(LEVELS[name] for name in INPUTS), _GATES),
        "matrix": (_GATES + sum(head.width for head in HEADS.values()), STATE),
        "bias": (_GATES + sum(head.width for head in HEADS.values()),),
        "sigmoid": (2 * CURVE_REACH,),
        "tanh": (2 * CURVE_REACH,),
    }
    for name, head in HEADS.items():
        shapes[f"out_{name}"] = (head.outputs, head.width)
        shapes[f"out_bias_{name}"] = (head.outputs,)
        for of in head.known:
            shapes[f"known_{name}_{of}"] = (LEVELS[of], head.width)
    return shapes


SHAPES: Final = _shapes()


class _Layer(NamedTuple):
    """One field's way from the state to its logits."""

    part: slice
    """Of the matrix' outputs."""
    known: F64
    """Rows to add for what is known of the event, one table after the other …"""
    begins: tuple[int, ...]
    """… which begin here."""
    out: F64
    bias: F64


@dataclass(frozen=True, slots=True)
class EventNetwork:
    """The trained weights, each exact on its grid; shared by all blocks.

    What leads to a curve is in its entries, what leads to odds in their steps.
    """

    begin: F64
    """[2, STATE] the state before the first event; blocks on ticks, even blocks."""
    kind: F64
    inputs: F64
    matrix: NDArray[np.float32]
    """State → gates and hidden layers."""
    bias: F64
    sigmoid: F64
    tanh: F64
    layers: Mapping[str, _Layer]
    ngram: NDArray[np.uint8]
    """[43 ** 3, 43] NGRAM_STEPS by history."""
    weights: F64
    """[ODDS_REACH] whole numbers: the weight of a value so many steps below the likeliest."""


def network_of(
    tensors: Mapping[str, NDArray[np.int16]], ngram: NDArray[np.uint8], weights: NDArray[np.int64]
) -> EventNetwork:
    """Check and unfold what a file holds. Raises WeightsError when it cannot be computed exactly."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if shapes != SHAPES or weights.shape != (ODDS_REACH,) or ngram.shape != (N_PHONEMES,) * 4:
        raise WeightsError("Model event_odds.safetensors does not fit: reinstall Sottovoce.")
    exact = {name: tensor.astype(np.float64) / STATE_GRID for name, tensor in tensors.items()}
    matrix = tensors["matrix"].astype(np.float64) / WEIGHT_GRID
    layers, worst = {}, 0.0
    for n, head in HEADS.items():
        part = slice(_GATES + _HIDDEN[n], _GATES + _HIDDEN[n] + head.width)
        known = [exact[f"known_{n}_{of}"] for of in head.known] or [np.zeros((0, head.width))]
        begins = tuple(_offsets({of: LEVELS[of] for of in head.known}).values())
        out, bias = exact[f"out_{n}"] * ODDS_STEPS, exact[f"out_bias_{n}"] * ODDS_STEPS
        layers[n] = _Layer(part, np.concatenate(known), begins, out, bias)
        # States stay within ±1, so these sums bound whatever a block can lead to.
        reach = np.abs(matrix[part]).sum(1) + np.abs(exact["bias"][part])
        reach = reach + sum(np.abs(rows).max(0, initial=0.0) for rows in known)
        logits = np.abs(out) @ reach + np.abs(bias)
        logits[-1] *= 256 / NGRAM_STEPS if n == "phoneme" else 1
        worst = max(worst, float(logits.max()))
    gates = np.abs(matrix).sum(1) * READ_GRID * WEIGHT_GRID
    curves = max(float(np.abs(exact[name]).max()) for name in ("sigmoid", "tanh", "begin"))
    single, double = 2.0**24, 2.0**53
    if gates.max() >= single or 8 * worst * STATE_GRID**2 * NGRAM_STEPS >= double or curves > 1.0:
        raise WeightsError("Model event_odds.safetensors is damaged: reinstall Sottovoce.")
    if weights.min() < 1 or weights.max() > 1 << 40:
        raise WeightsError("Model event_odds.safetensors is damaged: reinstall Sottovoce.")
    bias = exact["bias"].copy()
    bias[:_GATES] *= CURVE_STEPS
    matrix[:_GATES] *= CURVE_STEPS
    return EventNetwork(
        exact["begin"],
        exact["kind"] * CURVE_STEPS + (CURVE_REACH + 0.5),  # so that truncation rounds
        exact["inputs"] * CURVE_STEPS,
        matrix.astype(np.float32),
        bias,
        exact["sigmoid"],
        exact["tanh"],
        layers,
        ngram.reshape(-1, N_PHONEMES),
        weights.astype(np.float64),
    )


@lru_cache(maxsize=1)
def default_network() -> EventNetwork:
    """The network that ships with the program. Raises WeightsError when missing or altered."""
    tensors, _ = load_weights("event_odds")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    weights = arrays.pop("weights", np.zeros(0, np.int64))
    return network_of(arrays, load_weights("ngram")[0]["table"].numpy(), weights)


def odds_weights() -> NDArray[np.int64]:
    """[ODDS_REACH] made once and shipped, because exponentials may round differently elsewhere."""
    return np.round(2.0**30 * np.exp(-np.arange(ODDS_REACH) / ODDS_STEPS)).astype(np.int64)


class EventOdds:
    """One block's reader: ask for the odds of the fields in order, then ``advance``."""

    def __init__(self, network: EventNetwork, even: bool) -> None:
        """``even``: every boundary of the block lies on the recogniser's 20 ms grid."""
        self._net = network
        self._even = even
        self._kind = network.kind[int(even)]
        self._pitch = NO_PITCH
        self._energy = START_ENERGY
        self._spoken: tuple[int, ...] = ()
        self._set_state(network.begin[int(even)])

    def phoneme(self) -> Odds:
        logits = self._logits("phoneme")
        spoken = self._spoken
        if len(spoken) < 3:
            return self._odds(logits[:-1])
        history = (spoken[0] * N_PHONEMES + spoken[1]) * N_PHONEMES + spoken[2]
        return self._odds(logits[:-1] - logits[-1] * (self._net.ngram[history] / NGRAM_STEPS))

    def duration(self, phoneme: int) -> Odds:
        """Of ticks - 1, or of half the ticks - 1 in an even block."""
        logits = self._logits("duration", phoneme)
        return self._odds(logits[1::2] if self._even else logits)

    def voiced(self, phoneme: int, duration_ticks: int) -> Odds:
        return self._odds(self._logits("voiced", phoneme, duration_ticks - 1))

    def energy(self, phoneme: int, duration_ticks: int, voiced: bool) -> Odds:
        logits = self._logits("energy", phoneme, duration_ticks - 1, int(voiced))
        return self._odds(_relative(logits, self._energy, ENERGY_LEVELS))

    def pitch_first(self, phoneme: int, energy: int) -> Odds:
        logits = self._logits("pitch_first", phoneme, energy, self._pitch)
        start = START_PITCH if self._pitch == NO_PITCH else self._pitch
        return self._odds(_relative(logits, start, PITCH_LEVELS))

    def pitch_second(self, phoneme: int, duration_ticks: int, first: int) -> Odds:
        logits = self._logits("pitch_second", phoneme, duration_ticks - 1, self._jump(first))
        return self._odds(_relative(logits, first, PITCH_LEVELS))

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
        rows = [
            _INPUT_ROW["phoneme"] + phoneme,
            _INPUT_ROW["hole"] + hole,
            _INPUT_ROW["duration"] + duration_ticks - 1,
            _INPUT_ROW["voiced"] + voiced,
            _INPUT_ROW["energy"] + energy,
            _INPUT_ROW["louder"] + energy - self._energy + LARGEST["louder"],
        ]
        if voiced:
            rows += [
                _INPUT_ROW["pitch_first"] + pitch[0],
                _INPUT_ROW["pitch_second"] + pitch[1],
                _INPUT_ROW["jump"] + self._jump(pitch[0]),
                _INPUT_ROW["glide"] + _change("glide", pitch[1] - pitch[0]),
            ]
            self._pitch = pitch[1]
        self._energy = energy
        if phoneme != SILENCE and self._spoken[-1:] != (phoneme,):
            self._spoken = (*self._spoken[-2:], phoneme)
        self._step(rows)

    def _step(self, rows: list[int]) -> None:
        """One step of the gated recurrent unit (Cho et al., 2014)."""
        given = np.add.reduce(self._net.inputs.take(rows, 0)) + self._kind
        read, split = self._read, 2 * STATE
        gates = _curve(self._net.sigmoid, given[:split] + read[:split])
        fresh = _curve(self._net.tanh, given[split:] + gates[:STATE] * read[split:_GATES])
        state = fresh + gates[STATE:] * (self._state - fresh)
        self._set_state(np.rint(state * STATE_GRID) / STATE_GRID)

    def _set_state(self, state: F64) -> None:
        self._state = state
        coarse = (np.rint(state * READ_GRID) / READ_GRID).astype(np.float32)
        self._read: F64 = self._net.matrix @ coarse + self._net.bias

    def _logits(self, field: str, *known: int) -> F64:
        """``known``: what HEADS says, in its order. In steps of the odds."""
        layer = self._net.layers[field]
        hidden = self._read[layer.part]
        if known:
            rows = [begin + value for begin, value in zip(layer.begins, known, strict=True)]
            hidden = hidden + np.add.reduce(layer.known.take(rows, 0))
        logits: F64 = layer.out @ np.maximum(hidden, 0.0) + layer.bias
        return logits

    def _odds(self, logits: F64) -> Odds:
        steps = (np.maximum.reduce(logits) - logits).astype(np.intp)
        return Odds(self._net.weights.take(steps, mode="clip"))

    def _jump(self, first: int) -> int:
        return _change("jump", 0 if self._pitch == NO_PITCH else first - self._pitch)


def _curve(table: F64, at: F64) -> F64:
    """A tabulated function between its flat ends; ``at`` in entries."""
    return table.take(at.astype(np.intp), mode="clip")


def _change(name: str, change: int) -> int:
    largest = LARGEST[name]
    return min(max(change, -largest), largest) + largest


def _relative(logits: F64, start: int, levels: int) -> F64:
    """Logits of values and of changes from ``start`` → of values."""
    begin = 2 * levels - 1 - start
    return logits[:levels] + logits[begin : begin + levels]
