"""Edit distance between two sequences: the count under every error rate here.

Sequences of anything hashable go in, counts come out. Levenshtein, 1966.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Edits:
    """How a hypothesis differs from its reference, by the cheapest path."""

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors a reference symbol, capped at 1; an empty reference counts any insertion as 1."""
        if self.reference_length == 0:
            return float(self.insertions > 0)
        return min(1.0, self.total / self.reference_length)


def merge_repeats(symbols: Iterable[T]) -> list[T]:
    """Runs of one symbol become one: split phonemes are one phoneme."""
    merged: list[T] = []
    for symbol in symbols:
        if not merged or merged[-1] != symbol:
            merged.append(symbol)
    return merged


def count_edits(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Edits:
    """Levenshtein alignment in O(len(reference) * len(hypothesis))."""
    ids: dict[Hashable, int] = {}
    a = np.array([ids.setdefault(s, len(ids)) for s in reference], np.int64)
    b = np.array([ids.setdefault(s, len(ids)) for s in hypothesis], np.int64)
    n, m = len(a), len(b)
    cost = np.zeros((n + 1, m + 1), np.int32)
    cost[0] = np.arange(m + 1)
    steps = np.arange(m + 1)
    for i in range(1, n + 1):
        row = cost[i - 1] + 1
        row[1:] = np.minimum(row[1:], cost[i - 1, :-1] + (b != a[i - 1]))
        # An insertion costs 1 a column: the running minimum of (row - column) spreads it.
        cost[i] = np.minimum.accumulate(row - steps) + steps
    substitutions = deletions = insertions = 0
    i, j = n, m
    while i or j:
        here = cost[i, j]
        if i and j and here == cost[i - 1, j - 1] + (a[i - 1] != b[j - 1]):
            substitutions += int(a[i - 1] != b[j - 1])
            i, j = i - 1, j - 1
        elif i and here == cost[i - 1, j] + 1:
            deletions, i = deletions + 1, i - 1
        else:
            insertions, j = insertions + 1, j - 1
    return Edits(substitutions, deletions, insertions, n)
