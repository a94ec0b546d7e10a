"""Finding how late one sound is against another, before they are compared.

Two waveforms go in, a delay comes out. Spectral envelopes are compared, not waveforms: a speech
codec that draws a new waveform still has the old one's envelope.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

_STEP: Final = 32  # samples: 2 ms, finer than any score here can tell
_WINDOW: Final = 400
_BANDS: Final = 16


def _envelopes(pcm: Pcm) -> NDArray[np.float64]:
    """[_BANDS, T] log band levels every 2 ms, mean removed, floored 50 dB below the loudest."""
    padded = np.pad(pcm, (_WINDOW // 2, _WINDOW))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: len(pcm) : _STEP]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1))[:, 4:164] ** 2
    edges = np.unique(np.geomspace(1, power.shape[1], _BANDS + 1).astype(int) - 1)
    bands = np.add.reduceat(power, edges[:-1], axis=1).T
    levels = np.log(np.maximum(bands, 1e-5 * bands.max(axis=1, keepdims=True) + 1e-12))
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))


def find_delay(reference: Pcm, degraded: Pcm, max_ms: float = 500.0) -> int:
    """Samples by which ``degraded`` comes later than ``reference`` (negative: earlier).

    The lag of the highest correlation of the band envelopes within ± ``max_ms``; 0 for silence.
    """
    if min(len(reference), len(degraded)) < _WINDOW:
        return 0
    a, b = _envelopes(reference), _envelopes(degraded)
    size = 1 << (a.shape[1] + b.shape[1]).bit_length()
    spectrum = np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size)
    correlation = np.fft.irfft(spectrum.sum(axis=0), size)
    reach = min(int(max_ms * SAMPLE_RATE_HZ / 1000 / _STEP), size // 2 - 1)
    lags = np.arange(-reach, reach + 1)
    scores = correlation[lags]
    if not np.any(scores > 0):
        return 0
    return int(lags[np.argmax(scores)]) * _STEP


def align(reference: Pcm, degraded: Pcm, max_ms: float = 500.0) -> tuple[Pcm, Pcm]:
    """Both sounds, the delay between them removed, cut to one length."""
    delay = find_delay(reference, degraded, max_ms)
    a, b = (reference, degraded[delay:]) if delay >= 0 else (reference[-delay:], degraded)
    length = min(len(a), len(b))
    return a[:length], b[:length]
