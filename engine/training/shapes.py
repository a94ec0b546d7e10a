"""First stage of the codec's training: what can be guessed of a spectrum, and codebooks of the rest.

The articulation encoder's guess is fitted by least squares, its projection is the principal axes
of what the guess leaves, and the residual codebooks are k-means of that. The synthesizer is taught
to use them afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from engine.articulation import CODE_DIM, MANNER, MANNERS
from engine.events import MAX_LAYERS
from engine.phonemes import SILENCE
from engine.training.batches import Augment, BatchMaker
from engine.training.codec_net import Codec
from engine.training.voice import residual_books

RATE = 2e-3
POOL_BATCHES = 400  # of crops whose events the guess and the codebooks are fitted on
POOL_DRAW = 1_024
VOICE_NOISE = 0.3  # most noise on a voice while guessing, relative to its spread


@dataclass(frozen=True, slots=True)
class Pool:
    """Events as the articulation encoder meets them: N of them."""

    shapes: Tensor
    """[N, SHAPE_DIM]"""
    ids: Tensor
    """[N, 2]"""
    scalars: Tensor
    """[N, OWN_SCALARS]"""
    voice: Tensor
    """[N, VOICE_DIM]"""


def fit_shapes(
    codec: Codec, maker: BatchMaker, draw: Callable[[], list[int]], seconds: float,
    rng: np.random.Generator, device: torch.device, seed: int,
    batches: int = POOL_BATCHES,
) -> None:  # fmt: skip
    """Fit the guess in about ``seconds``, then axes and codebooks; all stay as they are afterwards."""
    net = codec.articulation
    pool = _collect(codec, maker, draw, rng, device, batches)
    _fit_guess(codec, pool, seconds, seed)
    with torch.no_grad():
        surprise = pool.shapes - net.guess(pool.ids, pool.scalars, pool.voice)
        phoneme = pool.ids[:, 0]
        _, _, axes = torch.linalg.svd(surprise, full_matrices=False)
        net.project.weight.copy_(axes[:CODE_DIM])
        codec.synthesizer.shape.weight.copy_(axes[:CODE_DIM].t())
        latent = surprise @ axes[:CODE_DIM].t()
        manner = MANNER.to(device)[phoneme]
        for m in range(MANNERS):
            own = latent[(manner == m) & (phoneme != SILENCE)].cpu()
            codec.synthesizer.codebooks.vectors[m] = residual_books(own, MAX_LAYERS, seed)
        few = latent[: 8 * POOL_DRAW]
        _, chosen = codec.synthesizer.codebooks.quantise(few, phoneme[: len(few)])
        errors = [
            (few - chosen[:, :n].sum(1)).square().mean().item() for n in range(MAX_LAYERS + 1)
        ]
        print("distortion by layers", [round(e / errors[0], 3) for e in errors], flush=True)


def _collect(
    codec: Codec, maker: BatchMaker, draw: Callable[[], list[int]], rng: np.random.Generator,
    device: torch.device, batches: int,
) -> Pool:  # fmt: skip
    """Draw events. Boundaries are jittered as in training; phonemes are not confused."""
    kept = []
    with torch.no_grad():
        for _ in tqdm(range(batches), desc="shapes", unit=" batches", mininterval=10):
            batch = maker.make(draw(), rng, Augment(confuse=0.0, voice_noise=0.0))
            inputs = codec.events(batch.to(device))
            shapes = codec.articulation.shapes(inputs.mel, inputs.lengths)
            kept.append(Pool(shapes, inputs.ids, inputs.scalars, inputs.voice))
    return Pool(
        torch.cat([p.shapes for p in kept]), torch.cat([p.ids for p in kept]),
        torch.cat([p.scalars for p in kept]), torch.cat([p.voice for p in kept]),
    )  # fmt: skip


def _fit_guess(codec: Codec, pool: Pool, seconds: float, seed: int) -> None:
    """Least squares by gradient steps on random events of the pool, voices with noise."""
    guess = codec.articulation.guess
    optimiser = torch.optim.AdamW(guess.parameters(), RATE, weight_decay=0.01)
    dice = torch.Generator(device=pool.ids.device).manual_seed(seed)
    spread = pool.voice.std(0)
    begin, step = time.monotonic(), 0
    while (spent := time.monotonic() - begin) < seconds:
        optimiser.param_groups[0]["lr"] = RATE * max(0.02, 1 - spent / seconds)
        rows = torch.randint(len(pool.ids), (POOL_DRAW,), generator=dice, device=pool.ids.device)
        voice = pool.voice[rows]
        noise = torch.randn(voice.shape, generator=dice, device=voice.device) * spread
        strength = VOICE_NOISE * torch.rand(POOL_DRAW, 1, generator=dice, device=voice.device)
        found = guess(pool.ids[rows], pool.scalars[rows], voice + strength * noise)
        loss = (pool.shapes[rows] - found).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        if step % 200 == 0:
            left = loss.item() / pool.shapes.var(0).mean().item()
            print(f"guess {step}: {left:.3f} of the variance is left", flush=True)
