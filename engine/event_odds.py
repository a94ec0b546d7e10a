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
from engine.phonemes import N_PHONEMES
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
ALL_HIDDEN: Final = sum(head.width for head in HEADS.values())
GATES: Final = 3 * STATE


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "begin": (2, STATE),
        "kind": (2, GATES),
        "inputs": (sum(LEVELS[name] for name in INPUTS), GATES),
        "matrix": (GATES + ALL_HIDDEN, STATE),
        "bias": (GATES + ALL_HIDDEN,),
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


Rows = tuple[NDArray[Any], ...]
"""A table taken apart: finding a row costs as much as adding it otherwise."""


class Layer(NamedTuple):
    """One field's way from the state to its logits, laid out for few operations."""

    part: slice
    """Of the matrix' outputs."""
    phonemes: Rows
    """[width] each: added when the phoneme is known; none for the phoneme's own odds."""
    known: Rows
    """[width] each: added for what is known of the event besides its phoneme. Of two things known the
    second changes faster; of nothing there is one row of zeros."""
    out: Rows
    """[1 + width, outputs] each, in steps of the odds, the bias first. Energy and pitch have one such
    matrix for each level that changes count from."""


class Inputs(NamedTuple):
    """What the gates get from an event, [gates] a row, in sums that need few additions."""

    begun: tuple[Rows, Rows]
    """By phoneme and ticks - 1, on ticks and in even blocks: what a voiceless event without a hole
    before it gives, its energy apart."""
    energy: Rows
    """By energy before and energy."""
    hole: NDArray[np.float32]
    """What a hole before the event changes."""
    melody: Rows
    """By first and second pitch: what voicing changes, the jump apart."""
    jump: Rows


@dataclass(frozen=True, slots=True)
class EventNetwork:
    """The trained weights, each exact on its grid; shared by all blocks.

    States are in steps of STATE_GRID. What leads to a curve is in its entries, what leads to odds in
    their steps.
    """

    begin: F64
    """[2, STATE] the state before the first event; blocks on ticks, even blocks."""
    inputs: Inputs
    matrix: NDArray[np.float32]
    """[gates and hidden layers, 1 + STATE], the bias first; from states in steps of READ_GRID."""
    sigmoid: F64
    tanh: F64
    layers: Mapping[str, Layer]
    even_duration: Layer
    """The duration's where all of them are even."""
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
        part = slice(GATES + _HIDDEN[n], GATES + _HIDDEN[n] + head.width)
        known = [exact[f"known_{n}_{of}"] for of in head.known]
        out, bias = exact[f"out_{n}"] * ODDS_STEPS, exact[f"out_bias_{n}"] * ODDS_STEPS
        # States stay within ±1, so these sums bound whatever a block can lead to.
        reach = np.abs(matrix[part]).sum(1) + np.abs(exact["bias"][part])
        reach = reach + sum(np.abs(rows).max(0, initial=0.0) for rows in known)
        logits = np.abs(out) @ reach + np.abs(bias)
        logits[-1] *= 256 / NGRAM_STEPS if n == "phoneme" else 1
        worst = max(worst, float(logits.max()))
        layers[n] = _layer(n, part, known, np.vstack([bias, out.T]))
    inputs = exact["inputs"] * CURVE_STEPS
    kinds = exact["kind"] * CURVE_STEPS + (CURVE_REACH + 0.5)  # truncation rounds
    given = (len(INPUTS) * np.abs(inputs).max(0) + np.abs(kinds).max(0)) / CURVE_STEPS
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
    matrix[:GATES] *= CURVE_STEPS
    return EventNetwork(
        exact["begin"] * STATE_GRID,
        _inputs(inputs, kinds),
        np.asfortranarray(matrix, np.float32),
        exact["sigmoid"],
        exact["tanh"] * STATE_GRID,
        layers,
        layers["duration"]._replace(out=(layers["duration"].out[0][:, 1::2].copy(),)),
        ngram.reshape(-1, N_PHONEMES),
        weights.astype(np.float64),
    )


def _inputs(rows: F64, kinds: F64) -> Inputs:
    """``rows``: [sum of LEVELS of INPUTS, gates], ``kinds``: [2, gates] what all events give."""
    of = {name: rows[begin : begin + LEVELS[name]] for name, begin in _INPUT_ROW.items()}
    begun = of["phoneme"][:, None] + of["duration"] + of["hole"][0] + of["voiced"][0]
    levels = np.arange(ENERGY_LEVELS)
    louder = of["louder"][levels - levels[:, None] + LARGEST["louder"]]
    first = np.arange(PITCH_LEVELS)[:, None]
    glides = (np.arange(PITCH_LEVELS) - first).clip(-LARGEST["glide"], LARGEST["glide"])
    glide = of["glide"][glides + LARGEST["glide"]]
    voiced = of["voiced"][1] - of["voiced"][0]
    melody = of["pitch_first"][:, None] + of["pitch_second"] + glide + voiced
    return Inputs(
        (_rows(begun + kinds[0]), _rows(begun + kinds[1])),
        _rows(of["energy"] + louder),
        np.subtract(*of["hole"][::-1]).astype(np.float32),
        _rows(melody),
        _rows(of["jump"]),
    )


def _rows(table: F64) -> Rows:
    """[..., gates] → every row, in order, single precision."""
    return tuple(table.reshape(-1, table.shape[-1]).astype(np.float32))


def _layer(name: str, part: slice, known: list[F64], out: F64) -> Layer:
    """``known``: the phoneme first. ``out``: [1 + width, outputs], the bias first."""
    phonemes, *known = known or [np.zeros((0, out.shape[0] - 1))]
    rows = known[0] if known else np.zeros((1, phonemes.shape[1]))
    if len(known) > 1:
        rows = (rows[:, None] + known[1]).reshape(-1, rows.shape[1])
    outs = [out]
    if name == "phoneme":
        out[:, -1] /= NGRAM_STEPS
    elif name not in ("duration", "voiced"):  # values, and changes from the level before
        levels = (out.shape[1] + 1) // 3
        values, changes = out[:, :levels], out[:, levels:]
        outs = [values + changes[:, levels - 1 - start :][:, :levels] for start in range(levels)]
    return Layer(part, tuple(phonemes), tuple(rows), tuple(map(np.ascontiguousarray, outs)))


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
