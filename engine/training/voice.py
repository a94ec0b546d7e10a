"""The voice model: the basis of spectral balance, and the residual codebooks of descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.datasets import Corpus
from engine.voice import BALANCE_DIM

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
