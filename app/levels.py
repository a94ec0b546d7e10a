"""Level meters: RMS and peak of the last moments, with a clip warning that stays for a second."""

from __future__ import annotations

import numpy as np

from app.stats import SILENT_DBFS, Level
from engine.events import Pcm

CLIP: float = 0.999
CLIP_HOLD_MS = 1000.0
FALL_DB_PER_S = 60.0  # how fast the meter falls when sound stops


def _db(value: float) -> float:
    return max(SILENT_DBFS, 20.0 * float(np.log10(max(value, 1e-6))))


def level_of(pcm: Pcm) -> Level:
    """[N] float32 → its level; silence for nothing."""
    if not len(pcm):
        return Level()
    peak = float(np.abs(pcm).max())
    rms = float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64))))
    return Level(_db(rms), _db(peak), peak >= CLIP)


class LevelMeter:
    def __init__(self) -> None:
        self._level = Level()
        self._clipped_ms = float("-inf")
        self._then_ms = 0.0

    def push(self, pcm: Pcm, now_ms: float) -> None:
        """Rises at once, falls at FALL_DB_PER_S."""
        if not len(pcm):
            return
        level = level_of(pcm)
        if level.clipped:
            self._clipped_ms = now_ms
        fall = FALL_DB_PER_S * max(0.0, now_ms - self._then_ms) / 1000.0
        self._then_ms = now_ms
        self._level = Level(
            max(level.rms_dbfs, self._level.rms_dbfs - fall),
            max(level.peak_dbfs, self._level.peak_dbfs - fall),
            now_ms - self._clipped_ms < CLIP_HOLD_MS,
        )

    @property
    def level(self) -> Level:
        return self._level
