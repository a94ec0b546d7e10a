"""Acoustic frames: what the synthesizer predicts and the vocoder speaks, 100 a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AcousticFrames:
    mel: NDArray[np.float32]
    """[T, 80] natural-log mel magnitudes as ``engine.mel.log_mel`` makes them."""
    f0_hz: NDArray[np.float32]
    """[T] pitch in Hz; 0 where unvoiced."""

    def __len__(self) -> int:
        return len(self.mel)
