"""The live intelligibility meter: how many of the talker's phonemes reach the listener's ear.

Phonemes said at the near end and phonemes recognised in what is about to be played go in, each
with its tick on one time axis; 1 - PER over the last ten seconds comes out. It knows no clock
and keeps a bounded past.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from engine.edit_distance import merge_repeats
from engine.events import TICK_MS
from engine.phonemes import SILENCE

WINDOW_TICKS: Final = 10_000 // TICK_MS
MIN_PHONEMES: Final = 6  # fewer say nothing about a link
MISSING: Final = -1  # was said, but nobody knows what: matches nothing
EDGE_TICKS: Final = 20  # how far recognised phonemes may lie from where they were said
MAX_PHONEMES: Final = 600  # of each side: a minute of fast speech, ten seconds of a flood


class IntelligibilityMeter:
    """One arm's score. Ticks of both sides count on the same axis, delay already taken off."""

    def __init__(self, window_ticks: int = WINDOW_TICKS) -> None:
        self._window_ticks = window_ticks
        self._said: deque[tuple[int, int]] = deque(maxlen=MAX_PHONEMES)  # drops the oldest
        self._heard: deque[tuple[int, int]] = deque(maxlen=MAX_PHONEMES)  # drops the oldest
        self._ignored: deque[tuple[int, int]] = deque(maxlen=100)  # drops the oldest

    def said(self, tick: int, phoneme: int = MISSING) -> None:
        """The talker said ``phoneme`` at ``tick``; MISSING is one whose event was lost."""
        if phoneme != SILENCE:
            self._said.append((tick, phoneme))

    def heard(self, tick: int, phoneme: int) -> None:
        """The listener's end hears ``phoneme`` in what it plays at ``tick``."""
        if phoneme != SILENCE:
            self._heard.append((tick, phoneme))

    def ignore(self, start_tick: int, end_tick: int) -> None:
        """Nobody listened from ``start_tick`` to ``end_tick``: leave that stretch out."""
        self._ignored.append((start_tick, end_tick))

    def score(self, now_tick: int) -> float | None:
        """1 - PER over the window that ends at ``now_tick``, 0 ... 1; None when little was said.

        Said and not heard is a deletion. Runs of one phoneme are one phoneme. What is heard up to
        EDGE_TICKS outside the window may match, and what is left over at its ends is free.
        """
        start = now_tick - self._window_ticks
        said = merge_repeats(
            p if p != MISSING else MISSING - number  # each missing one counts, runs of them too
            for number, (t, p) in enumerate(self._said)
            if start <= t < now_tick and self._counts(t)
        )
        if len(said) < MIN_PHONEMES:
            return None
        heard = merge_repeats(
            p
            for t, p in self._heard
            if start - EDGE_TICKS <= t < now_tick + EDGE_TICKS and self._counts(t)
        )
        return max(0.0, 1.0 - _errors_within(said, heard) / len(said))

    def _counts(self, tick: int) -> bool:
        return not any(start <= tick < end for start, end in self._ignored)


def _errors_within(said: list[int], heard: list[int]) -> int:
    """Edits between ``said`` and the best stretch of ``heard``: what lies outside it is free."""
    row = np.arange(len(said) + 1)  # errors of said[:i] against a stretch that ends here
    best = int(row[-1])
    steps = np.arange(len(said) + 1)
    truth = np.array(said)
    for phoneme in heard:
        following = row + 1  # inserted
        following[0] = 0
        following[1:] = np.minimum(following[1:], row[:-1] + (truth != phoneme))
        row = np.minimum.accumulate(following - steps) + steps  # deleted
        best = min(best, int(row[-1]))
    return best
