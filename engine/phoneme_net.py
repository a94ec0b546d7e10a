"""The recogniser's trained part: causal convolutions from frontend features to phoneme posteriors.

Look-ahead lives in the features; this network sees the past only, and its state (the inputs each
convolution still needs) is passed in and out, so any split of the frames gives the same answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.frontend import FEATURE_DIM
from engine.phonemes import N_PHONEMES

WIDTH = 320
KERNEL = 3
DILATIONS = (1, 2, 4, 1)

NetState = tuple[Tensor, ...]


class CausalBlock(nn.Module):
    """Residual pre-norm block: dilated causal convolution, GELU, projection."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.past = (KERNEL - 1) * dilation
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, KERNEL, dilation=dilation)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, C], past [B, C, (k - 1) * dilation] → same shapes, one block later."""
        joined = torch.cat([past, self.norm(x).transpose(1, 2)], dim=2)
        hidden = self.conv(joined).transpose(1, 2)
        out = x + self.dropout(self.project(F.gelu(hidden)))
        return out, joined[:, :, joined.shape[2] - self.past :]


class PhonemeNet(nn.Module):
    """Features [B, T, 384] → logits [B, T, 43], 50 frames a second; about 1.8 M parameters."""

    def __init__(self, dropout: float = 0.15) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FEATURE_DIM)
        self.enter = nn.Linear(FEATURE_DIM, WIDTH)
        self.blocks = nn.ModuleList([CausalBlock(WIDTH, d, dropout) for d in DILATIONS])
        self.leave = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, N_PHONEMES))

    def initial_state(self, batch: int = 1) -> NetState:
        """Zeros: nothing was heard yet."""
        return tuple(torch.zeros(batch, WIDTH, (KERNEL - 1) * d) for d in DILATIONS)

    def forward(self, features: Tensor, state: NetState) -> tuple[Tensor, NetState]:
        x = self.enter(self.norm(features))
        after = []
        for block, past in zip(self.blocks, state, strict=True):
            x, newest = block(x, past.to(x.device))
            after.append(newest)
        logits: Tensor = self.leave(x)
        return logits, tuple(after)
