"""What a listener would notice: a frozen phoneme classifier and a patch discriminator on log-mel.

Both judge the synthesizer's frames during training only; neither is shipped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.mel import N_MELS
from engine.phonemes import N_PHONEMES


class PhonemeJudge(nn.Module):
    """Normalised log-mel [B, T, 80], T even → phoneme logits at 50 Hz and hidden activations."""

    def __init__(self, width: int = 192) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(2 * N_MELS if k == 0 else width, width, 3, padding=1) for k in range(4)
        )
        self.out = nn.Conv1d(width, N_PHONEMES, 1)

    def forward(self, mel: Tensor) -> tuple[Tensor, list[Tensor]]:
        batch, length, bins = mel.shape
        x = mel.reshape(batch, length // 2, 2 * bins).transpose(1, 2)
        hidden = []
        for k, conv in enumerate(self.convs):
            y = functional.gelu(conv(x))
            x = y if k == 0 else x + y
            hidden.append(x)
        return self.out(x).transpose(1, 2), hidden


class PatchJudge(nn.Module):
    """Discriminator of log-mel patches. [B, T, 80] → scores and feature maps (Isola et al., 2017)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sizes = [(1, width), (width, width), (width, 2 * width), (2 * width, 2 * width)]
        self.convs = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(a, b, (3, 5), (2, 2), (1, 2)))
            for a, b in sizes
        )
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, mel: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, maps = mel[:, None], []
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.2)
            maps.append(x)
        return self.out(x), maps


def masked_l1(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """Mean |a - b| where mask [B, T] is 1. a, b: [B, T, D]."""
    total = ((a - b).abs().mean(-1) * mask).sum()
    return total / mask.sum().clamp(min=1)


def judge_loss(
    judge: PhonemeJudge, mel: Tensor, target: Tensor, labels: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Feature L1 against the true frames, and cross entropy of the true phonemes (50 Hz)."""
    logits, fake = judge(mel)
    with torch.no_grad():
        _, real = judge(target)
    half = mask[:, ::2]
    feature = torch.stack(
        [
            masked_l1(f.transpose(1, 2), r.transpose(1, 2), half)
            for f, r in zip(fake, real, strict=True)
        ]
    ).mean()
    entropy = functional.cross_entropy(
        logits.float().flatten(0, 1), labels[:, ::2].flatten(), reduction="none"
    )
    return feature, (entropy * half.flatten()).sum() / half.sum().clamp(min=1)
