"""A spectral distance that forgives timing: soft dynamic time warping (Cuturi & Blondel, 2017).

Two frame sequences go in, one differentiable number comes out. Errors of when are not charged as
errors of what.
"""

from __future__ import annotations

import torch
from torch import Tensor

FAR = 1e6  # the cost of a cell outside the matrix


def soft_dtw(a: Tensor, b: Tensor, gamma: float = 0.1) -> Tensor:
    """Mean soft-DTW cost a frame. a: [B, N, D], b: [B, M, D] float; gamma: softness of the minimum.

    Walks the N + M anti-diagonals, all clips at once.
    """
    batch, rows, columns = len(a), a.shape[1], b.shape[1]
    cost = torch.cdist(a.float(), b.float()).square() / a.shape[2]
    before = cost.new_full((batch, rows + 1), FAR)  # the diagonal two back
    before[:, 0] = 0.0
    last = cost.new_full((batch, rows + 1), FAR)
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        i = torch.arange(low, high, device=cost.device)
        # Row i of the matrix lives at i + 1; its neighbours are up (i), left (i + 1), both (i).
        ways = torch.stack([last[:, i], last[:, i + 1], before[:, i]], -1)
        least = -gamma * torch.logsumexp(-ways / gamma, -1)
        here = torch.full_like(last, FAR)
        here = here.index_copy(1, i + 1, cost[:, i, diagonal - i] + least)
        before, last = last, here
    return (last[:, rows] / (rows + columns)).mean()
