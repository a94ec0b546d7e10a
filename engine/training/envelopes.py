"""How alike the envelopes of two utterances move, as listeners in noise hear it, for training.

The intermediate intelligibility of ESTOI (Jensen & Taal, 2016) computed from log-mel frames, so that
a gradient goes through it: amplitudes of one-third octave bands in pieces of 0.4 s, every band and
then every frame normalised, correlated. L1 on log-mel asks for the right level everywhere; this asks
for the right movement where the sound is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.mel import (
    F_MAX_HZ,
    HOP,
    LOG_FLOOR,
    N_MELS,
    SAMPLE_RATE_HZ,
    WINDOW,
    mel_filterbank,
)

PIECE_TICKS = 38  # 384 ms
PIECE_STEP = 6
BANDS = 15  # one-third octaves from 150 Hz
LOWEST_HZ = 150.0
AUDIBLE = 4.6  # nepers below a crop's loudest frame: 40 dB, quieter frames are not judged
FLOOR = 1e-4


@lru_cache(maxsize=1)
def _bands() -> NDArray[np.float32]:
    """[N_MELS, BANDS] share of a mel filter's power in each band, times its bins."""
    filters = mel_filterbank()  # unit area over the bins
    hz = np.arange(filters.shape[1]) * (SAMPLE_RATE_HZ / WINDOW)
    place = 3 * np.log2(np.maximum(hz, 1.0) / LOWEST_HZ)
    inside = np.abs(place[:, None] - np.arange(BANDS)) <= 0.5
    spacing = np.diff(filters @ hz, append=F_MAX_HZ) / hz[1]
    return np.asarray((filters @ inside) * spacing[:, None], np.float32)


def envelope_correlation(log_mel: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean correlation of N pieces' envelopes, 1 when they move alike; a scalar.

    log_mel, target: [B, T, N_MELS] natural log of magnitude, T ≥ PIECE_TICKS; mask: [B, T] 1 where
    there is speech. Raises ValueError on other shapes.
    """
    if (
        log_mel.shape != target.shape
        or log_mel.shape[2] != N_MELS
        or log_mel.shape[1] < PIECE_TICKS
    ):
        raise ValueError(f"Two [B, T, {N_MELS}] of at least {PIECE_TICKS} frames are needed.")
    bands = torch.as_tensor(_bands(), device=log_mel.device)
    loud = target.logsumexp(2).masked_fill(mask == 0, -torch.inf)
    heard = loud > loud.amax(1, keepdim=True) - AUDIBLE
    pieces = []
    for logs in (log_mel, target):
        amplitude = ((2 * logs.clamp(max=5.0)).exp() @ bands + FLOOR**2).sqrt()
        piece = amplitude.unfold(1, PIECE_TICKS, PIECE_STEP)  # [B, P, BANDS, PIECE_TICKS]
        piece = piece - piece.mean(3, keepdim=True)
        piece = piece / (piece.square().sum(3, keepdim=True) + FLOOR**2).sqrt()
        piece = piece - piece.mean(2, keepdim=True)
        pieces.append(piece / (piece.square().sum(2, keepdim=True) + 1e-6).sqrt())
    alike = (pieces[0] * pieces[1]).sum(2)  # [B, P, PIECE_TICKS]
    judged = heard.unfold(1, PIECE_TICKS, PIECE_STEP).float()
    judged = judged * (judged.mean(2, keepdim=True) > 0.5)
    return (alike * judged).sum() / judged.sum().clamp(min=1.0)


def log_mel_of(pcm: Tensor) -> Tensor:
    """``engine.mel.log_mel`` of a batch, with a gradient: [B, N] → [B, N // HOP, N_MELS]."""
    window = torch.hann_window(WINDOW, device=pcm.device)
    spectrum = torch.stft(
        pcm, WINDOW, HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-12) * (2.0 / window.sum())
    filters = torch.as_tensor(mel_filterbank(), device=pcm.device)
    logs = (filters @ magnitude).clamp(min=LOG_FLOOR).log()
    return logs.transpose(1, 2)[:, : pcm.shape[1] // HOP]
