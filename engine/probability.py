"""Trained probability tables: how likely each symbol of the bitstream is in its context.

Rows of integers that sum to ``TOTAL`` come in (``assets/models/tables.safetensors``), entropy models
for the range coder and their costs in bits go out. Both ends of a call must hold the same tables,
so rows are integers and nothing here depends on floating-point rounding.
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

TOTAL: Final = 1 << 15  # what a row sums to; every entry is at least 1, so every symbol is codable
MAX_BLOCK_EVENTS: Final = 64
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
NO_ENERGY: Final = ENERGY_LEVELS

SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "count": (MAX_BLOCK_EVENTS,),
    "phoneme": (N_CLASSES + 1, N_PHONEMES + 1, N_PHONEMES),
    "hole": (2, 2),
    "hole_exponent": (HOLE_EXPONENTS,),
    "duration": (4, N_PHONEMES, MAX_EVENT_TICKS),
    "voiced": (3, N_PHONEMES, 2),
    "pitch_first": (PITCH_LEVELS + 1, PITCH_LEVELS),
    "pitch_second": (3, PITCH_LEVELS, PITCH_LEVELS),
    "energy": (N_CLASSES, ENERGY_LEVELS + 1, ENERGY_LEVELS),
    "layers": (MAX_LAYERS + 2, MAX_LAYERS + 1),
    "code": (MAX_LAYERS, N_CLASSES, CODE_LEVELS),
}
"""Contexts first, symbols last. The order of the fields is that of ``engine.bitstream``."""


class Tables:
    """One row for every field and context. Raises WeightsError when a table has another shape."""

    def __init__(self, rows: Mapping[str, NDArray[np.integer[Any]]]) -> None:
        if {name: table.shape for name, table in rows.items()} != SHAPES:
            raise WeightsError("Model tables.safetensors does not fit this version: reinstall it.")
        self.rows: dict[str, NDArray[np.int64]] = {}
        self._models: dict[tuple[object, ...], Any] = {}
        for name, table in rows.items():
            wide = table.astype(np.int64)
            if (wide < 1).any() or (wide.sum(axis=-1) != TOTAL).any():
                raise WeightsError("Model tables.safetensors is damaged: reinstall Sottovoce.")
            self.rows[name] = wide
        self.bits = {name: np.log2(TOTAL / table) for name, table in self.rows.items()}

    def model(self, field: str, context: tuple[int, ...]) -> Any:
        """The range coder's model of ``field`` in ``context``; built once, then kept."""
        key = (field, *context)
        if key not in self._models:
            probabilities = self.rows[field][context].astype(np.float64) / TOTAL
            self._models[key] = constriction.stream.model.Categorical(probabilities, perfect=False)
        return self._models[key]

    def cost_bits(self, field: str, context: tuple[int, ...], symbol: int) -> float:
        return float(self.bits[field][context][symbol])


@lru_cache(maxsize=1)
def default_tables() -> Tables:
    """The tables that ship with the program. Raises WeightsError when they are missing or altered."""
    tensors, _ = load_weights("tables")
    return Tables({name: tensor.numpy() for name, tensor in tensors.items()})
