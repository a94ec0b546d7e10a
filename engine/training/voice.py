"""Train the voice descriptor: the basis of spectral balance and the residual codebooks.

k-means, stage after stage, on the training clips' vectors and on mixtures of two speakers, which
fill the space between the few hundred voices there are. ``python -m engine.training.voice --help``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dvector import DVECTOR_DIM
from engine.events import CODE_LEVELS, DESCRIPTOR_STAGES
from engine.training.datasets import Corpus
from engine.voice import BALANCE_DIM, BALANCE_STAGES, DVECTOR_STAGES, build_model
from engine.weights import MODELS_DIR, save_weights

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class VoiceBasis:
    """Whitening of spectral balance: ``(balance - mean) @ basis.T`` has unit variance."""

    mean: F32
    """[80]"""
    basis: F32
    """[BALANCE_DIM, 80]"""
    mean_dvector: F32
    """[256] unit: the voice of nobody in particular."""


def voice_basis(corpus: Corpus) -> VoiceBasis:
    """Principal components of the training clips' balance, weighted as training draws them."""
    clips = corpus.select("train")
    weights = corpus.draw_weights(clips)
    balance = corpus.balance[clips].astype(np.float64)
    mean = weights @ balance
    centred = balance - mean
    values, vectors = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    order = np.argsort(values)[::-1][:BALANCE_DIM]
    basis = (vectors[:, order] / np.sqrt(np.maximum(values[order], 1e-6))).T
    # A component's sign is arbitrary; fix it so that every run makes the same basis.
    basis *= np.sign(basis.sum(axis=1, keepdims=True))
    dvector = weights @ corpus.dvec[clips].astype(np.float64)
    return VoiceBasis(
        mean.astype(np.float32),
        basis.astype(np.float32),
        (dvector / np.linalg.norm(dvector)).astype(np.float32),
    )


MIXTURES = 16_000
ITERATIONS = 8
ORIGIN_SCALE = 0.8  # coarse d-vectors are shorter than 1 before they are normalised


def kmeans(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm; empty cells restart on a random point. points: [N, D] → [count, D]."""
    centres = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(ITERATIONS):
        cell = nearest(points, centres)
        size = torch.bincount(cell, minlength=count).float()[:, None]
        total = torch.zeros_like(centres).index_add_(0, cell, points)
        spare = points[torch.randint(len(points), (count,), generator=generator)]
        centres = torch.where(size > 0, total / size.clamp(min=1), spare)
    return centres


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """Index of the closest centre of every point, [N]."""
    return ((centres * centres).sum(1) - 2 * points @ centres.t()).argmin(1)


def residual_books(points: Tensor, stages: int, seed: int) -> Tensor:
    """Residual codebooks [stages, CODE_LEVELS, D] for points [N, D]."""
    generator = torch.Generator().manual_seed(seed)
    rest, books = points.clone(), []
    for _ in range(stages):
        book = kmeans(rest, CODE_LEVELS, generator)
        rest = rest - book[nearest(rest, book)]
        books.append(book)
    return torch.stack(books)


def _mixtures(vectors: F32, weights: NDArray[np.float64], unit: bool, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    first, second = (rng.choice(len(vectors), MIXTURES, p=weights) for _ in range(2))
    share = rng.uniform(0, 0.5, (MIXTURES, 1))
    mixed = vectors[first] * (1 - share) + vectors[second] * share
    if unit:
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return torch.from_numpy(mixed.astype(np.float32))


def train(corpus: Corpus, seed: int) -> dict[str, Tensor]:
    """The tensors of ``voice.safetensors``."""
    basis = voice_basis(corpus)
    clips = [n for n, clip in enumerate(corpus.clips) if clip.split == "train"]
    favour = {"librispeech": 8.0, "storybooks": 2.0}  # the widest native variety counts most
    weights = np.array(
        [
            favour.get(corpus.clips[n].source, 1.0)
            * (0.4 if corpus.clips[n].group == "child" else 1)
            for n in clips
        ]
    )
    weights /= weights.sum()
    origin = torch.from_numpy(basis.mean_dvector * ORIGIN_SCALE)
    dvectors = _mixtures(corpus.dvec[clips], weights, unit=True, seed=seed) - origin
    white = np.asarray((corpus.balance[clips] - basis.mean) @ basis.basis.T, np.float32)
    balances = torch.cat(
        [_mixtures(white, weights, unit=False, seed=seed), torch.from_numpy(white)]
    )
    return {
        "balance_mean": torch.from_numpy(basis.mean),
        "balance_basis": torch.from_numpy(basis.basis),
        "mean_dvector": torch.from_numpy(basis.mean_dvector),
        "origin": origin,
        "dvector_books": residual_books(dvectors, DVECTOR_STAGES, seed).half(),
        "balance_books": residual_books(balances.float(), BALANCE_STAGES, seed).half(),
    }


def score(corpus: Corpus, tensors: dict[str, Tensor]) -> list[dict[str, float]]:
    """By bytes sent: mean cosine of the d-vector and relative error of the balance, dev readers."""
    model = build_model(tensors)
    clips = [
        n for n, c in enumerate(corpus.clips) if c.split == "dev" and c.source == "librispeech"
    ]
    voices = [model.voice(corpus.dvec[n], corpus.balance[n]) for n in clips]
    stages = [model.quantise(voice) for voice in voices]
    rows = []
    for count in (0, 1, 2, 4, 8, 16, 24, 32, DESCRIPTOR_STAGES):
        back = [model.dequantise(s[:count]) for s in stages]
        d = DVECTOR_DIM
        cosine = np.mean([a[:d] @ b[:d] for a, b in zip(voices, back, strict=True)])
        error = np.sum([(a[d:] - b[d:]) ** 2 for a, b in zip(voices, back, strict=True)])
        power = np.sum([a[d:] ** 2 for a in voices])
        rows.append(
            {"bytes": count, "cosine": float(cosine), "balance_error": float(error / power)}
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the voice descriptor's codebooks.")
    parser.add_argument("--data", type=Path, required=True, help="speech folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--out", type=Path, default=Path("runs/voice"))
    parser.add_argument("--minutes", type=float, default=2.0, help="not needed: ends by itself")
    parser.add_argument("--device", default="auto", help="not needed: k-means runs on the CPU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--install", action="store_true", help="also write assets/models")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = Corpus(options.data, options.cache)
    tensors = train(corpus, options.seed)
    rows = score(corpus, tensors)
    print("| bytes | cosine of the d-vector | error of the balance |\n|---|---|---|")
    for row in rows:
        print(f"| {row['bytes']} | {row['cosine']:.3f} | {row['balance_error']:.3f} |")
    metadata = {"scores": rows, "data": "see assets/models/voice.md"}
    save_weights("voice", tensors, metadata, options.out)
    if options.install:
        save_weights("voice", tensors, metadata, MODELS_DIR)


if __name__ == "__main__":
    main()
