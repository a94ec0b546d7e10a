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
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.articulation import load_net
from engine.event_scalars import OWN_SCALARS, event_scalars
from engine.events import MAX_EVENT_TICKS
from engine.phonemes import SILENCE
from engine.training.batches import BatchMaker
from engine.training.datasets import Clip, Corpus
from engine.training.heard import Stream
from engine.training.voice import voice_basis
from engine.weights import load_weights

CodedStream = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Phonemes [E] of one clip's events other than silence, and their codes [E, MAX_LAYERS]."""


def codec_hash() -> str:
    """Names the articulation encoder whose codes these are; the synthesizer may be trained on."""
    digest = hashlib.sha256()
    tensors, _ = load_weights("codec")
    for name in sorted(tensors):
        if not name.startswith("synthesizer."):
            digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def coded_streams(
    corpus: Corpus, heard: Sequence[tuple[Clip, Stream]], minutes: float = math.inf
) -> Iterator[CodedStream]:
    """Encode the heard events, for at most ``minutes``.

    Clips come in an order of their own, the same each time, so that some stand for all.
    """
    end = time.monotonic() + 60 * minutes
    net = load_net()
    basis = voice_basis(corpus)
    voices = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector)
    number = {clip.id: n for n, clip in enumerate(corpus.clips)}
    order = np.random.default_rng(0).permutation(len(heard))
    for n in tqdm(order, desc="codes", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        clip, stream = heard[n]
        spoken = [i for i, event in enumerate(stream) if not event.is_silence]
        if not spoken:
            continue
        frames = slice(clip.first_frame, clip.first_frame + clip.frames)
        mel = torch.from_numpy(np.asarray(corpus.mel[frames], np.float32))
        starts = torch.tensor([stream[i].start_tick for i in spoken])
        ticks = (starts[:, None] + torch.arange(MAX_EVENT_TICKS)).clamp(max=len(mel) - 1)
        before = [stream[i - 1].phoneme if i else SILENCE for i in spoken]
        phonemes = torch.tensor([stream[i].phoneme for i in spoken])
        numbers = [
            event_scalars(stream[i], stream[i].duration_ticks, None, None)[:OWN_SCALARS]
            for i in spoken
        ]
        with torch.inference_mode():
            latent = net.latents(
                ((mel - net.mel_mean) / net.mel_std)[ticks],
                torch.tensor([stream[i].duration_ticks for i in spoken]),
                torch.stack([phonemes, torch.tensor(before)], 1),
                torch.tensor(numbers),
                torch.from_numpy(voices.voice(number[clip.id])).expand(len(spoken), -1),
            )
            codes, _ = net.codebooks.quantise(latent, phonemes)
        yield phonemes.numpy(), codes.numpy()
