"""The voice: a descriptor of at most 42 bytes that gets better as it grows and as they speak."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.dvector import DVECTOR_DIM, active_ticks, embed
from engine.errors import SottovoceError
from engine.events import DESCRIPTOR_STAGES, VoiceDescriptor
from engine.voice import (
    BALANCE_STAGES,
    FIRST_TICKS,
    VOICE_DIM,
    VoiceEncoder,
    build_model,
    descriptor_vector,
    interpolate,
    is_balance,
    load_model,
    spectral_balance,
)
from engine.weights import WeightsError
from tests.speech import SPEECH_REASON, any_speech, dev_readers, load_pcm

pytest.importorskip("resemblyzer")


@pytest.fixture(scope="module")
def readers() -> list[np.ndarray]:
    if not dev_readers():
        pytest.skip(SPEECH_REASON)
    return [load_pcm(path)[: 16_000 * 8] for _, path, _ in dev_readers()[:4]]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a[:DVECTOR_DIM] @ b[:DVECTOR_DIM])


def test_nobody_is_the_mean_voice() -> None:
    voice = descriptor_vector(None)
    assert voice.shape == (VOICE_DIM,)
    assert abs(np.linalg.norm(voice[:DVECTOR_DIM]) - 1) < 1e-3
    assert not voice[DVECTOR_DIM:].any()


def test_more_bytes_are_a_better_voice(readers: list[np.ndarray]) -> None:
    closeness = np.zeros(5)
    for pcm in readers:
        descriptor = VoiceEncoder().describe(pcm)
        truth = embed(pcm)
        for k, count in enumerate((1, 4, 12, 24, DESCRIPTOR_STAGES)):
            part = VoiceDescriptor(0, descriptor.f0_mean, descriptor.stages[:count])
            closeness[k] += cosine(truth, descriptor_vector(part)) / len(readers)
    assert (np.diff(closeness) > 0).all()
    assert closeness[-1] > 0.9


def test_a_voice_is_closer_to_itself_than_to_others(readers: list[np.ndarray]) -> None:
    first = [descriptor_vector(VoiceEncoder().describe(pcm[: len(pcm) // 2])) for pcm in readers]
    second = [descriptor_vector(VoiceEncoder().describe(pcm[len(pcm) // 2 :])) for pcm in readers]
    table = np.array([[cosine(a, b) for b in second] for a in first])
    assert (table.argmax(1) == np.arange(len(readers))).all()


def test_streaming_speech_describes_it_after_a_second_and_then_better() -> None:
    pcm, encoder = any_speech(8.0), VoiceEncoder()
    found = []
    for start in range(0, len(pcm), 320):
        descriptor = encoder.push(pcm[start : start + 320])
        if descriptor is not None:
            found.append((start / 16_000, descriptor))
    assert FIRST_TICKS / 100 <= found[0][0] < 3.0
    assert [d.version for _, d in found] == sorted({d.version for _, d in found})
    whole = embed(pcm)
    closeness = [cosine(whole, descriptor_vector(d)) for _, d in found]
    assert closeness[-1] > closeness[0] - 0.02
    assert all(len(d.to_bytes()) <= 42 for _, d in found)


def test_pieces_do_not_matter() -> None:
    pcm = any_speech(3.0)
    whole, pieces = VoiceEncoder(), VoiceEncoder()
    at_once = whole.push(pcm)
    one_by_one = [pieces.push(part) for part in np.array_split(pcm, 37)]
    assert at_once is not None
    assert [d for d in one_by_one if d is not None][-1].stages == at_once.stages


@pytest.mark.parametrize("sound", ["silence", "nan"])
def test_silence_and_garbage_have_no_voice(sound: str) -> None:
    pcm = np.full(64_000, np.nan if sound == "nan" else 0.0, np.float32)
    assert VoiceEncoder().push(pcm) is None
    with pytest.raises(SottovoceError, match="no speech"):
        VoiceEncoder().describe(pcm)


def test_a_reset_forgets_the_talker() -> None:
    pcm = any_speech(3.0)
    another = pcm[::-1].copy()
    used, unaware, fresh = VoiceEncoder(), VoiceEncoder(), VoiceEncoder()
    assert used.push(pcm) is not None and unaware.push(pcm) is not None
    used.reset()
    expected = fresh.push(another)
    assert expected is not None and used.push(another) == expected
    assert unaware.push(another) != expected  # which it would not be had it remembered nothing


def test_the_mean_pitch_travels_with_the_voice() -> None:
    encoder = VoiceEncoder()
    encoder.f0_mean_hz = 200.0
    assert abs(encoder.describe(any_speech(2.0)).f0_mean_hz - 200.0) < 3.0


def test_voices_mix_along_the_sphere() -> None:
    model = load_model()
    rng = np.random.default_rng(0)
    a, b = (model.dequantise(tuple(int(i) for i in rng.integers(0, 256, 40))) for _ in range(2))
    np.testing.assert_allclose(interpolate(a, b, 0.0), a, atol=1e-5)
    np.testing.assert_allclose(interpolate(a, b, 1.0), b, atol=1e-5)
    middle = interpolate(a, b, 0.5)
    assert abs(np.linalg.norm(middle[:DVECTOR_DIM]) - 1) < 1e-4
    assert abs(cosine(middle, a) - cosine(middle, b)) < 1e-3
    np.testing.assert_allclose(interpolate(a, a, 0.3), a, atol=1e-5)


def test_any_stages_give_a_finite_voice() -> None:
    rng = np.random.default_rng(1)
    for count in range(1, DESCRIPTOR_STAGES + 1):
        stages = tuple(int(i) for i in rng.integers(0, 256, count))
        voice = descriptor_vector(VoiceDescriptor(0, 0, stages))
        assert voice.shape == (VOICE_DIM,) and np.isfinite(voice).all()


def test_stages_alternate_until_the_balance_is_told() -> None:
    kinds = [is_balance(k) for k in range(DESCRIPTOR_STAGES)]
    assert sum(kinds) == BALANCE_STAGES
    assert kinds[:4] == [False, True, False, True]
    assert not any(kinds[2 * BALANCE_STAGES :])


def test_balance_knows_no_level() -> None:
    rng = np.random.default_rng(0)
    mel = rng.normal(-5, 1, (200, 80)).astype(np.float32)
    power = np.full(200, 1e-3, np.float32)
    louder = spectral_balance(mel + 1.0, power)
    np.testing.assert_allclose(spectral_balance(mel, power), louder, atol=1e-4)


def test_pauses_are_not_active() -> None:
    power = np.concatenate([np.full(100, 1e-2), np.full(100, 1e-7), np.zeros(50)])
    on = active_ticks(power.astype(np.float32))
    assert on[:100].all() and not on[120:].any()
    assert len(active_ticks(np.zeros(0, np.float32))) == 0


def test_a_voice_model_of_another_shape_is_refused() -> None:
    with pytest.raises(WeightsError, match="does not fit"):
        build_model({"origin": torch.zeros(3)})
