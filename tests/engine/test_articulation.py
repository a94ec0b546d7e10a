"""Articulation codes: a byte a layer, the same for the same frames, refused for others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.articulation import (
    CODE_DIM,
    MANNER,
    SHAPE_TIMES,
    ArticulationEncoder,
    ArticulationNet,
    Codebooks,
    load_codec_part,
    shape_basis,
)
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS, PhonemeEvent
from engine.mel import log_mel
from engine.phonemes import N_PHONEMES, PHONEME_ID
from engine.voice import descriptor_vector
from engine.weights import WeightsError
from tests.speech import any_speech

NOBODY = descriptor_vector(None)


@pytest.fixture(scope="module")
def encoder() -> ArticulationEncoder:
    return ArticulationEncoder()


def frames_of(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-6, 2, (length, 80)).astype(np.float32)


@pytest.mark.parametrize("length", [1, 2, 9, 20])
def test_any_length_of_event_has_a_byte_a_layer(encoder: ArticulationEncoder, length: int) -> None:
    codes = encoder.encode(frames_of(length), PhonemeEvent(0, 5, 0, length), None, NOBODY)
    assert len(codes) == MAX_LAYERS
    assert all(0 <= code <= 255 for code in codes)


def test_the_same_event_has_the_same_codes_whoever_shares_the_encoder(
    encoder: ArticulationEncoder,
) -> None:
    here = PhonemeEvent(0, 5, 0, 8)
    first = encoder.encode(frames_of(8), here, None, NOBODY)
    encoder.encode(frames_of(8, 1), here, here, NOBODY)
    assert encoder.encode(frames_of(8), here, None, NOBODY) == first


def test_real_speech_uses_many_codes() -> None:
    mel = log_mel(any_speech())
    encoder, seen = ArticulationEncoder(), set()
    for start in range(0, len(mel) - 8, 8):
        event = PhonemeEvent(0, 30, start, 8, energy=12)
        seen.add(encoder.encode(mel[start : start + 8], event, None, NOBODY)[0])
    assert len(seen) > 8


@pytest.mark.parametrize("value", [0.0, -11.5, 1e30, float("nan"), float("inf")], ids=str)
def test_digital_garbage_still_gives_bytes(encoder: ArticulationEncoder, value: float) -> None:
    mel = np.full((8, 80), value, np.float32)
    codes = encoder.encode(mel, PhonemeEvent(0, 5, 0, 8), None, NOBODY)
    assert all(0 <= code <= 255 for code in codes)


def test_wrong_shapes_are_refused(encoder: ArticulationEncoder) -> None:
    here = PhonemeEvent(0, 5, 0, 8)
    with pytest.raises(SottovoceError, match="log-mel"):
        encoder.encode(frames_of(7), here, None, NOBODY)
    with pytest.raises(SottovoceError, match="log-mel"):
        encoder.encode(frames_of(8), PhonemeEvent(0, 5, 0, 0), None, NOBODY)
    with pytest.raises(SottovoceError, match="voice"):
        encoder.encode(frames_of(8), here, None, NOBODY[1:])


def test_more_stages_come_closer_to_the_latent() -> None:
    generator = torch.Generator().manual_seed(0)
    books = Codebooks()
    # Each stage finer than the one before, as training makes them.
    scale = 0.5 ** torch.arange(MAX_LAYERS)[:, None, None]
    books.vectors.copy_(torch.randn(books.vectors.shape, generator=generator) * 0.1 * scale)
    latent = torch.randn(64, CODE_DIM, generator=generator) * 0.1
    _, stages = books.quantise(latent, torch.arange(64) % N_PHONEMES)
    errors = [
        float((latent - stages[:, :n].sum(1)).square().mean()) for n in range(1, MAX_LAYERS + 1)
    ]
    assert errors == sorted(errors, reverse=True)


def test_several_paths_find_closer_sums_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    books = Codebooks()
    latent, phonemes = torch.randn(64, CODE_DIM) * 0.1, torch.arange(64) % N_PHONEMES

    def error() -> float:
        _, stages = books.quantise(latent, phonemes)
        return float((latent - stages.sum(1)).square().mean())

    several = error()
    monkeypatch.setattr("engine.articulation.PATHS", 1)
    assert several < 0.99 * error()


def test_decoding_adds_the_stages_and_refuses_what_is_no_code() -> None:
    books = Codebooks()
    vowel, fricative = PHONEME_ID["iː"], PHONEME_ID["s"]
    for phoneme in (vowel, fricative):
        own = books.vectors[int(MANNER[phoneme])]
        assert torch.allclose(books.decode((3, 200), phoneme), own[0, 3] + own[1, 200])
    assert not torch.allclose(books.decode((3,), vowel), books.decode((3,), fricative))
    assert not books.decode((), vowel).any()
    for bad in ((256,), (-1,), (0,) * (MAX_LAYERS + 1)):
        with pytest.raises(SottovoceError):
            books.decode(bad, vowel)


def test_what_is_decoded_is_what_was_quantised() -> None:
    books = Codebooks()
    latent, phonemes = torch.randn(40, CODE_DIM) * 0.1, torch.arange(40)
    indices, stages = books.quantise(latent, phonemes)
    for row, phoneme in enumerate(range(40)):
        codes = tuple(int(i) for i in indices[row])
        torch.testing.assert_close(books.decode(codes, phoneme), stages[row].sum(0))


@pytest.mark.parametrize("length", range(1, 21))
def test_shape_terms_are_orthogonal_and_rebuild_what_they_read(length: int) -> None:
    basis = shape_basis(length, 20)
    gram = basis.t() @ basis / length
    known = min(length, SHAPE_TIMES)
    torch.testing.assert_close(gram[:known, :known], torch.eye(known), atol=1e-5, rtol=0)
    assert not basis[length:].any() and not gram[known:].any()
    terms = torch.randn(known, 5)
    heard = basis[:, :known] @ terms
    torch.testing.assert_close(basis[:, :known].t() @ heard / length, terms)


def test_weights_of_another_shape_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import engine.articulation as module

    tensors, metadata = module.load_weights("codec")
    wrong = {**tensors, "articulation.project.weight": torch.zeros(3)}
    monkeypatch.setattr(module, "load_weights", lambda name: (wrong, metadata))
    with pytest.raises(WeightsError, match="does not fit"):
        load_codec_part(ArticulationNet(), "articulation.")
