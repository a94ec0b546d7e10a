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
from typing import Any, Final, NamedTuple

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
_ROW_PHONEME: Final = _INPUT_ROW["phoneme"]
_ROW_HOLE: Final = _INPUT_ROW["hole"]
_ROW_DURATION: Final = _INPUT_ROW["duration"] - 1
_ROW_VOICED: Final = _INPUT_ROW["voiced"]
_ROW_ENERGY: Final = _INPUT_ROW["energy"]
_ROW_LOUDER: Final = _INPUT_ROW["louder"] + LARGEST["louder"]
_ROW_FIRST: Final = _INPUT_ROW["pitch_first"]
_ROW_SECOND: Final = _INPUT_ROW["pitch_second"]
_ROW_JUMP: Final = _INPUT_ROW["jump"]
_ROW_GLIDE: Final = _INPUT_ROW["glide"]
_HIDDEN: Final = _offsets({n: head.width for n, head in HEADS.items()})
_GATES: Final = 3 * STATE
_ONES: Final = np.ones(len(INPUTS), np.float32)


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
    """One field's way from the state to its logits, laid out for few operations."""

    part: slice
    """Of the matrix' outputs."""
    known: tuple[F64, ...]
    """[values, width]: for what is known of the event a row of each is added; the last two things
    known share a table."""
    out: F64
    """[..., outputs, 1 + width] in steps of the odds, the bias first. Energy and pitch have one such
    matrix for each level that changes count from, durations one for each kind of block."""


@dataclass(frozen=True, slots=True)
class EventNetwork:
    """The trained weights, each exact on its grid; shared by all blocks.

    States are in steps of STATE_GRID. What leads to a curve is in its entries, what leads to odds in
    their steps.
    """

    begin: F64
    """[2, STATE] the state before the first event; blocks on ticks, even blocks."""
    inputs: NDArray[np.float32]
    """[2 * rows, gates]: for blocks on ticks, then for even ones. Every event has a row of "phoneme",
    which holds what all events have in common."""
    matrix: NDArray[np.float32]
    """[gates and hidden layers, 1 + STATE], the bias first; from states in steps of READ_GRID."""
    sigmoid: F64
    tanh: F64
    layers: Mapping[str, _Layer]
    ngram: NDArray[np.uint8]
    """[43 ** 3, 43] NGRAM_STEPS by history."""
    weights: F64
    """[ODDS_REACH] whole numbers: the weight of a value so many steps below the likeliest."""
    two: dict[int, Odds]
    """Odds of yes and no by how many steps the one is above the other; filled as they are met."""


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
        known = [exact[f"known_{n}_{of}"] for of in head.known]
        out, bias = exact[f"out_{n}"] * ODDS_STEPS, exact[f"out_bias_{n}"] * ODDS_STEPS
        # States stay within ±1, so these sums bound whatever a block can lead to.
        reach = np.abs(matrix[part]).sum(1) + np.abs(exact["bias"][part])
        reach = reach + sum(np.abs(rows).max(0, initial=0.0) for rows in known)
        logits = np.abs(out) @ reach + np.abs(bias)
        logits[-1] *= 256 / NGRAM_STEPS if n == "phoneme" else 1
        worst = max(worst, float(logits.max()))
        layers[n] = _layer(n, part, known, np.column_stack([bias, out]))
    inputs = _inputs(exact["inputs"], exact["kind"])
    given = len(INPUTS) * np.abs(inputs).max(0) / CURVE_STEPS
    reads = np.abs(matrix).sum(1) + np.abs(exact["bias"])
    reads[: 2 * STATE] += given[: 2 * STATE]
    largest = max(reads.max() * READ_GRID * WEIGHT_GRID, given.max() * STATE_GRID)
    curves = max(float(np.abs(exact[name]).max()) for name in ("sigmoid", "tanh", "begin"))
    single, double = 2.0**24, 2.0**53
    if largest >= single or 8 * worst * STATE_GRID**2 * NGRAM_STEPS >= double or curves > 1.0:
        raise WeightsError("Model event_odds.safetensors is damaged: reinstall Sottovoce.")
    if weights.min() < 1 or weights.max() > 1 << 40:
        raise WeightsError("Model event_odds.safetensors is damaged: reinstall Sottovoce.")
    matrix = np.column_stack([exact["bias"], matrix / READ_GRID])
    matrix[:_GATES] *= CURVE_STEPS
    return EventNetwork(
        exact["begin"] * STATE_GRID,
        inputs.astype(np.float32),
        np.asfortranarray(matrix, np.float32),
        exact["sigmoid"],
        exact["tanh"] * STATE_GRID,
        layers,
        ngram.reshape(-1, N_PHONEMES),
        weights.astype(np.float64),
        {},
    )


def _inputs(rows: F64, kind: F64) -> F64:
    """What the gates get from events, once for each kind of block."""
    both = np.stack([rows, rows]) * CURVE_STEPS
    both[:, :N_PHONEMES] += kind[:, None] * CURVE_STEPS + (CURVE_REACH + 0.5)  # truncation rounds
    return np.concatenate(list(both))


