"""The recogniser's trained part: causal convolutions from frontend features to phoneme posteriors.

Several networks of the same shape, trained apart, are asked and their answers averaged.

Look-ahead lives in the features; this network sees the past only, and its state (the inputs each
convolution still needs) is passed in and out, so any split of the frames gives the same answer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.frontend import FEATURE_DIM
from engine.phonemes import N_PHONEMES
from engine.tap_conv import TapConv1d

WIDTH = 320
KERNEL = 3
DILATIONS = (1, 2, 4, 1)

NetState = tuple[Tensor, ...]
StateDict = dict[str, Tensor]


class CausalBlock(nn.Module):
    """Residual pre-norm block: dilated causal convolution, GELU, projection."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.past = (KERNEL - 1) * dilation
        self.norm = nn.LayerNorm(width)
        self.conv = TapConv1d(width, width, KERNEL, dilation)
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


class PhonemeCommittee(nn.Module):
    """Networks trained on other speech or from other beginnings err elsewhere: ask them all.

    The mean of log-posteriors (Hinton et al., 2015). Used like one ``PhonemeNet``.
    """

    def __init__(self, members: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList([PhonemeNet() for _ in range(members)])

    def initial_state(self, batch: int = 1) -> NetState:
        """Those of all members, one after the other."""
        return tuple(past for net in self.members() for past in net.initial_state(batch))

    def forward(self, features: Tensor, state: NetState) -> tuple[Tensor, NetState]:
        """features [B, T, 384] → mean log-posteriors [B, T, 43], next state."""
        told, after = [], []
        for n, net in enumerate(self.members()):
            logits, newest = net(features, state[n * len(DILATIONS) : (n + 1) * len(DILATIONS)])
            told.append(torch.log_softmax(logits, -1))
            after.extend(newest)
        return torch.stack(told).mean(0), tuple(after)

    def members(self) -> list[PhonemeNet]:
        """The networks themselves."""
        return [net for net in self.nets if isinstance(net, PhonemeNet)]


def split_members(tensors: StateDict) -> list[StateDict]:
    """The members' tensors in a committee's file, where they are ``nets.0.…``, ``nets.1.…``."""
    members: dict[str, StateDict] = {}
    for key, value in tensors.items():
        if key.startswith("nets."):
            _, number, name = key.split(".", 2)
            members.setdefault(number, {})[name] = value
    return list(members.values())


def join_members(members: list[StateDict]) -> StateDict:
    """The reverse of ``split_members``."""
    return {
        f"nets.{n}.{key}": value for n, part in enumerate(members) for key, value in part.items()
    }
