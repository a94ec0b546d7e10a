"""The live intelligibility meter: how many of the talker's phonemes reach the listener's ear.

Phonemes said at the near end and phonemes recognised in what is about to be played go in, each
with its tick on one time axis; 1 - PER over the last ten seconds comes out. It knows no clock
and keeps a bounded past.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from engine.edit_distance import count_edits, merge_repeats
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

        Said and not heard is a deletion. Runs of one phoneme are one phoneme, and what is heard
        within EDGE_TICKS outside the window may match but is not held against the link.
        """
        start = now_tick - self._window_ticks
        said = merge_repeats(p for t, p in self._said if start <= t < now_tick and self._counts(t))
        if len(said) < MIN_PHONEMES:
            return None
        placed = [(t, p) for t, p in self._heard if self._counts(t)]
        inside = merge_repeats(p for t, p in placed if start <= t < now_tick)
        wider = merge_repeats(
            p for t, p in placed if start - EDGE_TICKS <= t < now_tick + EDGE_TICKS
        )
        edits = count_edits(said, inside)
        generous = count_edits(said, wider)
        surplus = max(0, len(wider) - len(inside))
        errors = min(edits.total, max(0, generous.total - min(surplus, generous.insertions)))
        return max(0.0, 1.0 - errors / len(said))

    def _counts(self, tick: int) -> bool:
        return not any(start <= tick < end for start, end in self._ignored)
