"""Trained probability tables: how likely each symbol of the bitstream is in its context.

Tables of bytes come in (``assets/models/tables.safetensors``), entropy models for the range coder and
their costs in bits go out. Both ends of a call must hold the same tables, so what the coder sees is
made from integers alone and does not depend on the platform's rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import constriction
import numpy as np
from numpy.typing import NDArray

from engine.events import CODE_LEVELS, ENERGY_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS, PITCH_LEVELS
from engine.phonemes import N_PHONEMES, PHONEME_ID, PHONEMES, VOWELS
from engine.weights import WeightsError, load_weights

MAX_BLOCK_EVENTS: Final = 64
STEPS_PER_BIT: Final = 12  # a cost fits a byte: the rarest symbol takes 21 bits
RATES: Final = 4  # classes of the previous event's duration
ENERGY_BANDS: Final = 6
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

NO_PHONEME: Final = N_PHONEMES  # context of a block's first event
NO_CLASS: Final = N_CLASSES
NO_PITCH: Final = PITCH_LEVELS
NO_ENERGY: Final = -1

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "count": (MAX_BLOCK_EVENTS,),
    "grid": (2,),
    "phoneme": (N_PHONEMES + 1, N_PHONEMES + 1, N_PHONEMES),  # one before, previous
    "hole": (2, 2),  # previous is silence
    "hole_exponent": (HOLE_EXPONENTS,),
    "duration": (N_CLASSES + 1, RATES, N_PHONEMES, MAX_EVENT_TICKS),  # previous class, rate, this
    "duration_even": (N_CLASSES + 1, RATES, N_PHONEMES, MAX_EVENT_TICKS // 2),
    "voiced": (3, N_CLASSES + 1, N_PHONEMES, 2),  # previous voicing, previous class, this
    "pitch_first": (2, PITCH_LEVELS + 1, PITCH_LEVELS),  # previous voiced, last pitch
    "pitch_second": (5, PITCH_LEVELS, PITCH_LEVELS),  # step to the first point, first point
    "energy_first": (2, N_CLASSES, ENERGY_LEVELS),  # voiced, class
    "energy_step": (ENERGY_BANDS, 2, N_CLASSES + 1, N_CLASSES, 2 * ENERGY_LEVELS - 1),
    "layers": (MAX_LAYERS + 2, MAX_LAYERS + 1),  # of the previous event
    "code": (MAX_LAYERS, N_CLASSES, CODE_LEVELS),
}
"""Contexts first, symbols last. The order of the fields is that of ``engine.bitstream``."""


class Tables:
    """One row for every field and context, and the range coder's models of them.

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
        self._rows: dict[tuple[str, tuple[int, ...]], tuple[Any, list[float]]] = {}
        self._bits: dict[str, NDArray[np.float64]] = {}

    def _row(self, field: str, context: tuple[int, ...]) -> tuple[Any, list[float]]:
        key = (field, context)
        row = self._rows.get(key)
        if row is None:
            p = self.probabilities(field, context)
            model = constriction.stream.model.Categorical(p, perfect=False)
            row = self._rows[key] = (model, (-np.log2(p)).tolist())
        return row

    def probabilities(self, field: str, context: tuple[int, ...]) -> NDArray[np.float64]:
        """[S]: integers divided by their sum, so the same on every platform."""
        weights = self._weights[self._costs[field][context]]
        return np.asarray(weights / float(weights.sum()))

    def model(self, field: str, context: tuple[int, ...]) -> Any:
        """The range coder's model of ``field`` in ``context``; built once, then kept."""
        return self._row(field, context)[0]

    def cost_bits(self, field: str, context: tuple[int, ...], symbol: int) -> float:
        return self._row(field, context)[1][symbol]

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
