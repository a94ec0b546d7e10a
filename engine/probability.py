"""Trained probability tables: how likely values are in the few situations that can be listed.

Counts as bytes come in (``assets/models/tables.safetensors``), the range coder's odds come out: of what
frames a block (its length, its grid, holes, layers), of articulation codes, and the statistics of
neighbours that concealment guesses with. Both ends of a call must hold the same tables, so odds are
whole numbers and do not depend on the platform's rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.events import CODE_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS
from engine.phonemes import N_PHONEMES, PHONEME_ID, PHONEMES, VOWELS
from engine.weights import WeightsError, load_weights

MAX_BLOCK_EVENTS: Final = 64
STEPS_PER_BIT: Final = 12  # a cost fits a byte: the rarest symbol takes 21 bits
RATES: Final = 4  # classes of the previous event's duration
HOLE_EXPONENTS: Final = 24  # a hole of up to 2 ** 24 ticks (46 h)

_CLASS_MEMBERS: Final = (
    "sil", "p t k", "b d ɡ ɾ", "f θ s ʃ h tʃ", "v ð z ʒ dʒ", "m n ŋ", "l ɹ w j",
)  # fmt: skip
N_CLASSES: Final = len(_CLASS_MEMBERS) + 2  # + short vowels, long vowels


def _classes() -> tuple[int, ...]:
    of = {p: index for index, members in enumerate(_CLASS_MEMBERS) for p in members.split()}
    short = {PHONEME_ID[p] for p in "ə ɪ ʌ ʊ ɛ æ ɚ".split()}
    of |= {PHONEMES[p]: N_CLASSES - (2 if p in short else 1) for p in VOWELS}
    return tuple(of[p] for p in PHONEMES)


PHONEME_CLASS: Final = _classes()
"""Manner class of each phoneme id: contexts that are too rare by phoneme are counted by class."""

_Categorical: Final = constriction.stream.model.Categorical

NO_PHONEME: Final = N_PHONEMES  # context of what begins
NO_CLASS: Final = N_CLASSES
NO_LAYERS: Final = MAX_LAYERS + 1  # nothing was spoken yet

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "count": (MAX_BLOCK_EVENTS,),
    "grid": (2,),
    "hole": (2, 2, 2),  # previous is silence, previous is as long as events get
    "hole_exponent": (HOLE_EXPONENTS,),
    "layers": (2, MAX_LAYERS + 2, MAX_LAYERS + 1),  # this is silence, layers spoken last
    "code": (MAX_LAYERS, N_PHONEMES, CODE_LEVELS),
    # What concealment asks: nothing is coded with these.
    "phoneme": (N_PHONEMES + 1, N_PHONEMES + 1, N_PHONEMES),  # one before, previous
    "duration": (N_CLASSES + 1, RATES, N_PHONEMES, MAX_EVENT_TICKS),  # previous class, rate, this
    "voiced": (N_PHONEMES, 2),
}
"""Contexts first, symbols last."""


class Odds:
    """How likely the values of one field are: whole numbers in proportion."""

    __slots__ = ("costs", "model", "total", "weights")

    def __init__(self, weights: NDArray[np.float64], total: float = 0.0) -> None:
        """weights: [S] whole numbers, 1 … 2 ** 40, so that every machine adds them up alike; total:
        their sum, if known."""
        self.weights = weights
        self.total = total or float(weights.sum())
        self.model: Any = _Categorical(weights, None, False)
        """The range coder's. Asked by keyword for the same (``perfect=False``) it takes longer."""
        self.costs: list[float] | None = None
        """What telling each value costs, where ``keep`` was called."""

    def keep(self) -> Odds:
        """These will be asked for again and again: list what the values cost."""
        self.costs = np.log2(self.total / self.weights).tolist()
        return self

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """[S], summing to 1."""
        return np.asarray(self.weights / self.total)

    def bits(self, symbol: int) -> float:
        """What telling ``symbol`` costs."""
        return math.log2(self.total / self.weights.item(symbol))


class Tables:
    """One row of odds for every field and context.

    ``costs``: for each field a table of bytes, the cost of a symbol in steps of 1 / STEPS_PER_BIT;
    ``weights``: [256] int, what each cost weighs against the other symbols of its row.
    Raises WeightsError when a table has another shape.
    """

    def __init__(self, costs: Mapping[str, NDArray[np.uint8]], weights: NDArray[np.int64]) -> None:
        if {name: table.shape for name, table in costs.items()} != SHAPES or weights.shape != (
            256,
        ):
            raise WeightsError("Model tables.safetensors does not fit this version: reinstall it.")
        if (weights < 1).any() or (weights > 1 << 40).any():
            raise WeightsError("Model tables.safetensors is damaged: reinstall Sottovoce.")
        self._costs = costs
        self._weights = weights.astype(np.int64)
        self._rows: dict[tuple[str, tuple[int, ...]], Odds] = {}
        self._bits: dict[str, NDArray[np.float64]] = {}
        self._codes: dict[int, tuple[Odds, ...]] = {}
        self.holes = self._all("hole")
        """By 2 * (what is before is silence) + (it is as long as events get)."""
        self.layers = self._all("layers")
        """By (MAX_LAYERS + 2) * (this is silence) + layers spoken last."""

    def odds(self, field: str, context: tuple[int, ...] = ()) -> Odds:
        """How likely the values of ``field`` are in ``context``; built once, then kept."""
        key = (field, context)
        row = self._rows.get(key)
        if row is None:
            weights = self._weights[self._costs[field][context]]
            row = self._rows[key] = Odds(weights.astype(np.float64)).keep()
        return row

    def _all(self, field: str) -> tuple[Odds, ...]:
        """In every context, the last changing fastest."""
        return tuple(self.odds(field, context) for context in np.ndindex(SHAPES[field][:-1]))

    def of_codes(self, phoneme: int) -> tuple[Odds, ...]:
        """Of all articulation codes of a phoneme, coarse to fine."""
        rows = self._codes.get(phoneme)
        if rows is None:
            rows = tuple(self.odds("code", (layer, phoneme)) for layer in range(MAX_LAYERS))
            self._codes[phoneme] = rows
        return rows

    def bits(self, field: str) -> NDArray[np.float64]:
        """What every symbol of ``field`` costs in every context, in the field's shape."""
        if field not in self._bits:
            weights = self._weights[self._costs[field]].astype(np.float64)
            self._bits[field] = -np.log2(weights / weights.sum(axis=-1, keepdims=True))
        return self._bits[field]


def weights_of_costs() -> NDArray[np.int64]:
    """[256] the integer weight of each cost. Shipped with the tables rather than computed there,
    because powers of two may round differently elsewhere."""
    return np.maximum(1, np.round(2.0 ** (24 - np.arange(256) / STEPS_PER_BIT))).astype(np.int64)


def costs_of_probabilities(p: NDArray[np.float64]) -> NDArray[np.uint8]:
    """[..., S] positive probabilities → [..., S] costs. Nothing costs more than 255 steps."""
    share = p / p.sum(axis=-1, keepdims=True)
    steps = np.clip(np.round(-np.log2(share) * STEPS_PER_BIT), 0, 255)
    return np.asarray(steps, np.uint8)


@lru_cache(maxsize=1)
def default_tables() -> Tables:
    """The tables that ship with the program. Raises WeightsError when missing or altered."""
    tensors, _ = load_weights("tables")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    weights = arrays.pop("weights", np.zeros(0, np.int64))
    return Tables(arrays, weights)
