"""What the streaming recogniser makes of the training clips, kept in the cache.

The codec must speak from recognised events, wrong phonemes and shifted boundaries included, so a
share of its training crops uses these in place of the alignments. Features come from the cache of
``recognizer_data``; only the network and the beam search run here.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.beam import PhonemeBeam
from engine.events import MAX_EVENT_TICKS
from engine.recognizer import BEAM, TICKS_PER_FRAME, RecognizerModel, load_model
from engine.training.datasets import Corpus
from engine.training.kept import weights_fingerprint
from engine.training.recognizer_data import feature_path

F32 = NDArray[np.float32]
Events = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Phonemes [E] and their boundaries in ticks [E + 1]."""


@torch.inference_mode()
def log_posteriors(features: NDArray[np.float16], model: RecognizerModel) -> F32:
    """Frontend features [T, 384] → log posteriors [T, N_PHONEMES], 20 ms each."""
    logits, _ = model.net(
        torch.from_numpy(features.astype(np.float32))[None], model.net.initial_state()
    )
    return np.asarray(torch.log_softmax(logits[0], dim=1).numpy(), np.float32)


def search(rows: F32, model: RecognizerModel) -> Events:
    """Log posteriors → contiguous events of at most MAX_EVENT_TICKS."""
    beam = PhonemeBeam(model.ngram, model.log_stay, model.log_prior, BEAM)
    segments = [s for t in range(0, len(rows), 4) for s in beam.push(rows[t : t + 4])]
    phonemes: list[int] = []
    bounds: list[int] = []
    end = 0
    for segment in segments + beam.flush():
        end = segment.end_frame * TICKS_PER_FRAME
        for start in range(segment.start_frame * TICKS_PER_FRAME, end, MAX_EVENT_TICKS):
            phonemes.append(segment.phoneme)
            bounds.append(start)
    return np.asarray(phonemes, np.int64), np.asarray([*bounds, end], np.int64)


def recognised_events(corpus: Corpus) -> dict[str, Events]:
    """Clip id → events, for every training clip whose frontend features are in the cache.

    Kept in the cache by the fingerprint of the recogniser's weights.
    """
    path = corpus.cache_dir / f"recognized-{weights_fingerprint('recognizer')}.npz"
    if not path.is_file():
        _compute(corpus, path)
    with np.load(path) as stored:
        lengths = stored["lengths"]
        phonemes = np.split(stored["phonemes"], np.cumsum(lengths)[:-1])
        bounds = np.split(stored["bounds"], np.cumsum(lengths + 1)[:-1])
        ids = stored["ids"]
    return {
        str(name): (p, b) for name, p, b in zip(ids, phonemes, bounds, strict=True) if len(p) > 1
    }


def _compute(corpus: Corpus, path: Path) -> None:
    model, found = load_model(), {}
    for n in tqdm(corpus.select("train"), desc="recognising", unit=" clips", mininterval=10):
        clip = corpus.clips[n]
        if feature_path(corpus.cache_dir, clip).is_file():
            rows = log_posteriors(np.load(feature_path(corpus.cache_dir, clip)), model)
            found[clip.id] = search(rows, model)
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        ids=np.array(list(found)),
        lengths=np.array([len(p) for p, _ in found.values()], np.int64),
        phonemes=np.concatenate([p for p, _ in found.values()]),
        bounds=np.concatenate([b for _, b in found.values()]),
    )
    os.replace(partial, path)
