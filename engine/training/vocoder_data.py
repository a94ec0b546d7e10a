"""Training segments for the vocoder: true frames, the same frames made to look predicted, PCM.

Reads the feature cache through memory maps and draws segments of the train split by source share;
readers held out of it and rows of split ``dev`` are never drawn. Every random choice comes from the
generator the caller seeds.
"""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import SottovoceError
from engine.mel import HOP
from engine.source_filter import LEAD, SEGMENT, SUBHOP, pitch_track, pulse_train
from engine.training.datasets import tuning_clips
from engine.training.predicted import PredictedFrames

F32 = NDArray[np.float32]

SOURCE_SHARES = {
    "librispeech": 0.28, "kathleen": 0.16, "storybooks": 0.16, "asterisk": 0.10,
    "speechocean": 0.25, "commands": 0.05,
}  # fmt: skip
SEGMENT_FRAMES = 64
BATCH = 16
QUIET_MEL = -9.0  # nepers: a segment with a lower mean is a pause
PREDICTED_SHARE = 0.5  # of the segments, where predicted frames are at hand
MAX_DRAWS = 50  # a segment that is a pause is drawn again this often


@dataclass(frozen=True, slots=True)
class Clip:
    start_frame: int
    frames: int
    source: str
    split: str


class FeatureCache:
    """Memory-mapped features of every clip; see ``engine.training.datasets`` for the format."""

    def __init__(self, data: Path, cache: Path) -> None:
        try:
            self.pcm = np.load(cache / "pcm.npy", mmap_mode="r")
            self.mel = np.load(cache / "mel.npy", mmap_mode="r")
            self.f0 = np.load(cache / "f0.npy", mmap_mode="r")
            lengths = np.load(cache / "len.npy")
            ids = (cache / "ids.txt").read_text().split()
            with (data / "manifest.tsv").open(newline="") as file:
                rows = {
                    row["id"]: row
                    for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                }
        except OSError as error:
            raise SottovoceError(
                f"Cannot read the training data ({error}): check --data and --cache."
            ) from error
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.clips = [
            Clip(int(starts[i]), int(lengths[i]), rows[name]["source"], rows[name]["split"])
            for i, name in enumerate(ids)
            if name in rows
        ]

    def held_out(self) -> list[Clip]:
        """The tuning readers of all trainers; of a corpus without so many, its ``dev`` clips."""
        native = [c for c in self.clips if c.split == "train" and c.source == "librispeech"]
        return tuning_clips(native, [c for c in self.clips if c.split == "dev"])

    def read(self, start: int, frames: int) -> tuple[F32, F32, F32]:
        """Returns pcm [frames * HOP] float32, mel [frames, 80] float32, f0 [frames] float32."""
        pcm = self.pcm[start * HOP : (start + frames) * HOP].astype(np.float32) / 32768.0
        mel = self.mel[start : start + frames].astype(np.float32)
        return pcm, mel, bridge_gaps(self.f0[start : start + frames].astype(np.float32))


def bridge_gaps(f0_hz: F32, longest: int = 4) -> F32:
    """Interpolate unvoiced gaps of a few frames inside one pitch contour: tracker dropouts."""
    voiced = np.flatnonzero(f0_hz > 0)
    fixed = f0_hz.copy()
    for left, right in itertools.pairwise(voiced):
        ratio = f0_hz[right] / f0_hz[left]
        if 1 < right - left <= longest + 1 and 0.85 < ratio < 1.18:
            fixed[left : right + 1] = np.linspace(f0_hz[left], f0_hz[right], right - left + 1)
    return fixed


