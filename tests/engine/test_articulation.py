"""Articulation codes: three bytes an event, the same for the same frames, refused for others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.articulation import (
    CODE_DIM,
    CONTEXT_TICKS,
    ArticulationEncoder,
    ArticulationNet,
    Codebooks,
    load_codec_part,
    pitch_input,
    pool_weights,
)
from engine.errors import SottovoceError
from engine.events import PhonemeEvent
from engine.mel import log_mel
from engine.voice import descriptor_vector
from engine.weights import WeightsError
from tests.speech import any_speech

NOBODY = descriptor_vector(None)


@pytest.fixture(scope="module")
def encoder() -> ArticulationEncoder:
    return ArticulationEncoder()


def frames_of(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    count = length + 2 * CONTEXT_TICKS
    mel = rng.normal(-6, 2, (count, 80)).astype(np.float32)
    return mel, np.full(count, 120.0, np.float32)


@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_any_length_of_event_has_three_bytes(encoder: ArticulationEncoder, length: int) -> None:
    mel, f0 = frames_of(length)
    codes = encoder.encode(mel, PhonemeEvent(0, 5, 0, length), None, None, NOBODY, f0)
    assert len(codes) == 3
    assert all(0 <= code <= 255 for code in codes)


def test_the_same_event_has_the_same_codes_whoever_shares_the_encoder(
    encoder: ArticulationEncoder,
) -> None:
    mel, f0 = frames_of(8)
    here = PhonemeEvent(0, 5, 0, 8)
    first = encoder.encode(mel, here, None, here, NOBODY, f0)
    encoder.encode(*[frames_of(8, 1)[0], here, here, None, NOBODY, f0])
    assert encoder.encode(mel, here, None, here, NOBODY, f0) == first


def test_real_speech_uses_many_codes() -> None:
    pcm = any_speech()
    mel = log_mel(pcm)
    encoder, seen = ArticulationEncoder(), set()
    for start in range(CONTEXT_TICKS, len(mel) - 8 - CONTEXT_TICKS, 8):
        part = mel[start - CONTEXT_TICKS : start + 8 + CONTEXT_TICKS]
        event = PhonemeEvent(0, 30, start, 8, energy=12)
        codes = encoder.encode(part, event, None, None, NOBODY, np.zeros(len(part), np.float32))
        seen.add(codes[0])
    assert len(seen) > 8


@pytest.mark.parametrize("value", [0.0, -11.5, 1e30, float("nan"), float("inf")], ids=str)
def test_digital_garbage_still_gives_bytes(encoder: ArticulationEncoder, value: float) -> None:
    mel = np.full((8 + 2 * CONTEXT_TICKS, 80), value, np.float32)
    codes = encoder.encode(
        mel, PhonemeEvent(0, 5, 0, 8), None, None, NOBODY, np.zeros(len(mel), np.float32)
    )
    assert all(0 <= code <= 255 for code in codes)


def test_wrong_shapes_are_refused(encoder: ArticulationEncoder) -> None:
    mel, f0 = frames_of(8)
    here = PhonemeEvent(0, 5, 0, 8)
    with pytest.raises(SottovoceError, match="log-mel"):
        encoder.encode(mel[1:], here, None, None, NOBODY, f0)
    with pytest.raises(SottovoceError, match="f0"):
        encoder.encode(mel, here, None, None, NOBODY, f0[1:])
    with pytest.raises(SottovoceError, match="log-mel"):
        encoder.encode(mel, PhonemeEvent(0, 5, 0, 0), None, None, NOBODY, f0)


def test_more_stages_come_closer_to_the_latent() -> None:
    generator = torch.Generator().manual_seed(0)
    books = Codebooks()
    # Each stage finer than the one before, as training makes them.
    scale = torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    books.vectors.copy_(torch.randn(books.vectors.shape, generator=generator) * 0.1 * scale)
    latent = torch.randn(64, CODE_DIM, generator=generator) * 0.1
    _, stages = books.quantise(latent)
    errors = [(latent - stages[:, :n].sum(1)).square().mean() for n in range(1, 4)]
    assert errors[0] > errors[1] > errors[2]


def test_decoding_adds_the_stages_and_refuses_what_is_no_code() -> None:
    books = Codebooks()
    expected = books.vectors[0, 3] + books.vectors[1, 200]
    assert torch.allclose(books.decode((3, 200)), expected)
    assert not books.decode(()).any()
    for bad in ((256,), (-1,), (0, 0, 0, 0)):
        with pytest.raises(SottovoceError):
            books.decode(bad)


def test_pooling_weights_are_means_over_the_whole_the_early_and_the_late_part() -> None:
    weights = pool_weights(10)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-6)
    assert weights[1, 0] > weights[1, -1]
    assert weights[2, 0] < weights[2, -1]


def test_unvoiced_frames_have_no_pitch_input() -> None:
    np.testing.assert_array_equal(pitch_input(np.array([0.0, 0.0], np.float32)), 0.0)


def test_weights_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import engine.articulation as module

    tensors, metadata = module.load_weights("codec")
    wrong = {**tensors, "articulation.out.bias": torch.zeros(3)}
    monkeypatch.setattr(module, "load_weights", lambda name: (wrong, metadata))
    with pytest.raises(WeightsError, match="does not fit"):
        load_codec_part(ArticulationNet(), "articulation.")
