"""Frontend features of the training clips, computed once and kept in the cache, one file a clip.

The frontend costs a tenth of real time, so native readers come first and the work stops when its
share of the time is used up; the next run goes on from there.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.frontend import GUARD_FRAMES, STEP_SAMPLES, Frontend
from engine.mel import HOP
from engine.training.datasets import Clip, Corpus

ORDER = ("librispeech", "storybooks", "asterisk", "kathleen", "speechocean", "commands")
VALIDATION_CLIPS = 25  # the last training readers of LibriSpeech: settings are tuned on them


@dataclass(frozen=True, slots=True)
class Example:
    features: NDArray[np.float16]
    """[T, 384] frontend features, 50 a second."""
    labels: NDArray[np.int64]
    """[T] phoneme id of each frame."""
    source: str


def features_of(pcm: NDArray[np.float32]) -> NDArray[np.float16]:
    """PCM [N] → what the streaming frontend gives for it, [N // 320, 384] float16."""
    padded = np.concatenate([pcm, np.zeros(3 * STEP_SAMPLES, np.float32)])
    frames = Frontend().push(padded)[GUARD_FRAMES:]
    return frames[: len(pcm) // (2 * HOP)].astype(np.float16)


def framewise(
    phonemes: NDArray[np.int64], bounds: NDArray[np.int64], frames: int
) -> NDArray[np.int64]:
    """Events (ids [E], boundaries in ticks [E + 1]) → the phoneme in the middle of each 20 ms."""
    middles = 2 * np.arange(frames) + 1
    index = np.clip(np.searchsorted(bounds, middles, side="right") - 1, 0, len(phonemes) - 1)
    return np.asarray(np.where(middles < bounds[-1], phonemes[index], 0), np.int64)


def _path(cache_dir: Path, clip: Clip) -> Path:
    return cache_dir / "frontend" / f"{clip.id}.npy"


def prepare_features(corpus: Corpus, minutes: float) -> None:
    """Compute missing features for at most ``minutes``; at least the validation readers'."""
    pcm = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
    (corpus.cache_dir / "frontend").mkdir(exist_ok=True)
    clips = [corpus.clips[n] for n in corpus.select("dev", ("librispeech",))]
    train = [corpus.clips[n] for n in corpus.select("train")]
    clips += sorted(train, key=lambda clip: (ORDER.index(clip.source), clip.group == "child"))
    missing = [clip for clip in clips if not _path(corpus.cache_dir, clip).is_file()]
    end = time.monotonic() + 60 * minutes
    for clip in tqdm(missing, desc="features", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        sound = pcm[clip.first_frame * HOP : (clip.first_frame + clip.frames) * HOP]
        path = _path(corpus.cache_dir, clip)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, features_of((sound / 32767).astype(np.float32)))
        os.replace(partial, path)


def load_examples(corpus: Corpus, indices: list[int]) -> list[Example]:
    """The clips among ``indices`` whose features are there."""
    examples = []
    for n in indices:
        clip = corpus.clips[n]
        path = _path(corpus.cache_dir, clip)
        if path.is_file():
            features = np.load(path)
            labels = framewise(*corpus.events[clip.id], len(features))
            examples.append(Example(features, labels, clip.source))
    return examples
