"""Sequence-discriminative loss: lattice-free MMI over a phoneme bigram.

The spoken sequence must win against every other sequence, not each frame against its neighbours;
boundaries may move within a window around the given alignment. Povey et al., 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.phonemes import N_PHONEMES

FAR = -1e4  # stands for log 0 and keeps gradients finite


def denominator(logits: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """log sum over all paths. logits [B, T, 43], transitions [43, 43] log p(to | from) with stays
    on the diagonal, lengths [B] → [B]."""
    weights = transitions.exp()
    alpha = logits[:, 0]
    for t in range(1, logits.shape[1]):
        top = alpha.max(dim=1, keepdim=True).values.detach()
        moved = torch.log((alpha - top).exp() @ weights + 1e-30) + top
        alpha = torch.where((t < lengths)[:, None], moved + logits[:, t], alpha)
    return torch.logsumexp(alpha, dim=1)


def numerator(
    logits: Tensor, transitions: Tensor, labels: Tensor, lengths: Tensor, slack: int = 4
) -> Tensor:
    """log sum over paths through the spoken phonemes, each boundary within ``slack`` frames.

    labels [B, T] framewise phoneme ids (any value beyond ``lengths``) → [B].
    """
    batch, frames = labels.shape
    device = logits.device
    valid = torch.arange(frames, device=device)[None] < lengths[:, None]
    change = torch.zeros_like(labels, dtype=torch.bool)
    change[:, 1:] = (labels[:, 1:] != labels[:, :-1]) & valid[:, 1:]
    position = change.long().cumsum(1)  # index of the aligned segment at each frame
    count = position.gather(1, (lengths - 1)[:, None]).squeeze(1) + 1
    width = int(count.max())
    spoken = torch.zeros(batch, width, dtype=torch.long, device=device)
    spoken.scatter_(1, position.clamp(max=width - 1), torch.where(valid, labels, 0))
    # Re-scatter the last valid label: frames past the end wrote zeros into the final segment.
    last = labels.gather(1, (lengths - 1)[:, None])
    spoken.scatter_(1, (count - 1)[:, None], last)
    stay = transitions.diagonal()[spoken]
    step = torch.full((batch, width), FAR, device=device)
    step[:, 1:] = transitions[spoken[:, :-1], spoken[:, 1:]]
    emission = logits.gather(2, spoken[:, None, :].expand(-1, frames, -1))
    index = torch.arange(width, device=device)[None]
    alpha = torch.where(index == 0, emission[:, 0], torch.full_like(emission[:, 0], FAR))
    for t in range(1, frames):
        early = position[:, max(0, t - slack)][:, None]
        late = position[:, min(frames - 1, t + slack)][:, None]
        shifted = torch.cat([alpha.new_full((batch, 1), FAR), alpha[:, :-1]], dim=1)
        moved = torch.logaddexp(alpha + stay, shifted + step) + emission[:, t]
        moved = torch.where((index >= early) & (index <= late), moved, FAR)
        alpha = torch.where((t < lengths)[:, None], moved, alpha)
    return alpha.gather(1, (count - 1)[:, None]).squeeze(1)


def mmi_loss(logits: Tensor, transitions: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """Mean negative log posterior of the spoken sequence, per frame (nats)."""
    won = numerator(logits, transitions, labels, lengths)
    everything = denominator(logits, transitions, lengths)
    return ((everything - won).clamp(min=0) / lengths).mean()


def transition_table(labels: list[Tensor]) -> Tensor:
    """Smoothed log bigram [43, 43] of framewise labels, stays on the diagonal."""
    counts = torch.full((N_PHONEMES, N_PHONEMES), 0.3)
    for row in labels:
        counts.index_put_((row[:-1], row[1:]), torch.ones(len(row) - 1), accumulate=True)
    return torch.log(counts / counts.sum(1, keepdim=True))
