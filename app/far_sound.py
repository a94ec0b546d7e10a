"""The last steps before the loudspeaker: both arms' sound queued, matched, faded and mixed.

Both arms are always spoken, so switching is a 20 ms crossfade and never a gap. Samples of either
arm go in as they are made, whole blocks of what is heard come out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from app.loudness import LoudnessMatch, soft_limit
from app.ring import Ring
from app.stats import Arm
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

CROSSFADE: Final = SAMPLE_RATE_HZ * 20 // 1000
MAX_LAG: Final = 3 * SAMPLE_RATE_HZ
QUEUE: Final = 2 * SAMPLE_RATE_HZ  # of each arm; the longest event is 0.6 s; drops the newest


class FarSound:
    """Engine worker only; ``arm`` and ``volume`` may be set from anywhere."""

    def __init__(self, arm: Arm = "phonemes", volume: float = 1.0) -> None:
        self.arm: Arm = arm
        self.volume = volume
        self.queues = {"phonemes": Ring(QUEUE), "opus": Ring(QUEUE)}
        self._match = LoudnessMatch()
        self._opus_share = 1.0 if arm == "opus" else 0.0
        self._gain = volume
        self.lag = 0
        """Samples by which Opus is heard later than it could be; at most MAX_LAG."""
        self._opus_past = np.zeros(MAX_LAG, np.float32)

    @property
    def gain_db(self) -> float:
        """By how much the phoneme arm is turned up to be as loud as the other."""
        return self._match.gain_db

    def position(self, arm: Arm) -> int:
        """Samples of an arm so far: where the next one that is added will be."""
        return self.queues[arm].written

    def add(self, arm: Arm, pcm: Pcm) -> None:
        self.queues[arm].write(pcm)

    def take(self, count: int) -> tuple[Pcm, Pcm, Pcm]:
        """Next [count] of (what is heard, the phoneme arm, the Opus arm), before the volume
        for the two arms."""
        phonemes = np.empty(count, np.float32)
        opus = np.empty(count, np.float32)
        self.queues["phonemes"].read_into(phonemes)
        self.queues["opus"].read_into(opus)
        matched = self._match.apply(phonemes, opus)
        share = self._fade(count)
        heard = matched * (1.0 - share) + self._late(opus) * share
        target = self.volume
        ramp = np.linspace(self._gain, target, count, dtype=np.float32)
        self._gain = target
        return soft_limit((heard * ramp).astype(np.float32)), matched, opus

    def _late(self, opus: Pcm) -> Pcm:
        """[N] samples of the Opus arm → those of ``lag`` samples ago."""
        both = np.concatenate([self._opus_past, opus])
        self._opus_past = both[-MAX_LAG:]
        end = len(both) - min(max(self.lag, 0), MAX_LAG)
        return np.asarray(both[end - len(opus) : end], np.float32)

    def _fade(self, count: int) -> Pcm:
        """The Opus arm's share for the next [count] samples."""
        target = 1.0 if self.arm == "opus" else 0.0
        step = np.sign(target - self._opus_share) / CROSSFADE
        share = np.clip(self._opus_share + step * np.arange(1, count + 1), 0.0, 1.0)
        if count:
            self._opus_share = float(share[-1])
        return share.astype(np.float32)
