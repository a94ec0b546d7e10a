"""Frames as the synthesizer predicts them, kept beside the true audio, to train the vocoder on.

Training clips go through the shipped codec with their aligned phonemes and 0 to 3 code layers; the
predicted log-mel and pitch are in step with the clip. Run it again when the codec has changed:
``python -m engine.training.predicted --data DIR --cache DIR --out RUN_DIR``.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.articulation import ArticulationEncoder
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS
from engine.frames import AcousticFrames
from engine.synthesizer import SpokenEvent, Synthesizer
from engine.training.batches import BatchMaker
from engine.training.datasets import Corpus
from engine.training.events import measure, to_events
from engine.training.voice import voice_basis

F32 = NDArray[np.float32]
FILE_NAME = "predicted.npz"
MOST_EVENTS = 60  # of a clip


@dataclass(frozen=True, slots=True)
class PredictedFrames:
    """Predictions of several clips, one after the other."""

    mel: NDArray[np.float16]
    """[sum T, 80] natural log."""
    f0_hz: F32
    """[sum T] 0 = unvoiced."""
    first_frame: NDArray[np.int64]
    """[clips] where each begins in the feature cache."""
    lengths: NDArray[np.int64]
    """[clips] frames of each."""

    @classmethod
    def load(cls, path: Path) -> PredictedFrames:
        """Raises SottovoceError when the file is not what ``save`` wrote."""
        try:
            with np.load(path) as file:
                return cls(file["mel"], file["f0_hz"], file["first_frame"], file["lengths"])
        except (OSError, KeyError, ValueError) as error:
            raise SottovoceError(
                f"Cannot read {path} ({error}): delete it and run again."
            ) from error

    def save(self, path: Path) -> None:
        partial = path.with_name(f"{path.stem}.partial.npz")
        np.savez(
            partial, mel=self.mel, f0_hz=self.f0_hz, first_frame=self.first_frame,
            lengths=self.lengths,
        )  # fmt: skip
        os.replace(partial, path)


class Predictor:
    """Speaks training clips with the shipped codec."""

    def __init__(self, corpus: Corpus) -> None:
        basis = voice_basis(corpus)
        self.corpus = corpus
        self._maker = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector)
        self._synthesizer = Synthesizer()
        self._articulation = ArticulationEncoder()

    def predict(self, number: int, layers: int) -> tuple[AcousticFrames, int]:
        """Frames of the clip's first events, and the cache frame they start at."""
        corpus, clip = self.corpus, self.corpus.clips[number]
        span = slice(clip.first_frame, clip.first_frame + clip.frames)
        mel, f0 = np.asarray(corpus.mel[span], np.float32), np.asarray(corpus.f0[span])
        phonemes, bounds = corpus.events[clip.id]
        bounds = np.minimum(bounds, clip.frames)
        whole = int(np.count_nonzero(np.diff(bounds) > 0))
        count = min(MOST_EVENTS, whole)
        events = to_events(
            measure(phonemes[:count], bounds[: count + 1], f0, np.asarray(corpus.power[span]))
        )
        voice = self._maker.voice(number)
        if layers:
            for i, event in enumerate(events):
                rows = np.arange(event.start_tick, event.end_tick).clip(0, clip.frames - 1)
                before = events[i - 1] if i else None
                codes = self._articulation.encode(mel[rows], event, before, voice)
                events[i] = replace(event, codes=codes[:layers])
        state, parts = self._synthesizer.initial_state(), []
        for i, event in enumerate(events):
            following = events[i + 1] if i + 1 < len(events) else None
            spoken = SpokenEvent(event, event.duration_ticks, following)
            frames, state = self._synthesizer.step(spoken, voice, state)
            parts.append(frames)
        joined = AcousticFrames(
            np.concatenate([p.mel for p in parts]), np.concatenate([p.f0_hz for p in parts])
        )
        return joined, clip.first_frame + events[0].start_tick


def predict_corpus(
    corpus: Corpus, clips: int, seed: int, minutes: float = math.inf
) -> PredictedFrames:
    """At most ``clips`` random clips of the train split, each with a random number of layers, in about
    ``minutes``; the readers that trainers hold out are not among them."""
    end = time.monotonic() + 60 * minutes
    rng = np.random.default_rng(seed)
    train = corpus.training(corpus.tuning(otherwise=()))
    weights = corpus.draw_weights(train)
    chosen = rng.choice(train, min(clips, int((weights > 0).sum())), replace=False, p=weights)
    predictor = Predictor(corpus)
    spoken = []
    for n in tqdm(chosen, desc="predicting", unit=" clips", mininterval=10):
        spoken.append(predictor.predict(int(n), int(rng.integers(0, MAX_LAYERS + 1))))
        if time.monotonic() > end:
            break
    return PredictedFrames(
        np.concatenate([frames.mel for frames, _ in spoken]).astype(np.float16),
        np.concatenate([frames.f0_hz for frames, _ in spoken]),
        np.array([start for _, start in spoken]),
        np.array([len(frames) for frames, _ in spoken]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="speech folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the vocoder's run folder")
    parser.add_argument("--clips", type=int, default=500, help="at most")
    parser.add_argument("--minutes", type=float, default=math.inf, help="at most")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        made = predict_corpus(
            Corpus(options.data, options.cache), options.clips, options.seed, options.minutes
        )
        options.out.mkdir(parents=True, exist_ok=True)
        made.save(options.out / FILE_NAME)
    except SottovoceError as error:
        raise SystemExit(str(error)) from error
    print(f"{len(made.lengths)} clips, {len(made.mel) / 6000:.1f} minutes of predicted frames")


if __name__ == "__main__":
    main()
