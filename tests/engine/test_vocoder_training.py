"""Training the vocoder: the data it draws, the loss it descends, and its streaming twin."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import SottovoceError
from engine.frames import AcousticFrames
from engine.mel import HOP, log_mel
from engine.source_filter import NOISE_READING, SourceFilter, pulse_train
from engine.training import vocoder as vocoder_training
from engine.training.datasets import VALIDATION_CLIPS
from engine.training.discriminator import Discriminator
from engine.training.predicted import PredictedFrames
from engine.training.vocoder import energy_distance, synthesise, train
from engine.training.vocoder_data import Batches, Clip, FeatureCache, blur, bridge_gaps, excite
from engine.vocoder import Vocoder, VocoderState, _noise_table


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A corpus of two buzzing clips, one to train on and one to validate on."""
    rng = np.random.default_rng(0)
    pcms, f0s = [], []
    for seconds in (6, 5):
        f0 = np.repeat(rng.uniform(90, 220, seconds * 10), 10)
        pulses, _, _ = pulse_train(np.repeat(f0, HOP), 0.0)
        pcms.append((0.005 * pulses + 0.01 * rng.standard_normal(len(pulses))).astype(np.float32))
        f0s.append(f0.astype(np.float32))
    mels = [log_mel(pcm) for pcm in pcms]
    cache = tmp_path / "cache"
    cache.mkdir()
    np.save(cache / "pcm.npy", (np.concatenate(pcms) * 32767).astype(np.int16))
    np.save(cache / "mel.npy", np.concatenate(mels).astype(np.float16))
    np.save(cache / "f0.npy", np.concatenate(f0s))
    np.save(cache / "len.npy", np.array([len(m) for m in mels]))
    (cache / "ids.txt").write_text("one\ntwo")
    rows = ["id\tsource\tsplit", "one\tkathleen\ttrain", "two\tlibrispeech\tdev"]
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path, cache


def options(data: tuple[Path, Path], **given: object) -> argparse.Namespace:
    """What a run of a few steps is told."""
    usual: dict[str, object] = {
        "data": str(data[0]), "cache": str(data[1]), "out": str(data[0] / "run"),
        "minutes": 0.001, "rate": 1e-3, "adversarial": 0.0, "envelope": 1.0, "batch": 2,
        "device": "cpu", "threads": 1, "seed": 1, "install": False,
    }  # fmt: skip
    return argparse.Namespace(**(usual | given))


def test_dev_clips_are_never_drawn(data: tuple[Path, Path]) -> None:
    batches = Batches(FeatureCache(*data), np.random.default_rng(1))
    assert batches.sources == ["kathleen"]
    drawn = batches.draw(torch.device("cpu"), batch=3)
    assert drawn.pcm.shape == (3, 63 * HOP) and drawn.mel.shape == (3, 64, 80)
    assert drawn.f0_hz.shape == (3, 64) and drawn.true.tolist() == [True] * 3
    assert [draw.shape[:2] for draw in drawn.draws] == [(3, 4), (3, 4)]


def test_readers_held_out_are_never_drawn(data: tuple[Path, Path]) -> None:
    cache = FeatureCache(*data)
    cache.clips = [Clip(n * 2, 600, "librispeech", "train") for n in range(VALIDATION_CLIPS + 3)]
    batches = Batches(cache, np.random.default_rng(1))
    assert cache.held_out() == cache.clips[3:]
    assert batches.by_source["librispeech"] == cache.clips[:3]