def _layer(name: str, part: slice, known: list[F64], out: F64) -> _Layer:
    """``out``: [outputs, 1 + width], the bias first."""
    if len(known) > 1:
        pairs = known[-2][:, None] + known[-1]
        known = [*known[:-2], pairs.reshape(-1, pairs.shape[-1])]
    if name == "duration":
        out = np.stack([out, np.concatenate([out[1::2], 0 * out[1::2]])])
    elif name == "voiced":
        out = out[1] - out[0]
    elif name != "phoneme":  # values, and changes from the level before
        levels = (len(out) + 1) // 3
        changes = [out[2 * levels - 1 - start :][:levels] for start in range(levels)]
        out = out[:levels] + np.stack(changes)
    return _Layer(part, tuple(known), np.ascontiguousarray(out))


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
        self._first_row = int(even) * (len(network.inputs) // 2)
        self._pitch = NO_PITCH
        self._energy = START_ENERGY
        self._spoken: tuple[int, ...] = ()
        self._coarse = np.ones(1 + STATE, np.float32)  # the first stays one, for the bias
        self._hidden = np.ones(1 + max(head.width for head in HEADS.values()))  # this too
        self._set_state(network.begin[int(even)])

    def phoneme(self) -> Odds:
        logits = self._logits(self._net.layers["phoneme"].out, "phoneme")
        spoken = self._spoken
        if len(spoken) < 3:
            return self._odds(logits[:-1])
        history = (spoken[0] * N_PHONEMES + spoken[1]) * N_PHONEMES + spoken[2]
        belief = float(logits[-1]) / NGRAM_STEPS
        return self._odds(logits[:-1] - belief * self._net.ngram[history])

    def duration(self, phoneme: int) -> Odds:
        """Of ticks - 1, or of half the ticks - 1 in an even block."""
        layer = self._net.layers["duration"]
        out = layer.out[1, : MAX_EVENT_TICKS // 2] if self._even else layer.out[0]
        return self._odds(self._logits(out, "duration", phoneme))

    def voiced(self, phoneme: int, duration_ticks: int) -> Odds:
        """One of not many: yes is some steps likelier than no."""
        known = phoneme * MAX_EVENT_TICKS + duration_ticks - 1
        steps = int(self._logits(self._net.layers["voiced"].out, "voiced", known))
        steps = min(max(steps, -ODDS_REACH), ODDS_REACH)
        odds = self._net.two.get(steps)
        if odds is None:
            logits = np.array([max(-steps, 0), max(steps, 0)], np.float64)
            odds = self._net.two.setdefault(steps, self._odds(logits))
        return odds

    def energy(self, phoneme: int, duration_ticks: int, voiced: bool) -> Odds:
        out = self._net.layers["energy"].out[self._energy]
        return self._odds(self._logits(out, "energy", phoneme, 2 * duration_ticks - 2 + voiced))

    def pitch_first(self, phoneme: int, energy: int) -> Odds:
        start = START_PITCH if self._pitch == NO_PITCH else self._pitch
        known = energy * LEVELS["last_pitch"] + self._pitch
        out = self._net.layers["pitch_first"].out[start]
        return self._odds(self._logits(out, "pitch_first", phoneme, known))

    def pitch_second(self, phoneme: int, duration_ticks: int, first: int) -> Odds:
        known = (duration_ticks - 1) * LEVELS["jump"] + self._jump(first)
        out = self._net.layers["pitch_second"].out[first]
        return self._odds(self._logits(out, "pitch_second", phoneme, known))

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
        begin = self._first_row
        rows = [
            begin + _ROW_PHONEME + phoneme,
            begin + _ROW_HOLE + hole,
            begin + _ROW_DURATION + duration_ticks,
            begin + _ROW_VOICED + voiced,
            begin + _ROW_ENERGY + energy,
            begin + _ROW_LOUDER + energy - self._energy,
        ]
        if voiced:
            rows += (
                begin + _ROW_FIRST + pitch[0],
                begin + _ROW_SECOND + pitch[1],
                begin + _ROW_JUMP + self._jump(pitch[0]),
                begin + _ROW_GLIDE + _change("glide", pitch[1] - pitch[0]),
            )
            self._pitch = pitch[1]
        self._energy = energy
        if phoneme != SILENCE and self._spoken[-1:] != (phoneme,):
            self._spoken = (*self._spoken[-2:], phoneme)
        self._step(rows)

    def _step(self, rows: list[int]) -> None:
        """One step of the gated recurrent unit (Cho et al., 2014)."""
        net, read, split = self._net, self._read, 2 * STATE
        given = _ONES[: len(rows)].dot(net.inputs.take(rows, 0))
        gates = _curve(net.sigmoid, given[:split] + read[:split])
        fresh = _curve(net.tanh, given[split:] + gates[:STATE] * read[split:_GATES])
        self._set_state(np.rint(fresh + gates[STATE:] * (self._state - fresh)))

    def _set_state(self, state: F64) -> None:
        self._state = state
        np.rint(state * (READ_GRID / STATE_GRID), out=self._coarse[1:], casting="same_kind")
        self._read: F64 = self._net.matrix.dot(self._coarse).astype(np.float64)

    def _logits(self, out: F64, field: str, *known: int) -> Any:
        """[...] of the rows of ``out``, in steps of the odds. ``known``: rows of the layer's tables."""
        layer = self._net.layers[field]
        width = layer.part.stop - layer.part.start
        hidden = self._hidden[1 : 1 + width]
        told = self._read[layer.part]
        for table, row in zip(layer.known, known, strict=True):
            told = told + table[row]
        np.maximum(told, 0.0, out=hidden)
        return out.dot(self._hidden[: 1 + width])

    def _odds(self, logits: F64) -> Odds:
        steps = (logits[logits.argmax()] - logits).astype(np.intp)
        return Odds(self._net.weights.take(steps, mode="clip"))

    def _jump(self, first: int) -> int:
        return _change("jump", 0 if self._pitch == NO_PITCH else first - self._pitch)


def _curve(table: F64, at: F64) -> F64:
    """A tabulated function between its flat ends; ``at`` in entries."""
    return table.take(at.astype(np.intp), mode="clip")


def _change(name: str, change: int) -> int:
    largest = LARGEST[name]
    return min(max(change, -largest), largest) + largest
