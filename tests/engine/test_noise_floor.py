"""Steady background is told from speech at any level, and a word's quiet moments are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from engine.events import Pcm
from engine.noise_floor import FRAME_SAMPLES, KNOWN_FRAMES, Flags, NoiseFloor

SECOND = 16_000


def noise(seconds: float, rms: float, seed: int = 1) -> Pcm:
    samples = np.random.default_rng(seed).standard_normal(int(seconds * SECOND))
    return (rms * samples).astype(np.float32)


def judge(pcm: Pcm) -> Flags:
    return NoiseFloor().push(pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, 320))


@pytest.mark.parametrize("rms", [3e-4, 1e-3, 5e-3])
def test_steady_noise_is_background_once_it_is_known(rms: float) -> None:
    flags = judge(noise(10.0, rms))
    assert not flags[: KNOWN_FRAMES - 1].any()
    assert flags[KNOWN_FRAMES:].mean() > 0.9


def test_nothing_at_all_is_background_at_once() -> None:
    assert judge(np.zeros(SECOND, np.float32)).all()
    assert judge(noise(1.0, 1e-5)).all()
    assert judge(noise(6.0, 1e-4)).mean() > 0.9


def test_what_is_loud_never_is() -> None:
    assert not judge(noise(6.0, 0.02)).any()


@pytest.mark.parametrize("level", [1.0, 0.03])
def test_a_sound_over_the_noise_is_not_background(level: float) -> None:
    pcm = level * noise(6.0, 1e-3)
    hiss = np.diff(
        noise(0.2, 4e-3, seed=2), prepend=0.0
    )  # weak next to the whole, clear in its band
    pcm[4 * SECOND : 4 * SECOND + len(hiss)] += level * hiss
    flags = judge(pcm)
    assert flags[150:199].mean() > 0.6
    assert not flags[201:209].any()


def test_the_closure_of_a_stop_is_part_of_the_word() -> None:
    pcm = noise(6.0, 2e-4)
    for start_s in np.arange(2.0, 5.0, 0.3):  # loud for 180 ms, then nothing for 120 ms
        at = int(start_s * SECOND)
        pcm[at : at + 2_880] += noise(0.18, 0.05, seed=3)
    assert not judge(pcm)[101:249].any()


def test_frames_may_come_in_any_pieces() -> None:
    frames = noise(4.0, 5e-4).reshape(-1, FRAME_SAMPLES)
    floor = NoiseFloor()
    pieces = [floor.push(frames[at : at + 7]) for at in range(0, len(frames), 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), NoiseFloor().push(frames))
    assert len(floor.push(frames[:0])) == 0
