"""What the streaming recogniser makes of the training clips, kept in the cache.

The codec must speak from recognised events, wrong phonemes and shifted boundaries included, so a
share of its training crops uses these in place of the alignments. Features come from the cache of
``recognizer_data``; only the network and the beam search run here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.beam import PhonemeBeam, Segment
from engine.events import MAX_EVENT_TICKS
from engine.frontend import STEP_FRAMES
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


def search_in_steps(beam: PhonemeBeam, rows: F32) -> list[Segment]:
    """Log posteriors [T, N_PHONEMES] to the end of a clip, as many at a time as in a call."""
    segments: list[Segment] = []
    for start in range(0, len(rows), STEP_FRAMES):
        segments += beam.push(rows[start : start + STEP_FRAMES])
    return segments + beam.flush()


def search(rows: F32, model: RecognizerModel) -> Events:
    """Log posteriors → contiguous events of at most MAX_EVENT_TICKS."""
    beam = PhonemeBeam(model.ngram, model.log_stay, model.log_prior, BEAM)
    phonemes: list[int] = []
    bounds: list[int] = []
    end = 0
    for segment in search_in_steps(beam, rows):
        end = segment.end_frame * TICKS_PER_FRAME
        for start in range(segment.start_frame * TICKS_PER_FRAME, end, MAX_EVENT_TICKS):
            phonemes.append(segment.phoneme)
            bounds.append(start)
    return np.asarray(phonemes, np.int64), np.asarray([*bounds, end], np.int64)


def recognised_path(cache_dir: Path) -> Path:
    """Where the events are kept, by the fingerprint of the recogniser's weights."""
    return cache_dir / f"recognized-{weights_fingerprint('recognizer')}.npz"


def recognised_events(corpus: Corpus) -> dict[str, Events]:
    """Clip id → events, for training clips whose frontend features are in the cache.

    What ``engine.training.align`` has left there, be it all of them or some; else computed now.
    """
    path = recognised_path(corpus.cache_dir)
    found = load_recognised(path)
    if not found:
        model = load_model()
        for n in tqdm(corpus.select("train"), desc="recognising", unit=" clips", mininterval=10):
            clip = corpus.clips[n]
            if feature_path(corpus.cache_dir, clip).is_file():
                features = np.load(feature_path(corpus.cache_dir, clip))
                found[clip.id] = search(log_posteriors(features, model), model)
        save_recognised(path, found)
    return {name: events for name, events in found.items() if len(events[0]) > 1}


def load_recognised(path: Path) -> dict[str, Events]:
    """What ``save_recognised`` wrote; {} when there is no such file."""
    if not path.is_file():
        return {}
    with np.load(path) as stored:
        lengths = stored["lengths"]
        phonemes = np.split(stored["phonemes"], np.cumsum(lengths)[:-1])
        bounds = np.split(stored["bounds"], np.cumsum(lengths + 1)[:-1])
        names = stored["ids"].tolist()
    return {name: (p, b) for name, p, b in zip(names, phonemes, bounds, strict=True)}


def save_recognised(path: Path, found: Mapping[str, Events]) -> None:
    """Write all of ``found``, under another name first. It must not be empty."""
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        ids=np.array(list(found)),
        lengths=np.array([len(p) for p, _ in found.values()], np.int64),
        phonemes=np.concatenate([p for p, _ in found.values()]),
        bounds=np.concatenate([b for _, b in found.values()]),
    )
    os.replace(partial, path)
