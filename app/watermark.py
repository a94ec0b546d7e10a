"""Marks speech that a machine spoke: a tag in the file and, when installed, an inaudible watermark.

The watermark is ``resemble-perth`` (extra ``eval``), whose weights come in its package. It uses
two transforms of torchaudio, which has no build for some versions of torch; `_Stft` stands in for
them there. Without the package the tag alone remains, and the manifest says so.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

SYNTHETIC_COMMENT = "Synthetic speech made by Sottovoce from phonemes and a voice descriptor"
MIN_SAMPLES = SAMPLE_RATE_HZ  # shorter than a second carries no watermark that can be read


@contextlib.contextmanager
def _torchaudio_or_stand_in() -> Iterator[None]:
    """While this is open ``torchaudio.transforms`` can be imported, installed or not."""
    if importlib.util.find_spec("torchaudio") is not None:
        yield
        return
    import torch

    class _Stft(torch.nn.Module):
        """Complex spectrogram and back, as torchaudio makes them with ``power=None``."""

        window: torch.Tensor

        def __init__(
            self, n_fft: int = 400, win_length: int = 400, hop_length: int = 200, **more: Any
        ):
            super().__init__()
            self.sizes = (n_fft, hop_length, win_length)
            window = more.get("window_fn", torch.hann_window)
            # A buffer, so that the pretrained state finds its place.
            self.register_buffer("window", window(win_length))

    class Spectrogram(_Stft):
        def forward(self, signal: torch.Tensor) -> torch.Tensor:
            return torch.stft(
                signal, *self.sizes, self.window, pad_mode="reflect", return_complex=True
            )

    class InverseSpectrogram(_Stft):
        def forward(self, spectrum: torch.Tensor) -> torch.Tensor:
            return torch.istft(spectrum, *self.sizes, self.window)

    class TimeStretch(torch.nn.Module):
        """Used by the watermark's training only."""

        def __init__(self, n_freq: int, hop_length: int) -> None:
            super().__init__()
            advance = torch.linspace(0, torch.pi * hop_length, n_freq)[..., None]
            self.register_buffer("phase_advance", advance)

    transforms = ModuleType("torchaudio.transforms")
    transforms.__dict__.update(
        Spectrogram=Spectrogram, InverseSpectrogram=InverseSpectrogram, TimeStretch=TimeStretch
    )
    package = ModuleType("torchaudio")
    package.__dict__["transforms"] = transforms
    sys.modules.update({"torchaudio": package, "torchaudio.transforms": transforms})
    try:
        yield
    finally:  # others ask whether torchaudio is there: the answer stays no
        for name in ("torchaudio", "torchaudio.transforms"):
            sys.modules.pop(name, None)


@lru_cache(maxsize=1)
def _watermarker() -> Any | None:
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),  # it prints the path of its model
            warnings.catch_warnings(action="ignore"),
            _torchaudio_or_stand_in(),
        ):
            from perth.perth_net.perth_net_implicit.perth_watermarker import (
                PerthImplicitWatermarker,
            )

            return PerthImplicitWatermarker()
    except Exception as error:  # a missing extra or one that does not load: the tag remains
        log.info("no watermark: %s", error)
        return None


def watermark_available() -> bool:
    return _watermarker() is not None


def watermark(pcm: Pcm) -> Pcm:
    """``pcm`` [N] with an inaudible watermark, same length; unchanged where there is none to put.

    The same samples always give the same result.
    """
    marker = _watermarker()
    if marker is None or len(pcm) < MIN_SAMPLES or not np.any(pcm):
        return pcm
    marked = np.asarray(
        marker.apply_watermark(np.asarray(pcm, np.float32), sample_rate=SAMPLE_RATE_HZ), np.float32
    ).reshape(-1)
    out = np.array(pcm, np.float32)
    count = min(len(out), len(marked))
    out[:count] = marked[:count]
    return np.clip(out, -1.0, 1.0)


def watermark_confidence(pcm: Pcm) -> float | None:
    """0 ... 1, how surely ``pcm`` carries the watermark; None when it cannot be looked for."""
    marker = _watermarker()
    if marker is None or len(pcm) < MIN_SAMPLES:
        return None
    found = marker.get_watermark(np.asarray(pcm, np.float32), sample_rate=SAMPLE_RATE_HZ)
    return float(np.mean(np.asarray(found, np.float64)))
