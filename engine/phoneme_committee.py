"""The recogniser's networks as they are asked in a call: all at once, in eight bits.

The same answers as ``PhonemeCommittee`` up to rounding, at a third of its time: on the three frames
of a step most of that went into fetching weights and into calling each network by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.int8 import Int8Linear, Int8Stack
from engine.phoneme_net import DILATIONS, KERNEL, WIDTH, CausalBlock, NetState, PhonemeNet


class _Norm:
    """Layer norms of all members, [M, T, C] → [M, T, C]."""

    def __init__(self, norms: list[nn.LayerNorm]) -> None:
        self._gamma = torch.stack([norm.weight.detach() for norm in norms])[:, None]
        self._beta = torch.stack([norm.bias.detach() for norm in norms])[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addcmul(self._beta, functional.layer_norm(x, x.shape[-1:]), self._gamma)


def _stack(layers: list[nn.Linear]) -> Int8Stack:
    return Int8Stack(
        torch.stack([layer.weight for layer in layers]),
        torch.stack([layer.bias for layer in layers]),
    )


class _Block:
    """``CausalBlock`` of every member."""

    def __init__(self, blocks: list[CausalBlock]) -> None:
        self._dilation, self._norm = blocks[0].conv.dilation[0], _Norm([b.norm for b in blocks])
        biases = [block.conv.bias for block in blocks if block.conv.bias is not None]
        self._conv = Int8Stack(
            torch.stack([block.conv.flattened() for block in blocks]), torch.stack(biases)
        )
        self._project = _stack([block.project for block in blocks])

    def __call__(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x [M, T, C], past [M, (k - 1) * dilation, C] → the same, one block later."""
        frames, step = x.shape[1], self._dilation
        joined = torch.cat([past, self._norm(x)], dim=1)
        taps = torch.cat([joined[:, i * step : i * step + frames] for i in range(KERNEL)], dim=2)
        change: Tensor = self._project(functional.gelu(self._conv(taps)))
        return x + change, joined[:, frames:]


class EightBitCommittee:
    """Asked like ``PhonemeCommittee``; holds weights only."""

    def __init__(self, nets: list[PhonemeNet]) -> None:
        # All members hear the same features: their norms become part of the first layer.
        weights = [net.enter.weight * net.norm.weight for net in nets]
        biases = [net.enter.bias + net.enter.weight @ net.norm.bias for net in nets]
        self._enter = Int8Linear(torch.cat(weights), torch.cat(biases))
        self._members = len(nets)
        rows = [[b for b in net.blocks if isinstance(b, CausalBlock)] for net in nets]
        self._blocks = [_Block(list(same)) for same in zip(*rows, strict=True)]
        last = [list(net.leave) for net in nets]
        self._norm = _Norm([part[0] for part in last if isinstance(part[0], nn.LayerNorm)])
        self._leave = _stack([part[1] for part in last if isinstance(part[1], nn.Linear)])

    def initial_state(self) -> NetState:
        """Zeros: nothing was heard yet."""
        return tuple(torch.zeros(self._members, (KERNEL - 1) * d, WIDTH) for d in DILATIONS)

    def __call__(self, features: Tensor, state: NetState) -> tuple[Tensor, NetState]:
        """features [1, T, 384] → mean log-posteriors [1, T, 43], next state."""
        entered: Tensor = self._enter(functional.layer_norm(features[0], features.shape[-1:]))
        x = entered.view(len(entered), self._members, WIDTH).transpose(0, 1)
        after = []
        for block, past in zip(self._blocks, state, strict=True):
            x, newest = block(x, past)
            after.append(newest)
        told = torch.log_softmax(self._leave(self._norm(x)), -1)
        return told.mean(0, keepdim=True), tuple(after)
