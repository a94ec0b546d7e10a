"""Which frames hold nothing but the background: a noise floor for each band of the spectrum.

Frames of 20 ms go in, a flag for each comes out. The floor is what each band's level fell to
lately (minimum statistics, Martin, 2001); a frame is background when no band stands out from its
floor and none did for a while, so that the closures of stops stay parts of words. Every frame is
judged by what came before it alone.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

FRAME_MS: Final = 20
FRAME_SAMPLES: Final = FRAME_MS * SAMPLE_RATE_HZ // 1000
BAND_EDGES_HZ: Final = (100, 300, 600, 1200, 2400, 4000, 7600)
MEMORY_FRAMES: Final = 100  # 2 s: nobody speaks that long without a gap in every band
SETTLE_FRAMES: Final = 6  # until the smoothing has enough to smooth
KNOWN_FRAMES: Final = 50  # before that the floor may still be somebody's vowel
SMOOTHING: Final = 0.6  # of a band's level: noise of a single frame strays too far
LIFT_DB: Final = 9.0  # a smoothed level this far over the floor is speech, or may be
LEAP_DB: Final = 15.0  # and so is a single frame's
LOUD_RMS: Final = 0.01  # -40 dBFS: what is loud is never taken for background
QUIET_RMS: Final = 2e-5
"""-94 dBFS: less than a bit of a sound card; nobody speaks below, however far from it."""
FAINT_RMS: Final = 2e-4  # -74 dBFS: silence as long as the floor is not known
PATIENCE_FRAMES: Final = 10  # of background before the first that counts
LEAST_POWER: Final = 1e-9

Flags = np.ndarray[Any, np.dtype[np.bool_]]


def _bands() -> list[slice]:
    hz_a_bin = SAMPLE_RATE_HZ / FRAME_SAMPLES
    edges = [round(hz / hz_a_bin) for hz in BAND_EDGES_HZ]
    return [slice(low, high) for low, high in zip(edges, edges[1:], strict=False)]


class NoiseFloor:
    """Follows one stream."""

    _BANDS: Final = _bands()
    _WINDOW: Final = np.hanning(FRAME_SAMPLES + 1)[:-1]

    def __init__(self) -> None:
        self._smooth: np.ndarray[Any, np.dtype[np.float64]] | None = None
        # smoothed powers of each band, [6] each; drops the oldest
        self._memory: deque[np.ndarray[Any, np.dtype[np.float64]]] = deque(maxlen=MEMORY_FRAMES)
        self._seen = 0
        self._still = 0  # frames since one stood out

    def push(self, frames: Pcm) -> Flags:
        """[n, FRAME_SAMPLES] → [n]: does the frame hold nothing but background?"""
        return np.array([self._judge(frame.astype(np.float64)) for frame in frames], bool)

    def _judge(self, frame: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
        rms = float(np.sqrt(np.mean(frame * frame)))
        spectrum = np.abs(np.fft.rfft(frame * self._WINDOW)) ** 2 / FRAME_SAMPLES
        power = np.array([spectrum[band].mean() for band in self._BANDS]) + LEAST_POWER
        before = power if self._smooth is None else self._smooth
        smooth = self._smooth = SMOOTHING * before + (1.0 - SMOOTHING) * power
        self._seen += 1
        if self._seen > SETTLE_FRAMES:
            self._memory.append(smooth)
        if rms < QUIET_RMS:
            return True
        if not self._memory:
            return rms < FAINT_RMS
        floor = np.min(self._memory, axis=0)
        lifted = smooth > floor * 10.0 ** (LIFT_DB / 10.0)
        leapt = power > floor * 10.0 ** (LEAP_DB / 10.0)
        stands_out = rms > LOUD_RMS or bool((lifted | leapt).any())
        self._still = 0 if stands_out else self._still + 1
        if self._seen < KNOWN_FRAMES:
            return rms < FAINT_RMS
        return self._still > PATIENCE_FRAMES
