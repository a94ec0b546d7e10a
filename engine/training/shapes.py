"""First stage of the codec's training: what can be guessed of a spectrum, and codebooks of the rest.

The articulation encoder's guess is fitted by least squares, its projection is the principal axes
of what the guess leaves, and the residual codebooks are k-means of that. The synthesizer is taught
to use them afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from engine.articulation import CODE_DIM, MANNER, MANNERS
from engine.events import MAX_LAYERS
from engine.phonemes import SILENCE
from engine.training.batches import Augment, Batch, BatchMaker
from engine.training.codec_net import Codec
from engine.training.voice import residual_books

RATE = 2e-3
CODEBOOK_BATCHES = 120


def fit_shapes(
    codec: Codec, maker: BatchMaker, draw: Callable[[], list[int]], seconds: float,
    rng: np.random.Generator, device: torch.device, seed: int,
    batches: int = CODEBOOK_BATCHES,
) -> None:  # fmt: skip
    """Fit guess, projection and codebooks in about ``seconds``; they stay as they are afterwards."""
    net = codec.articulation
    guessing = [*net.guess.parameters(), *net.phoneme.parameters()]
    optimiser = torch.optim.AdamW(guessing, RATE, weight_decay=0.01)
    begin, step = time.monotonic(), 0
    while (spent := time.monotonic() - begin) < 0.7 * seconds:
        optimiser.param_groups[0]["lr"] = RATE * max(0.02, 1 - spent / (0.7 * seconds))
        shapes, guesses, _ = _surprises(codec, maker.make(draw(), rng, Augment()).to(device))
        loss = (shapes - guesses).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        if step % 25 == 0:
            left = loss.item() / shapes.var(0).mean().item()
            print(f"guess {step}: {left:.3f} of the variance is left", flush=True)
    rest, phonemes = [], []
    with torch.no_grad():
        for _ in range(batches):
            shapes, guesses, phoneme = _surprises(
                codec, maker.make(draw(), rng, Augment(confuse=0.0)).to(device)
            )
            rest.append((shapes - guesses).cpu())
            phonemes.append(phoneme.cpu())
        surprise, phoneme = torch.cat(rest), torch.cat(phonemes)
        _, _, axes = torch.linalg.svd(surprise, full_matrices=False)
        net.project.weight.copy_(axes[:CODE_DIM])
        codec.synthesizer.shape.weight.copy_(axes[:CODE_DIM].t())
        latent, manner = surprise @ axes[:CODE_DIM].t(), MANNER[phoneme]
        for m in range(MANNERS):
            own = latent[(manner == m) & (phoneme != SILENCE)]
            codec.synthesizer.codebooks.vectors[m] = residual_books(own, MAX_LAYERS, seed)
        _, chosen = codec.synthesizer.codebooks.quantise(latent.to(device), phoneme.to(device))
        errors = [(latent - chosen[:, :n].sum(1).cpu()).square().mean() for n in range(4)]
        print("distortion by layers", [round(float(e / errors[0]), 3) for e in errors], flush=True)


def _surprises(codec: Codec, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes, guesses [N, SHAPE_DIM] and phonemes [N] of a batch's events."""
    net = codec.articulation
    with torch.no_grad():
        inputs = codec.events(batch)
    return (
        net.shapes(inputs.mel, inputs.lengths),
        net.guesses(inputs.ids, inputs.scalars, inputs.voice),
        inputs.ids[:, 0],
    )
