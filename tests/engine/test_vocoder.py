"""The streaming vocoder: seams, silence, pitch, hostile frames and cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.errors import SottovoceError
from engine.frames import AcousticFrames
from engine.mel import HOP, log_mel
from engine.source_filter import SourceFilter, pulse_train
from engine.vocoder import Vocoder, VocoderState

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    torch.manual_seed(3)
    network = SourceFilter()
    torch.nn.init.normal_(network.head.weight, std=0.05)  # exercise phase and modulation too
    return Vocoder(network)


def vowel(frames: int = 120, f0_hz: float = 140.0) -> AcousticFrames:
    """A voiced-unvoiced-voiced stretch with gliding pitch."""
    rng = np.random.default_rng(1)
    tone, _, _ = pulse_train(np.full(frames * HOP, f0_hz), 0.0)
    mel = log_mel((0.002 * tone + 0.001 * rng.standard_normal(len(tone))).astype(np.float32))
    pitch = np.linspace(f0_hz * 0.9, f0_hz * 1.2, frames).astype(np.float32)
    pitch[40:55] = 0.0
    return AcousticFrames(mel, pitch)


def speak(vocoder: Vocoder, frames: AcousticFrames, cuts: list[int]) -> np.ndarray:
    state: VocoderState = vocoder.initial_state()
    pieces = []
    for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        pcm, state = vocoder.step(
            AcousticFrames(frames.mel[start:end], frames.f0_hz[start:end]), state
        )
        assert pcm.shape == ((end - start) * HOP,)
        pieces.append(pcm)
    return np.concatenate(pieces)


@pytest.mark.parametrize(
    "cuts",
    [[1], [2, 4, 6, 8], list(range(1, 120)), [39, 40, 41, 54, 55, 56], [60, 60, 119], [7, 50, 51]],
    ids=["first", "20ms", "10ms", "voicing-edges", "empty-piece", "odd"],
)
def test_any_split_of_the_frames_gives_the_same_samples(vocoder: Vocoder, cuts: list[int]) -> None:
    frames = vowel()
    whole = speak(vocoder, frames, [])
    assert np.abs(whole).max() > 0.01
    np.testing.assert_allclose(speak(vocoder, frames, cuts), whole, atol=1e-5)


def test_two_streams_of_one_vocoder_do_not_disturb_each_other(vocoder: Vocoder) -> None:
    high, low = vowel(40, 250.0), vowel(40, 90.0)
    alone = speak(vocoder, high, [20])
    a, b = vocoder.initial_state(), vocoder.initial_state()
    pieces = []
    for i in (0, 20):
        pcm, a = vocoder.step(AcousticFrames(high.mel[i : i + 20], high.f0_hz[i : i + 20]), a)
        _, b = vocoder.step(AcousticFrames(low.mel[i : i + 20], low.f0_hz[i : i + 20]), b)
        pieces.append(pcm)
    np.testing.assert_array_equal(np.concatenate(pieces), alone)


def test_silent_frames_are_silent(vocoder: Vocoder) -> None:
    frames = AcousticFrames(np.full((50, 80), -11.5, np.float32), np.zeros(50, np.float32))
    assert np.abs(speak(vocoder, frames, [])).max() < 1e-3


def test_frames_that_are_not_finite_come_out_finite(vocoder: Vocoder) -> None:
    frames = vowel(60)
    mel, pitch = frames.mel.copy(), frames.f0_hz.copy()
    mel[10], mel[11], mel[12] = np.nan, np.inf, 1e30
    pitch[20], pitch[21], pitch[22] = np.nan, np.inf, -5.0
    pcm = speak(vocoder, AcousticFrames(mel, pitch), [15])
    assert np.isfinite(pcm).all()


def test_frames_of_another_shape_are_refused(vocoder: Vocoder) -> None:
    wrong = AcousticFrames(np.zeros((4, 64), np.float32), np.zeros(4, np.float32))
    with pytest.raises(SottovoceError, match="80"):
        vocoder.step(wrong, vocoder.initial_state())


def test_no_frames_give_no_samples_and_the_same_state(vocoder: Vocoder) -> None:
    state = vocoder.initial_state()
    pcm, after = vocoder.step(
        AcousticFrames(np.zeros((0, 80), np.float32), np.zeros(0, np.float32)), state
    )
    assert pcm.shape == (0,) and after is state


def test_a_glide_of_the_pulse_train_has_no_click() -> None:
    glide = np.linspace(100.0, 300.0, 16_000)
    pulses, _, _ = pulse_train(glide, 0.0)
    crest = pulses.reshape(-1, 400).max(axis=1)
    # A pulse of K unit harmonics is K high: the height follows 1 / f0 without jumps.
    expected = 7_600.0 / glide.reshape(-1, 400).mean(axis=1)
    assert np.all(np.abs(crest / expected - 1.0) < 0.5)


def test_the_pitch_asked_for_is_the_pitch_spoken(vocoder: Vocoder) -> None:
    frames = vowel(100)
    steady = AcousticFrames(frames.mel, np.full(100, 125.0, np.float32))
    pcm = speak(vocoder, steady, [])[4_000:12_192]
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    lags = np.fft.irfft(spectrum**2)[100:160]
    assert abs(16_000 / (100 + int(np.argmax(lags))) - 125.0) < 1.5
