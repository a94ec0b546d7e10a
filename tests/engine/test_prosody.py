"""Streaming pitch and energy: known signals, noise, pieces against the whole, hostile input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SottovoceError
from engine.events import quantise_energy, quantise_pitch
from engine.mel import HOP
from engine.prosody import ProsodyTracker
from engine.source_filter import pulse_train


def buzz(f0_hz: np.ndarray) -> np.ndarray:
    """A voice-like signal: pulses with harmonics that fall with frequency. [T] Hz → [T * HOP]."""
    pitch = np.repeat(f0_hz, HOP).astype(np.float64)
    pulses, _, _ = pulse_train(pitch, 0.0)
    slope = np.exp(-np.arange(400) / 12.0)
    return (0.004 * np.convolve(pulses, slope)[: len(pulses)]).astype(np.float32)


def tracked(pcm: np.ndarray, piece: int = 1_600) -> ProsodyTracker:
    tracker = ProsodyTracker()
    for start in range(0, len(pcm), piece):
        tracker.push(pcm[start : start + piece])
    tracker.flush()
    return tracker


@pytest.mark.parametrize("f0_hz", [75.0, 110.0, 196.0, 320.0, 440.0])
def test_a_steady_voice_reads_its_own_semitone(f0_hz: float) -> None:
    prosody = tracked(buzz(np.full(100, f0_hz))).measure(40, 12)
    assert prosody.voiced
    assert prosody.pitch == (quantise_pitch(f0_hz),) * 2


def test_a_rising_voice_has_a_higher_second_point() -> None:
    prosody = tracked(buzz(np.linspace(100.0, 250.0, 80))).measure(30, 20)
    assert prosody.voiced and prosody.pitch[1] >= prosody.pitch[0] + 2


def test_a_voice_under_noise_keeps_its_pitch() -> None:
    rng = np.random.default_rng(5)
    voice = buzz(np.full(150, 130.0))
    noise = rng.standard_normal(len(voice)) * np.sqrt(np.mean(voice**2)) * 10 ** (-10 / 20)
    prosody = tracked((voice + noise).astype(np.float32)).measure(60, 12)
    assert prosody.voiced
    assert abs(prosody.pitch[0] - quantise_pitch(130.0)) <= 1


@pytest.mark.parametrize("kind", ["noise", "silence", "rumble"])
def test_what_is_no_voice_is_unvoiced(kind: str) -> None:
    rng = np.random.default_rng(6)
    length = 16_000
    hum = 0.05 * np.sin(2 * np.pi * 25.0 * np.arange(length) / 16_000)
    pcm = {"noise": 0.1 * rng.standard_normal(length), "silence": np.zeros(length), "rumble": hum}
    tracker = tracked(pcm[kind].astype(np.float32))
    assert not tracker.measure(40, 20).voiced


def test_energy_is_the_level_of_exactly_these_ticks() -> None:
    pcm = np.concatenate([np.full(20 * HOP, 0.1), np.full(10 * HOP, 0.5), np.full(30 * HOP, 0.1)])
    tracker = tracked(pcm.astype(np.float32))
    assert tracker.measure(20, 10).energy == quantise_energy(0.5)
    assert tracker.measure(5, 10).energy == quantise_energy(0.1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=30))
def test_pieces_of_any_length_read_like_the_whole(lengths: list[int]) -> None:
    pitch = np.concatenate([np.linspace(90, 180, 60), np.linspace(240, 150, 60)])
    pcm = buzz(pitch)
    whole, pieces = ProsodyTracker(), ProsodyTracker()
    whole.push(pcm)
    position = 0
    for length in [*lengths, len(pcm)]:
        pieces.push(pcm[position : position + length])
        position += length
    np.testing.assert_array_equal(whole.track(), pieces.track())
    assert whole.measure(30, 15) == pieces.measure(30, 15)
    assert whole.f0_mean_hz() == pieces.f0_mean_hz()


def test_pitch_by_tick_is_zero_where_nothing_is_known() -> None:
    tracker = tracked(buzz(np.full(60, 120.0)))
    track = tracker.f0_hz(-5, 40)
    assert track.shape == (40,)
    assert not track[:5].any()
    np.testing.assert_allclose(track[15:], 120.0, rtol=0.03)
    assert not tracker.f0_hz(1_000, 10).any()


def test_ticks_never_pushed_read_as_silence() -> None:
    tracker = ProsodyTracker()
    assert tracker.f0_mean_hz() is None
    assert tracker.measure(500, 10) == tracker.measure(-30, 10)
    assert not tracker.measure(500, 10).voiced and tracker.measure(0, 1).energy == 0


def test_hostile_samples_do_no_lasting_harm() -> None:
    rng = np.random.default_rng(2)
    tracker = ProsodyTracker()
    tracker.push(np.array([np.nan, np.inf, -np.inf, 1e30] * 400, np.float32))
    tracker.push(rng.choice([-1.0, 1.0], 8_000).astype(np.float32))
    tracker.push(np.zeros(0, np.float32))
    tracker.push(buzz(np.full(150, 150.0)))
    tracker.flush()
    prosody = tracker.measure(60 + 100, 10)
    assert prosody.voiced and abs(prosody.pitch[0] - quantise_pitch(150.0)) <= 1


def test_stereo_is_refused_with_advice() -> None:
    with pytest.raises(SottovoceError, match="mono"):
        ProsodyTracker().push(np.zeros((10, 2), np.float32))
