"""The d-vector of a stretch of speech: who is speaking, as 256 numbers, by Resemblyzer's network.

The network and its weights are Resemblyzer's; the spectrogram it listens to is computed here. Theirs
is librosa's, whose first use on a machine compiles for twenty seconds, in the middle of the first call.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from engine.mel import HOP, SAMPLE_RATE_HZ

F32 = NDArray[np.float32]
DVECTOR_DIM = 256
SPEECH_LEVEL_DB = -26.0  # what Resemblyzer hears best: the level of its training speech
ACTIVE_RANGE_DB = 30.0  # below the loud ticks by more than this is pause
WINDOW = 400  # samples: 25 ms Hann
BANDS = 40
LEAST_COVERED = 0.75  # of the last window; the rest is silence
_KNEE_HZ, _LINEAR_HZ, _RATIO = 1000.0, 200.0 / 3.0, 6.4  # of Slaney's mel scale
_KNEE = _KNEE_HZ / _LINEAR_HZ
_LOG_BANDS = 27.0  # from the knee to _RATIO times its frequency


def active_ticks(power: F32) -> NDArray[np.bool_]:
    """Which 10 ms ticks belong to speech, by level alone. power: [T] mean squares → [T] bool."""
    if len(power) == 0:
        return np.zeros(0, bool)
    level_db = 10.0 * np.log10(np.maximum(power, 1e-12))
    loud = float(np.percentile(level_db, 95))
    on = level_db > max(loud - ACTIVE_RANGE_DB, -60.0)
    near = np.convolve(on.astype(np.float32), np.ones(19, np.float32))[9 : 9 + len(on)]
    return np.asarray(near > 0.5)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale (Auditory Toolbox, 1998): linear up to 1 kHz, then logarithmic."""
    above = _KNEE_HZ * _RATIO ** (np.maximum(mel - _KNEE, 0.0) / _LOG_BANDS)
    return np.where(mel < _KNEE, mel * _LINEAR_HZ, above)


@lru_cache(maxsize=1)
def _filterbank() -> F32:
    """Triangles of unit area in Hz. Returns [WINDOW // 2 + 1, BANDS]."""
    top_hz = SAMPLE_RATE_HZ / 2
    top = _KNEE + _LOG_BANDS * np.log(top_hz / _KNEE_HZ) / np.log(_RATIO)
    edges = _mel_to_hz(np.linspace(0.0, top, BANDS + 2))
    bins = np.linspace(0.0, top_hz, WINDOW // 2 + 1)[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (bins - lower) / (centre - lower), (upper - bins) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rise, fall)) * 2.0 / (upper - lower)
    return np.asarray(triangles, np.float32)


def power_mel(pcm: F32) -> F32:
    """What Resemblyzer's network listens to. PCM [N] → [1 + N // HOP, BANDS], power, not its log."""
    padded = np.pad(np.asarray(pcm, np.float32), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(frames * window, axis=1)
    return np.asarray(np.abs(spectrum) ** 2 @ _filterbank(), np.float32)


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
    encoder = _resemblyzer()
    samples, parts = encoder.compute_partial_slices(len(speech), rate, LEAST_COVERED)
    speech = np.pad(speech, (0, max(0, samples[-1].stop - len(speech))))
    mel = power_mel(speech * np.float32(level))
    with torch.inference_mode():
        windows = encoder(torch.from_numpy(np.stack([mel[part] for part in parts])))
    vector = windows.mean(0).numpy()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)
