"""A spectral distance that forgives timing: soft dynamic time warping (Cuturi & Blondel, 2017).

Two frame sequences go in, one differentiable number comes out. Errors of when are not charged as
errors of what, as far as a band around the diagonal allows.

Measured and left off (``--mse-dtw 0``): from the shipped codec of three layers, 100 equal steps with
the same crops, with the divergence at weight 1 and a band of 160 ms, and without. Held-out readers;
right: frames whose phoneme the judge reads.

| layers | L1 without, with | MSE-DTW without, with | right without, with |
|---|---|---|---|
| 0 | .3741, .3741 | .0974, .0968 | 82.5 %, 82.0 % |
| 1 | .2917, .2912 | .0687, .0683 | 75.5 %, 74.6 % |
| 3 | .2637, .2630 | .0572, .0567 | 73.8 %, 73.1 % |

It costs a third more time a step, and up to one phoneme in a hundred.
"""

from __future__ import annotations

import torch
from torch import Tensor

FAR = 1e6  # the cost of a cell outside the matrix


def soft_dtw(a: Tensor, b: Tensor, gamma: float = 0.1, reach: int | None = None) -> Tensor:
    """Mean soft-DTW cost a frame of both. a: [B, N, D], b: [B, M, D] float.

    gamma: softness of the minimum (0.001 is as good as a hard one). reach: how many frames
    a path may lie off the diagonal; at least |N - M|. Not zero for a = b, and less
    still for a blurred a: see ``timing_distance``. Walks the N + M anti-diagonals, all clips at
    once.
    """
    batch, rows, columns = len(a), a.shape[1], b.shape[1]
    reach = max(rows, columns) if reach is None else max(reach, abs(rows - columns))
    cost = torch.cdist(a.float(), b.float()).square() / a.shape[2]
    before = cost.new_full((batch, rows + 1), FAR)  # the diagonal two back
    before[:, 0] = 0.0
    last = cost.new_full((batch, rows + 1), FAR)
    for diagonal in range(rows + columns - 1):
        low = max(0, diagonal - columns + 1, -((reach - diagonal) // 2))
        high = min(rows, diagonal + 1, (diagonal + reach) // 2 + 1)
        i = torch.arange(low, high, device=cost.device)
        # Row i of the matrix lives at i + 1; its neighbours are up (i), left (i + 1), both (i).
        ways = torch.stack([last[:, i], last[:, i + 1], before[:, i]], -1)
        least = -gamma * torch.logsumexp(-ways / gamma, -1)
        here = torch.full_like(last, FAR)
        here = here.index_copy(1, i + 1, cost[:, i, diagonal - i] + least)
        before, last = last, here
    return (last[:, rows] / (rows + columns)).mean()


def timing_distance(a: Tensor, b: Tensor, gamma: float = 0.1, reach: int | None = None) -> Tensor:
    """Soft-DTW divergence (Blondel et al., 2021): 0 for a = b, positive elsewhere.

    Plain soft-DTW is least for a blurred ``a``; taking off what each is worth against itself
    mends that. Shapes as ``soft_dtw``.
    """
    own = soft_dtw(a, a, gamma, reach) + soft_dtw(b, b, gamma, reach).detach()
    return soft_dtw(a, b, gamma, reach) - 0.5 * own
