"""Log-mel spectrogram: the acoustic frame every model of the engine reads and writes.

PCM goes in, natural-log mel frames at 100 Hz come out. Frame ``t`` is centred on sample
``t * HOP``; nothing here keeps state, so the same audio always gives the same frames.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
HOP = 160  # samples: one tick, 10 ms
WINDOW = 512  # samples: 32 ms Hann
N_MELS = 80
F_MAX_HZ = 8_000.0
LOG_FLOOR = 1e-5  # keeps the log of digital silence finite: ln 1e-5 = -11.5

F32 = NDArray[np.float32]


def _hz_to_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """HTK mel scale (O'Shaughnessy, 1987)."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))


@lru_cache(maxsize=1)
def mel_filterbank() -> F32:
    """Triangular filters of unit area in mel bins. Returns [N_MELS, WINDOW // 2 + 1] float32."""
    edges = _mel_to_hz(np.linspace(_hz_to_mel(0.0), _hz_to_mel(F_MAX_HZ), N_MELS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, WINDOW // 2 + 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (bins - lower) / (centre - lower)
    fall = (upper - bins) / (upper - centre)
    weights = np.maximum(0.0, np.minimum(rise, fall))
    # Low triangles are narrower than a bin and may catch none: give them their nearest bin.
    empty = weights.sum(axis=1) == 0
    weights[empty, np.round(centre[empty, 0] / bins[1]).astype(int)] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def frame_count(samples: int) -> int:
    """How many frames ``samples`` of PCM make."""
    return samples // HOP


def log_mel(pcm: F32) -> F32:
    """PCM [N] float32 in [-1, 1] → log-mel [N // HOP, N_MELS] float32, natural log of magnitude."""
    frames = frame_count(len(pcm))
    if frames == 0:
        return np.zeros((0, N_MELS), np.float32)
    padded = np.pad(np.asarray(pcm, np.float32), (WINDOW // 2, WINDOW // 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: frames * HOP : HOP]
    magnitude = np.abs(np.fft.rfft(windows * _hann(), axis=1)).astype(np.float32)
    log_magnitude = np.log(np.maximum(magnitude @ mel_filterbank().T, LOG_FLOOR))
    return np.asarray(log_magnitude, np.float32)


@lru_cache(maxsize=1)
def _hann() -> F32:
    window = np.hanning(WINDOW + 1)[:-1]
    return np.asarray(window / window.sum() * 2.0, np.float32)  # a unit sine reads magnitude 1
