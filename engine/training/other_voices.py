"""More voices than there are readers: clips played faster and slower are clips of other people.

Pitch and formants move together, as between short and long vocal tracts (Ko et al., 2015). The
copies are kept in the cache beside the clips they come from, and a ``Corpus`` can be widened by
them; they are training speech only.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from engine.dvector import embed
from engine.mel import HOP, log_mel
from engine.training.augment import change_speed
from engine.training.datasets import Clip, Corpus
from engine.training.events import tick_power
from engine.voice import spectral_balance

SPEEDS = (0.84, 0.92, 1.09, 1.18)
SOURCES = ("librispeech",)  # one clip a reader: the voices are what is scarce


def widen(corpus: Corpus, clips: list[int]) -> list[int]:
    """Append the copies of ``clips`` to ``corpus``; returns the copies' indices.

    About two minutes the first time for 225 clips, then from the cache.
    """
    originals = [n for n in clips if corpus.clips[n].source in SOURCES]
    path = corpus.cache_dir / f"other_voices-{len(originals)}.npz"
    if not path.is_file():
        _compute(corpus, originals, path)
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files}
    added, start = [], len(corpus.mel)
    for n, speed, frames in zip(parts["origin"], parts["speed"], parts["frames"], strict=True):
        added.append(_copy(corpus, corpus.clips[n], float(speed), start, int(frames)))
        start += int(frames)
    first = len(corpus.clips)
    corpus.clips = corpus.clips + added
    for name in ("mel", "f0", "power", "dvec", "balance"):
        joined = np.concatenate([np.asarray(getattr(corpus, name)), parts[name]])
        setattr(corpus, name, joined)
    return list(range(first, first + len(added)))


def _copy(corpus: Corpus, clip: Clip, speed: float, first_frame: int, frames: int) -> Clip:
    """The copy's row, and its events at its own speed."""
    phonemes, bounds = corpus.events[clip.id]
    moved = np.minimum(np.round(bounds / speed).astype(np.int64), frames)
    lasting = np.diff(moved) > 0  # of two ticks played faster only one may be left
    name = f"{clip.id}@{speed}"
    corpus.events[name] = phonemes[lasting], np.append(moved[:-1][lasting], moved[-1])
    return replace(
        clip, id=name, speaker=f"{clip.speaker}@{speed}", first_frame=first_frame, frames=frames
    )


def _compute(corpus: Corpus, originals: list[int], path: os.PathLike[str]) -> None:
    pcm = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("mel", "f0", "power")}
    origin, speeds, frames, dvec, balance = [], [], [], [], []
    for n in tqdm(originals, desc="other voices", unit=" clips", mininterval=10):
        clip = corpus.clips[n]
        span = slice(clip.first_frame, clip.first_frame + clip.frames)
        sound = np.asarray(pcm[span.start * HOP : span.stop * HOP] / 32767, np.float32)
        f0 = np.asarray(corpus.f0[span])
        for speed in SPEEDS:
            other = change_speed(sound, speed)
            other = other[: len(other) // HOP * HOP]
            mel, power = log_mel(other), tick_power(other)
            count = len(other) // HOP
            # Of two neighbouring ticks one may be unvoiced: take the nearest, do not interpolate.
            source = np.clip(np.round((np.arange(count) + 0.5) * speed - 0.5), 0, len(f0) - 1)
            kept["mel"].append(mel[:count].astype(np.float16))
            kept["f0"].append((f0[source.astype(np.int64)] * speed).astype(np.float32))
            kept["power"].append(power[:count].astype(np.float32))
            origin.append(n)
            speeds.append(speed)
            frames.append(count)
            dvec.append(embed(other, rate=0.7))
            balance.append(spectral_balance(mel[:count], power[:count]))
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in kept.items()}
    arrays |= {"origin": np.array(origin), "speed": np.array(speeds), "frames": np.array(frames)}
    arrays |= {"dvec": np.array(dvec, np.float32), "balance": np.array(balance, np.float32)}
    partial = f"{path}.partial.npz"
    np.savez(partial, **arrays)
    os.replace(partial, path)