def blur(mel: F32, f0_hz: F32, rng: np.random.Generator) -> tuple[F32, F32]:
    """Make true frames look predicted: smeared in time and frequency, noisy, pitch in few points.

    mel: [T, 80], f0_hz: [T]. Returns arrays of the same shapes.
    """
    if rng.random() < 0.8:
        for axis, most in ((0, 3), (1, 2)):
            for _ in range(int(rng.integers(0, most))):
                mel = _smear(mel, axis)
        grain = rng.normal(0.0, rng.uniform(0.0, 0.15), mel.shape)
        colour = rng.normal(0.0, 0.15, (1, mel.shape[1])) * rng.random()
        mel = (mel + grain + colour).astype(np.float32)
    voiced = np.flatnonzero(f0_hz > 0)
    if rng.random() < 0.3 and len(voiced):
        ticks = np.arange(len(f0_hz))
        knots = np.cumsum(rng.integers(3, 8, len(f0_hz) // 3))
        knots = np.unique([0, *knots[knots < len(f0_hz)], len(f0_hz) - 1])
        contour = np.interp(ticks, voiced, f0_hz[voiced])
        f0_hz = np.where(f0_hz > 0, np.interp(ticks, knots, contour[knots]), 0.0)
    return mel, f0_hz.astype(np.float32)


def _smear(mel: F32, axis: int) -> F32:
    """One binomial smoothing of [T, 80] along an axis, edges repeated."""
    padded = np.pad(mel, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
    length = mel.shape[axis]
    before, after = padded.take(range(length), axis), padded.take(range(2, length + 2), axis)
    return np.asarray(0.25 * before + 0.5 * mel + 0.25 * after, np.float32)


def excite(f0_hz: F32, rng: np.random.Generator) -> F32:
    """One random draw of the excitation of frames 0 ... T - 2. Returns [4, N] float32."""
    pitch = pitch_track(f0_hz[1:], float(f0_hz[0]))
    pulses, angle, _ = pulse_train(pitch, float(rng.uniform(0.0, 2.0 * np.pi)))
    noise = rng.standard_normal(len(pulses))
    rows = np.stack([pulses, noise, np.cos(angle), np.sin(angle)])
    kept = len(pulses) - HOP + SEGMENT + SUBHOP
    return np.pad(rows, ((0, 0), (LEAD, 0)))[:, :kept].astype(np.float32)


class Segments(NamedTuple):
    """B segments to train on."""

    pcm: Tensor
    """[B, N]"""
    mel: Tensor
    """[B, T, N_MELS]"""
    f0_hz: Tensor
    """[B, T]"""
    draws: list[Tensor]
    """Two excitations, [B, 4, M] each."""
    true: Tensor
    """[B] whether the frames are the sound's own, and not predicted."""


class Batches:
    """Random training segments of the train split, by source share."""

    def __init__(
        self,
        cache: FeatureCache,
        rng: np.random.Generator,
        predicted: PredictedFrames | None = None,
    ) -> None:
        self.cache, self.rng, self.predicted = cache, rng, predicted
        held_out = set(cache.held_out())
        usable = [
            c
            for c in cache.clips
            if c.split == "train" and c.frames > SEGMENT_FRAMES + 2 and c not in held_out
        ]
        self.by_source = {s: [c for c in usable if c.source == s] for s in SOURCE_SHARES}
        self.sources = [s for s, clips in self.by_source.items() if clips]
        if not self.sources:
            raise SottovoceError(
                "No training clips in the cache: build it from a manifest with split=train rows."
            )
        shares = np.array([SOURCE_SHARES[s] for s in self.sources])
        self.shares = shares / shares.sum()
        self.weights = {
            s: np.array([c.frames for c in self.by_source[s]], float) for s in self.sources
        }

    def _true_segment(self) -> tuple[F32, F32, F32]:
        source = self.rng.choice(self.sources, p=self.shares)
        weight = self.weights[source]
        clip = self.by_source[source][self.rng.choice(len(weight), p=weight / weight.sum())]
        start = clip.start_frame + int(self.rng.integers(0, clip.frames - SEGMENT_FRAMES))
        return self.cache.read(start, SEGMENT_FRAMES)

    def _predicted_segment(self, predicted: PredictedFrames) -> tuple[F32, F32, F32]:
        """True PCM, and the frames that the synthesizer predicts for it."""
        long = np.flatnonzero(predicted.lengths > SEGMENT_FRAMES)
        clip = int(self.rng.choice(long))
        offset = int(self.rng.integers(0, predicted.lengths[clip] - SEGMENT_FRAMES))
        pcm, _, _ = self.cache.read(int(predicted.first_frame[clip]) + offset, SEGMENT_FRAMES)
        first = int(predicted.lengths[:clip].sum()) + offset
        rows = slice(first, first + SEGMENT_FRAMES)
        return pcm, predicted.mel[rows].astype(np.float32), predicted.f0_hz[rows]

    def draw(self, device: torch.device, batch: int = BATCH) -> Segments:
        """``batch`` segments, none of them a pause."""
        rows: list[tuple[F32 | np.float32, ...]] = []
        for _ in range(MAX_DRAWS * batch):
            if len(rows) == batch:
                break
            if self.predicted is not None and self.rng.random() < PREDICTED_SHARE:
                pcm, mel, f0 = self._predicted_segment(self.predicted)
                true = False
            else:
                pcm, mel, f0 = self._true_segment()
                true = True
            if mel.mean() < QUIET_MEL:
                continue
            gain = float(self.rng.uniform(-6.0, 6.0)) * np.log(10.0) / 20.0
            pcm, mel = pcm * np.exp(gain), mel + gain
            if true and self.rng.random() < 0.5:
                mel, f0 = blur(mel, f0, self.rng)
            kept = pcm[: (SEGMENT_FRAMES - 1) * HOP]
            own = np.float32(true)
            rows.append((kept, mel, f0, excite(f0, self.rng), excite(f0, self.rng), own))
        if not rows:
            raise SottovoceError("The cache holds nothing but pauses: check its pcm.npy.")
        columns = [np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)]
        stacked = [torch.from_numpy(column).to(device) for column in columns]
        sound, frames, pitch, *draws, own_frames = stacked
        return Segments(sound, frames, pitch, draws, own_frames > 0)
