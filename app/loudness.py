"""Equal loudness for the two arms, so that a comparison is not won by the louder one.

Each arm's speech level is followed over some seconds (power above 150 Hz, pauses gated out); the
phoneme arm is turned up or down until both agree. The gain moves slowly enough not to be heard.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.signal import butter, sosfilt

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

GATE_DBFS: Final = -50.0  # what is below is pause, not speech
MEMORY_S: Final = 4.0
SETTLED_S: Final = 0.8  # speech of both arms needed before anything is turned
MAX_GAIN_DB: Final = 12.0
SLEW_DB_PER_S: Final = 6.0


class SpeechLevel:
    """Running level of speech in dBFS; pauses do not count."""

    def __init__(self) -> None:
        self._sos = butter(2, 150.0, "highpass", fs=SAMPLE_RATE_HZ, output="sos")
        self._state = np.zeros((self._sos.shape[0], 2))
        self._power = 0.0
        self.seconds = 0.0
        """Speech heard so far."""

    def push(self, pcm: Pcm) -> None:
        """[N] samples, N some 10 ms."""
        if not len(pcm):
            return
        heard, self._state = sosfilt(self._sos, pcm, zi=self._state)
        power = float(np.mean(heard**2))
        if power < 10.0 ** (GATE_DBFS / 10.0):
            return
        span_s = len(pcm) / SAMPLE_RATE_HZ
        self.seconds += span_s
        weight = span_s / min(max(self.seconds, span_s), MEMORY_S)
        self._power += weight * (power - self._power)

    @property
    def dbfs(self) -> float | None:
        """None until enough speech was heard."""
        if self.seconds < SETTLED_S:
            return None
        return float(10.0 * np.log10(max(self._power, 1e-12)))


class LoudnessMatch:
    """Gain of the phoneme arm that makes it as loud as the Opus arm."""

    def __init__(self) -> None:
        self._phonemes = SpeechLevel()
        self._opus = SpeechLevel()
        self.gain_db = 0.0

    def apply(self, phonemes: Pcm, opus: Pcm) -> Pcm:
        """Both arms' next [N] samples → the phoneme arm's at matched loudness."""
        self._phonemes.push(phonemes)
        self._opus.push(opus)
        before = self.gain_db
        mine, other = self._phonemes.dbfs, self._opus.dbfs
        if mine is not None and other is not None:
            wanted = float(np.clip(other - mine, -MAX_GAIN_DB, MAX_GAIN_DB))
            step = SLEW_DB_PER_S * len(phonemes) / SAMPLE_RATE_HZ
            self.gain_db += float(np.clip(wanted - before, -step, step))
        ramp = 10.0 ** (np.linspace(before, self.gain_db, len(phonemes), dtype=np.float32) / 20.0)
        return (phonemes * ramp).astype(np.float32)


def soft_limit(pcm: Pcm) -> Pcm:
    """Bends what exceeds 0.8 so that nothing reaches full scale; below that nothing changes."""
    size = np.abs(pcm)
    if not len(pcm) or float(size.max()) <= 0.8:
        return pcm
    bent = 0.8 + 0.2 * np.tanh((size - 0.8) / 0.2)
    return np.where(size > 0.8, np.sign(pcm) * bent, pcm).astype(np.float32)