def test_what_prediction_blurred_need_not_come_back(
    data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments whose frames are predicted take no part in the energy distance."""
    cache = FeatureCache(*data)
    predicted = PredictedFrames(
        np.asarray(cache.mel[:500], np.float16), np.asarray(cache.f0[:500], np.float32),
        np.array([0]), np.array([500]),
    )  # fmt: skip
    monkeypatch.setattr("engine.training.vocoder_data.PREDICTED_SHARE", 0.5)
    batches = Batches(cache, np.random.default_rng(1), predicted)
    drawn = batches.draw(torch.device("cpu"), batch=12)
    assert 0 < int(drawn.true.sum()) < 12
    run = vocoder_training.Run(options(data, envelope=1.0))
    run.batches = batches
    seen: list[int] = []
    measure = vocoder_training.energy_distance

    def count(truth: torch.Tensor, one: torch.Tensor, two: torch.Tensor) -> object:
        seen.append(len(truth))
        return measure(truth, one, two)

    monkeypatch.setattr(vocoder_training, "energy_distance", count)
    monkeypatch.setattr(batches, "draw", lambda *_: drawn)
    run.advance(1e-4)
    assert seen == [int(drawn.true.sum())]


def test_a_missing_cache_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(SottovoceError, match="--cache"):
        FeatureCache(tmp_path, tmp_path)


def test_training_writes_a_checkpoint_and_resumes_from_it(
    data: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = options(data, adversarial=0.1)
    train(arguments)
    first = torch.load(data[0] / "run" / "last.pt", weights_only=True)["step"]
    train(arguments)
    second = torch.load(data[0] / "run" / "last.pt", weights_only=True)["step"]
    assert second > first
    assert capsys.readouterr().out.count("held out: energy") == 2
    curve = (data[0] / "run" / "curve.csv").read_text().splitlines()
    assert curve[0].startswith("step,") and len(curve) == 3


@pytest.mark.parametrize(("shipped", "installs"), [(0.0, False), (float("inf"), True)])
def test_what_ships_is_never_replaced_by_something_worse(
    data: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, shipped: float, installs: bool
) -> None:
    installed: list[object] = []
    monkeypatch.setattr(vocoder_training, "shipped_cost", lambda *_: shipped)
    monkeypatch.setattr(vocoder_training, "install", lambda *given: installed.append(given))
    arguments = options(data, install=True)
    train(arguments)
    assert bool(installed) is installs


def test_the_energy_distance_prefers_noise_to_a_flat_average() -> None:
    rng = torch.Generator().manual_seed(2)
    truth, one, two = torch.randn(3, 8, 8_000, generator=rng).unbind(0)
    steady = torch.zeros(8, 8_000)
    steady[:, ::40] = 6.0
    honest, _ = energy_distance(0.1 * truth, 0.1 * one, 0.1 * two)
    flat, _ = energy_distance(0.1 * truth, 0.1 * steady, 0.1 * steady)
    assert float(honest) < float(flat)


def test_the_streaming_vocoder_equals_the_trained_one() -> None:
    torch.manual_seed(5)
    network = SourceFilter().eval()
    torch.nn.init.normal_(network.head.weight, std=0.03)
    rng = np.random.default_rng(3)
    mel = rng.normal(-6.0, 0.5, (60, 80)).astype(np.float32)
    f0 = np.zeros(60, np.float32)  # unvoiced: both then shape the same stored noise
    vocoder = Vocoder(network)
    state: VocoderState = vocoder.initial_state()
    streamed, _ = vocoder.step(AcousticFrames(mel, f0), state)
    # The stream's excitation starts one frame before frame 0.
    draw = np.zeros((4, 60 * HOP), np.float32)
    draw[1] = _noise_table()[:60].reshape(-1)
    kept = torch.from_numpy(draw[:, HOP - 120 :][:, : 59 * HOP + 80].copy())[None]
    with torch.no_grad():
        (whole,) = synthesise(
            network, torch.from_numpy(mel)[None], torch.from_numpy(f0)[None], [kept]
        )
    late = Vocoder.LOOKAHEAD_FRAMES * HOP
    middle = slice(30 * HOP, 55 * HOP)
    shifted = streamed[late:][middle]
    np.testing.assert_allclose(shifted, whole[0].numpy()[middle], atol=1e-5)


def test_the_clear_sound_is_what_the_stream_plays_of_voiced_speech() -> None:
    network = SourceFilter().eval()
    rng = np.random.default_rng(4)
    mel = rng.normal(-5.0, 0.5, (60, 80)).astype(np.float32)
    f0 = np.full(60, 120.0, np.float32)
    vocoder = Vocoder(network)
    streamed, _ = vocoder.step(AcousticFrames(mel, f0), vocoder.initial_state())
    draw = torch.from_numpy(excite(f0, rng))[None]
    with torch.no_grad():
        plain, clear = synthesise(
            network, torch.from_numpy(mel)[None], torch.from_numpy(f0)[None], [draw], clear=True
        )
    late = Vocoder.LOOKAHEAD_FRAMES * HOP
    middle = slice(20 * HOP, 55 * HOP)
    heard, breathy, played = (
        log_mel(np.asarray(sound, np.float32)[middle]).mean(0)
        for sound in (clear[0].numpy(), plain[0].numpy(), streamed[late:])
    )
    # Pulses and noise are drawn anew, so only mean spectra agree; breath is told most at the top.
    assert abs(breathy[-1] - played[-1]) > 0.3
    assert abs(heard[-1] - played[-1]) < 0.05


def test_an_untrained_network_already_keeps_the_level() -> None:
    vocoder = Vocoder(SourceFilter())
    mel = np.full((60, 80), float(np.log(0.05 * NOISE_READING)), np.float32)
    pcm, _ = vocoder.step(AcousticFrames(mel, np.zeros(60, np.float32)), vocoder.initial_state())
    assert abs(20 * np.log10(np.std(pcm[4_000:]) / 0.05)) < 2.0


def test_short_gaps_in_a_contour_are_bridged_and_long_ones_kept() -> None:
    f0 = np.array([100, 0, 0, 106, 0, 0, 0, 0, 0, 0, 110, 0, 220], np.float32)
    fixed = bridge_gaps(f0)
    np.testing.assert_allclose(fixed[:4], [100, 102, 104, 106])
    assert not fixed[4:10].any() and fixed[11] == 0.0


def test_blurred_frames_keep_their_shape_and_voicing() -> None:
    rng = np.random.default_rng(0)
    mel = rng.normal(-5, 1, (64, 80)).astype(np.float32)
    f0 = np.where(np.arange(64) % 20 < 12, 120.0, 0.0).astype(np.float32)
    for seed in range(8):
        soft, pitch = blur(mel, f0, np.random.default_rng(seed))
        assert soft.shape == mel.shape and soft.dtype == np.float32
        np.testing.assert_array_equal(pitch > 0, f0 > 0)
    assert excite(f0, rng).dtype == np.float32


def test_the_discriminator_learns_from_both_sides() -> None:
    torch.manual_seed(0)
    critic = Discriminator()
    truth, made = torch.randn(2, 4_000), torch.randn(2, 4_000, requires_grad=True)
    critic.loss(truth, made.detach()).backward()
    assert all(p.grad is not None for p in critic.parameters())
    critic.generator_loss(truth, made).backward()
    assert made.grad is not None and torch.isfinite(made.grad).all()
