"""A 1-D convolution that is quick on a few frames: as one matrix product over its taps.

torch's convolution is made for long inputs; on the handful of frames of a streaming step, and with
dilation above all, it takes two to nine times as long.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class TapConv1d(nn.Conv1d):
    """``nn.Conv1d`` without padding or stride; same weights, same result up to rounding.

    The product is used where no gradient is wanted. The weights, turned over for it, are kept
    until they change.
    """

    def __init__(self, channels_in: int, channels_out: int, taps: int, dilation: int = 1) -> None:
        super().__init__(channels_in, channels_out, taps, dilation=dilation)
        self._flat: tuple[tuple[int, int], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, C, T + (taps - 1) * dilation] → [B, C', T]."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return super().forward(x)
        taps, step = self.weight.shape[2], self.dilation[0]
        frames = x.shape[2] - (taps - 1) * step
        joined = torch.cat([x[:, :, i * step : i * step + frames] for i in range(taps)], dim=1)
        return functional.linear(joined.transpose(1, 2), self.flattened(), self.bias).transpose(
            1, 2
        )

    def flattened(self) -> Tensor:
        """[C', taps * C], taps outermost."""
        # Inference tensors have no version, and nobody trains them.
        version = 0 if self.weight.is_inference() else self.weight._version
        key = (self.weight.data_ptr(), version)
        if self._flat is None or self._flat[0] != key:
            flat = self.weight.detach().permute(0, 2, 1).reshape(len(self.weight), -1).contiguous()
            self._flat = key, flat
        return self._flat[1]
