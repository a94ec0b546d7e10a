"""Articulation codes of the heard training clips, by the codec in ``assets/models``.

Counted into the bitstream's tables, which therefore belong to one codec. The voice is each clip's
own, unquantised: only statistics are wanted.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.articulation import ArticulationEncoder
from engine.events import MAX_LAYERS
from engine.training.batches import BatchMaker
from engine.training.datasets import Clip, Corpus
from engine.training.heard import Stream
from engine.training.voice import voice_basis
from engine.weights import MODELS_DIR

CodedStream = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Phonemes [E] of one clip's events other than silence, and their codes [E, MAX_LAYERS]."""


def codec_hash() -> str:
    """Names the codec whose codes these are."""
    return hashlib.sha256((MODELS_DIR / "codec.safetensors").read_bytes()).hexdigest()


def coded_streams(
    corpus: Corpus, heard: Sequence[tuple[Clip, Stream]], minutes: float = math.inf
) -> Iterator[CodedStream]:
    """Encode the heard events, about a millisecond each, for at most ``minutes``.

    Clips come in an order of their own, the same each time, so that some stand for all.
    """
    end = time.monotonic() + 60 * minutes
    encoder = ArticulationEncoder()
    basis = voice_basis(corpus)
    voices = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector)
    number = {clip.id: n for n, clip in enumerate(corpus.clips)}
    order = np.random.default_rng(0).permutation(len(heard))
    for n in tqdm(order, desc="codes", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        clip, stream = heard[n]
        frames = slice(clip.first_frame, clip.first_frame + clip.frames)
        mel = np.asarray(corpus.mel[frames], np.float32)
        voice = voices.voice(number[clip.id])
        phonemes, codes = [], []
        for i, event in enumerate(stream):
            if event.is_silence:
                continue
            inside = np.arange(event.start_tick, event.end_tick).clip(0, len(mel) - 1)
            previous = stream[i - 1] if i else None
            codes.append(encoder.encode(mel[inside], event, previous, voice))
            phonemes.append(event.phoneme)
        yield np.array(phonemes, np.int64), np.array(codes, np.int64).reshape(-1, MAX_LAYERS)
