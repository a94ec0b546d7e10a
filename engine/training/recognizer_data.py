"""Frontend features of the training clips, computed once and kept in the cache, one file a clip.

The frontend costs a tenth of real time, so native readers and augmented copies of them come first
and the work stops when its share of the time is used up; the next run goes on from there.
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.frontend import KIND, features_of
from engine.mel import HOP
from engine.training.augment import another_recording
from engine.training.datasets import Clip, Corpus

# What is worth its time most comes first: (source, which copy; 0 is the recording itself).
ORDER = (
    ("librispeech", 0), ("storybooks", 0), ("asterisk", 0), ("librispeech", 1), ("librispeech", 2),
    ("storybooks", 1), ("librispeech", 3), ("speechocean", 0), ("kathleen", 0), ("librispeech", 4),
    ("asterisk", 1), ("storybooks", 2), ("commands", 0), ("speechocean", 1), ("kathleen", 1),
)  # fmt: skip
COPIES = 5


@dataclass(frozen=True, slots=True)
class Example:
    features: NDArray[np.float16]
    """[T, 384] frontend features, 50 a second."""
    labels: NDArray[np.int64]
    """[T] phoneme id of each frame."""
    source: str


def kept_features(sound: NDArray[np.float32]) -> NDArray[np.float16]:
    """PCM [N] → its features as the cache holds them, [N // 320, 384]."""
    return features_of(sound)[: len(sound) // (2 * HOP)].astype(np.float16)


def framewise(
    phonemes: NDArray[np.int64], bounds: NDArray[np.int64], frames: int
) -> NDArray[np.int64]:
    """Events (ids [E], boundaries in ticks [E + 1]) → the phoneme in the middle of each 20 ms."""
    middles = 2 * np.arange(frames) + 1
    index = np.clip(np.searchsorted(bounds, middles, side="right") - 1, 0, len(phonemes) - 1)
    return np.asarray(np.where(middles < bounds[-1], phonemes[index], 0), np.int64)


def feature_dir(cache_dir: Path) -> Path:
    """Where features of this frontend are kept: of another kind they would be of no use."""
    return cache_dir / f"frontend-{KIND}"


def feature_path(cache_dir: Path, clip: Clip, copy: int = 0) -> Path:
    """Where the features of a clip, or of one of its augmented copies, are kept."""
    return feature_dir(cache_dir) / (f"{clip.id}+{copy}.npy" if copy else f"{clip.id}.npy")


def prepare_features(corpus: Corpus, minutes: float) -> None:
    """Compute missing features for at most ``minutes``, in ORDER; the dev readers' first."""
    pcm = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
    feature_dir(corpus.cache_dir).mkdir(exist_ok=True)
    train = [corpus.clips[n] for n in corpus.select("train")]
    wanted = [(corpus.clips[n], 0) for n in corpus.select("dev", ("librispeech",))]
    for source, copy in ORDER:
        part = [clip for clip in train if clip.source == source]
        wanted += [(clip, copy) for clip in sorted(part, key=lambda clip: clip.group == "child")]
    missing = [(c, k) for c, k in wanted if not feature_path(corpus.cache_dir, c, k).is_file()]
    end = time.monotonic() + 60 * minutes
    for clip, copy in tqdm(missing, desc="features", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        _keep(corpus, pcm, train, clip, copy)


def _sound(pcm: NDArray[np.int16], clip: Clip) -> NDArray[np.float32]:
    part = pcm[clip.first_frame * HOP : (clip.first_frame + clip.frames) * HOP]
    return np.asarray(part / 32767, np.float32)


def _keep(corpus: Corpus, pcm: NDArray[np.int16], train: list[Clip], clip: Clip, copy: int) -> None:
    sound, scale = _sound(pcm, clip), 1.0
    if copy:
        rng = np.random.default_rng([zlib.crc32(clip.id.encode()), copy])
        other = train[int(rng.integers(len(train)))]
        sound, scale = another_recording(sound, _sound(pcm, other), rng)
    path = feature_path(corpus.cache_dir, clip, copy)
    partial = path.with_suffix(".partial.npy")
    if copy:
        np.save(path.with_suffix(".scale.npy"), scale)
    np.save(partial, kept_features(sound))
    os.replace(partial, path)


def load_examples(corpus: Corpus, indices: list[int], copies: int = COPIES) -> list[Example]:
    """The clips among ``indices`` whose features are there, and up to ``copies`` - 1 variants."""
    examples = []
    for n in indices:
        clip = corpus.clips[n]
        for copy in range(copies):
            path = feature_path(corpus.cache_dir, clip, copy)
            if not path.is_file():
                continue
            features = np.load(path)
            phonemes, bounds = corpus.events[clip.id]
            if copy:
                scale = float(np.load(path.with_suffix(".scale.npy")))
                bounds = np.round(bounds * scale).astype(np.int64)
            labels = framewise(phonemes, bounds, len(features))
            examples.append(Example(features, labels, clip.source))
    return examples
