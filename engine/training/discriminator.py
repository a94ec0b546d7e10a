"""A small multi-resolution STFT discriminator for adversarial fine-tuning of the vocoder.

Log-compressed complex spectra go in, one map of real-or-not scores per resolution comes out. It
exists in training only and is never shipped. After UnivNet and EnCodec, cut down to what two CPU
cores can afford.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

SIZES = (768, 384, 192)  # samples: STFT windows, hop a quarter
WIDTH = 24


class SpectrumCritic(nn.Module):
    """Scores patches of one spectrogram."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        plan = [(3, WIDTH, (1, 2)), (WIDTH, WIDTH, (1, 2)), (WIDTH, WIDTH, (2, 2))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (3, 5), stride, (1, 2))) for a, b, stride in plan
        )
        self.score = weight_norm(nn.Conv2d(WIDTH, 1, 3, padding=1))

    def forward(self, pcm: Tensor) -> tuple[Tensor, list[Tensor]]:
        """pcm: [B, N] → scores [B, 1, T', F'] and the features of every layer."""
        window = torch.hann_window(self.size, device=pcm.device)
        spectrum = torch.stft(
            pcm, self.size, self.size // 4, window=window, center=False, return_complex=True
        )
        power = spectrum.real**2 + spectrum.imag**2 + 1e-7
        compressed = power**-0.35  # magnitude to the power 0.3, phase kept
        log = 0.25 * torch.log(power)
        x = torch.stack([spectrum.real * compressed, spectrum.imag * compressed, log], 1)
        x = x.transpose(2, 3)
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.score(x), features


class Discriminator(nn.Module):
    """One critic per resolution; least-squares losses and feature matching."""

    def __init__(self) -> None:
        super().__init__()
        self.critics = nn.ModuleList(SpectrumCritic(size) for size in SIZES)

    def loss(self, truth: Tensor, made: Tensor) -> Tensor:
        """What the discriminator minimises; ``made`` must be detached. Both [B, N]."""
        total = truth.new_zeros(())
        for critic in self.critics:
            real, fake = critic(truth)[0], critic(made)[0]
            total = total + ((1.0 - real) ** 2).mean() + (fake**2).mean()
        return total / len(self.critics)

    def generator_loss(self, truth: Tensor, made: Tensor) -> Tensor:
        """What the vocoder minimises: fool the critics, and look alike inside them."""
        total = truth.new_zeros(())
        for critic in self.critics:
            with torch.no_grad():
                wanted = critic(truth)[1]
            score, features = critic(made)
            total = total + ((1.0 - score) ** 2).mean()
            for a, b in zip(wanted, features, strict=True):
                total = total + (a - b).abs().mean() / len(features)
        return total / len(self.critics)
