"""Linear layers in eight bits: weights rounded once, activations row by row as they come.

Symmetric, one scale an output channel and one a row (as in LLM.int8(), Dettmers et al., 2022, and
CTranslate2). Products of integers are exact, so a row's result does not depend on its neighbours.
Two to four times as fast as float32 on a CPU with byte products, and a quarter of the memory.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 127


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """[N, K] → bytes [N, K] and scales [N, 1] whose product is close to ``rows``."""
    scale = rows.abs().amax(1, keepdim=True).clamp_(min=1e-12).mul_(1 / LARGEST)
    return (rows / scale).round_().to(torch.int8), scale


class Int8Linear(nn.Module):
    """``x @ weight.T + bias`` for fixed weights [N, K]. For inference only."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        rounded, scale = _rounded(weight.detach().float())
        self._weight = rounded.t().contiguous()
        self._scale = scale[:, 0].contiguous()
        self._bias = bias.detach().float()

    def forward(self, x: Tensor) -> Tensor:
        """[..., K] float32 → [..., N] float32."""
        rounded, scale = _rounded(x.reshape(-1, x.shape[-1]))
        product = torch._int_mm(rounded, self._weight)
        result = torch.addcmul(self._bias, product * scale, self._scale)
        return result.view(*x.shape[:-1], len(self._bias))


class Int8Stack(nn.Module):
    """Several linear layers of one shape, each for its own input, with few calls."""

    def __init__(self, weights: Tensor, biases: Tensor) -> None:
        """weights: [M, N, K]; biases: [M, N]."""
        super().__init__()
        each = [_rounded(weight.detach().float()) for weight in weights]
        self._weights = [rounded.t().contiguous() for rounded, _ in each]
        self._scales = torch.stack([scale[:, 0] for _, scale in each])[:, None]
        self._biases = biases.detach().float()[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """[M, T, K] float32 → [M, T, N] float32."""
        rounded, scale = _rounded(x.flatten(0, 1))
        parts = rounded.chunk(len(x))
        products = torch.cat([torch._int_mm(*p) for p in zip(parts, self._weights, strict=True)])
        return torch.addcmul(self._biases, (products * scale).view(*x.shape[:2], -1), self._scales)
