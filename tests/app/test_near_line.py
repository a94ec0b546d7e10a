"""Heard sound goes back to when it was said: exactly where the delay rests, closely where not."""

from __future__ import annotations

import numpy as np
import pytest

from app.near_line import HOP, SAMPLES_A_MS, STRAY, HeardSpan, on_near_line
from engine.events import Pcm

SECOND = 16_000


def clicks(times_ms: list[float], samples: int) -> Pcm:
    """A click at each time, in a little noise."""
    pcm = 1e-4 * np.random.default_rng(3).standard_normal(samples)
    for at_ms in times_ms:
        at = round(at_ms * SAMPLES_A_MS)
        pcm[at : at + 8] += 0.8
    return pcm.astype(np.float32)


def click_times_ms(pcm: Pcm) -> list[float]:
    loud = np.flatnonzero(np.abs(pcm) > 0.4)
    starts = loud[np.diff(loud, prepend=-SECOND) > 20 * SAMPLES_A_MS]
    return [float(at) / SAMPLES_A_MS for at in starts]


def test_at_a_constant_delay_samples_are_copied() -> None:
    heard = (0.3 * np.random.default_rng(1).standard_normal(2 * SECOND)).astype(np.float32)
    spans = [HeardSpan(i, 100.0 * i, 100.0, 100.0 * i + 430.0, 100.0) for i in range(10)]
    aligned = on_near_line(heard, spans, SECOND)
    np.testing.assert_allclose(aligned, heard[6_880 : 6_880 + SECOND], atol=1e-6)


def test_every_sound_is_brought_back_from_a_delay_that_wanders() -> None:
    delays_ms = [500.0, 500.0, 560.0, 640.0, 700.0, 700.0, 650.0, 600.0, 600.0]
    said_ms = [100.0 + 200.0 * i for i in range(8)]
    spans = [
        HeardSpan(i, said, 200.0, said + delays_ms[i], 200.0 + delays_ms[i + 1] - delays_ms[i])
        for i, said in enumerate(said_ms)
    ]
    burst = np.hanning(960) * np.sin(2 * np.pi * 300.0 * np.arange(960) / SECOND)
    heard = np.zeros(3 * SECOND, np.float32)
    for span in spans:
        middle = round((span.heard_ms + span.heard_for_ms / 2) * SAMPLES_A_MS)
        heard[middle - 480 : middle + 480] += burst
    aligned = on_near_line(heard, spans, 2 * SECOND)
    for said in said_ms:
        begin = round(said * SAMPLES_A_MS)
        power = aligned[begin : begin + 3_200].astype(np.float64) ** 2
        middle_ms = float(power @ np.arange(3_200) / power.sum()) / SAMPLES_A_MS
        assert power.sum() > 100.0
        assert middle_ms == pytest.approx(100.0, abs=10.0)


def test_a_pause_that_was_cut_short_is_long_again_and_a_held_phoneme_is_not() -> None:
    spans = [
        HeardSpan(0, 0.0, 100.0, 500.0, 100.0),
        HeardSpan(1, 100.0, 200.0, 600.0, 40.0, "pause"),
        HeardSpan(2, 300.0, 100.0, 640.0, 100.0),  # then held for 250 ms
        HeardSpan(3, 400.0, 100.0, 990.0, 100.0),
    ]
    heard = clicks([550.0, 690.0, 1040.0], 2 * SECOND)
    found = click_times_ms(on_near_line(heard, spans, SECOND))
    np.testing.assert_allclose(found, [50.0, 350.0, 450.0], atol=STRAY / SAMPLES_A_MS + 1.0)


def test_a_stretched_vowel_keeps_its_pitch() -> None:
    time_s = np.arange(SECOND) / SECOND
    heard = (0.5 * np.sin(2 * np.pi * 200.0 * time_s)).astype(np.float32)
    spans = [HeardSpan(0, 0.0, 600.0, 200.0, 400.0)]
    middle = on_near_line(heard, spans, 9_600)[1_600:8_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * SECOND / len(middle) == pytest.approx(200.0, abs=5.0)
    assert np.abs(middle).max() < 0.55
    assert np.abs(middle.reshape(-1, HOP)).max(axis=1).min() > 0.4  # no hole at any seam


def test_what_nothing_was_heard_for_is_silent() -> None:
    noise = (0.3 * np.random.default_rng(1).standard_normal(SECOND)).astype(np.float32)
    spans = [HeardSpan(0, 0.0, 100.0, 100.0, 100.0), HeardSpan(9, 900.0, 100.0, 210.0, 100.0)]
    aligned = on_near_line(noise, spans, SECOND)
    assert np.abs(aligned[4_000:12_000]).max() == 0.0
    assert np.abs(aligned[:1_000]).max() > 0.1 and np.abs(aligned[-1_000:]).max() > 0.1


@pytest.mark.parametrize("samples", [0, 1, 159, 161, 4_000])
def test_any_length_is_kept(samples: int) -> None:
    heard = np.ones(1_000, np.float32)
    for spans in ([], [HeardSpan(0, 0.0, 20.0, 30.0, 20.0)]):
        aligned = on_near_line(heard, spans, samples)
        assert aligned.shape == (samples,) and aligned.dtype == np.float32
    assert on_near_line(np.zeros(0, np.float32), [], samples).shape == (samples,)


def test_frames_that_overlap_are_heard_once() -> None:
    spans = [HeardSpan(0, 0.0, 60.0, 100.0, 60.0), HeardSpan(1, 30.0, 60.0, 160.0, 60.0)]
    heard = clicks([130.0, 205.0], SECOND)
    found = click_times_ms(on_near_line(heard, spans, SECOND))
    np.testing.assert_allclose(found, [30.0, 75.0], atol=STRAY / SAMPLES_A_MS + 1.0)
