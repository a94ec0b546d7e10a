"""Who is speaking: a d-vector and a spectral balance, quantised progressively into a descriptor.

Speech goes in; at most 48 bytes come out, which the far end turns back into the vector that drives
the synthesizer. Biometric data: it stays in memory, is never logged, and goes at hang-up.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.mel import HOP, N_MELS

F32 = NDArray[np.float32]
DVECTOR_DIM = 256
BALANCE_DIM = 24
VOICE_DIM = DVECTOR_DIM + BALANCE_DIM
"""A voice is a unit d-vector [256] followed by spectral balance [24], whitened."""
SPEECH_LEVEL_DB = -26.0  # what Resemblyzer hears best: the level of its training speech
ACTIVE_RANGE_DB = 30.0  # below the loud ticks by more than this is pause


def active_ticks(power: F32) -> NDArray[np.bool_]:
    """Which 10 ms ticks belong to speech, by level alone. power: [T] mean squares → [T] bool."""
    if len(power) == 0:
        return np.zeros(0, bool)
    level_db = 10.0 * np.log10(np.maximum(power, 1e-12))
    loud = float(np.percentile(level_db, 95))
    on = level_db > max(loud - ACTIVE_RANGE_DB, -60.0)
    near = np.convolve(on.astype(np.float32), np.ones(19, np.float32))[9 : 9 + len(on)]
    return np.asarray(near > 0.5)


def spectral_balance(mel: F32, power: F32) -> F32:
    """Mean log-mel of the speech with its level taken out. mel: [T, 80], power: [T] → [80]."""
    on = active_ticks(power)
    if not on.any():
        return np.zeros(N_MELS, np.float32)
    mean = mel[on].mean(axis=0, dtype=np.float64)
    return np.asarray(mean - mean.mean(), np.float32)


@lru_cache(maxsize=1)
def _resemblyzer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources and scipy.ndimage.morphology, both theirs
        from resemblyzer import VoiceEncoder as Encoder
    return Encoder("cpu", verbose=False)


def embed(pcm: F32, rate: float = 1.3) -> F32:
    """d-vector of the speech in ``pcm`` [N], pauses cut, level evened. Returns unit [256].

    rate: 1.6 s windows a second. After Wan et al., 2018 (Resemblyzer's weights).
    """
    ticks = len(pcm) // HOP
    frames = np.asarray(pcm[: ticks * HOP], np.float32).reshape(ticks, HOP)
    on = active_ticks(np.mean(frames * frames, axis=1))
    speech = frames[on].ravel() if on.any() else np.zeros(HOP * 4, np.float32)
    rms = float(np.sqrt(np.mean(speech * speech) + 1e-12))
    level = min(10.0 ** (SPEECH_LEVEL_DB / 20.0) / rms, 100.0)
    with torch.inference_mode():
        vector = _resemblyzer().embed_utterance(speech * np.float32(level), rate=rate)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)
