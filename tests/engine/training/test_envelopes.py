"""The training term agrees with ESTOI and can be descended."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine import metrics
from engine.events import Pcm
from engine.mel import N_MELS, SAMPLE_RATE_HZ, log_mel
from engine.training.envelopes import PIECE_TICKS, envelope_correlation, log_mel_of

pytest.importorskip("pystoi")


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """Three seconds of bursts of shaped noise, a few a second, as syllables are."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=3 * SAMPLE_RATE_HZ)
    time = np.arange(len(noise)) / SAMPLE_RATE_HZ
    out = np.zeros(len(noise))
    for hz, pace, phase in ((300, 3.1, 0.0), (900, 4.3, 1.0), (1800, 2.3, 2.0), (3200, 5.1, 3.0)):
        tone = np.cos(2 * np.pi * hz * time + np.cumsum(noise) * 0.05)
        out += tone * np.maximum(0.0, np.sin(2 * np.pi * pace * time + phase)) ** 2
    return np.asarray(0.1 * out + 1e-4 * noise, np.float32)


def _correlation(reference: Pcm, degraded: Pcm) -> float:
    pair = [torch.from_numpy(log_mel(sound))[None] for sound in (degraded, reference)]
    return float(envelope_correlation(pair[0], pair[1], torch.ones(pair[0].shape[:2])))


def test_agrees_with_estoi_of_the_sound(speech: Pcm) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=len(speech)).astype(np.float32)
    for level in (0.003, 0.01, 0.03, 0.1):
        noisy = speech + level * noise
        told = metrics.estoi(speech, noisy)
        assert _correlation(speech, noisy) == pytest.approx(told, abs=0.08), level


def test_the_same_sound_at_any_level_is_wholly_alike(speech: Pcm) -> None:
    assert _correlation(speech, speech) == pytest.approx(1.0, abs=1e-3)
    assert _correlation(speech, 0.5 * speech) == pytest.approx(1.0, abs=0.02)
    assert abs(_correlation(speech, speech[::-1].copy())) < 0.3


def test_padding_changes_nothing(speech: Pcm) -> None:
    rng = np.random.default_rng(2)
    target = torch.from_numpy(log_mel(speech))[None]
    said = target + 0.5 * torch.from_numpy(rng.normal(size=target.shape).astype(np.float32))
    bare = envelope_correlation(said, target, torch.ones(target.shape[:2]))
    hollow = torch.zeros(1, 100, N_MELS)
    mask = torch.cat([torch.ones(target.shape[:2]), torch.zeros(1, 100)], 1)
    padded = envelope_correlation(
        torch.cat([said, hollow], 1), torch.cat([target, hollow], 1), mask
    )
    assert float(padded) == pytest.approx(float(bare), abs=0.05)


def test_a_few_steps_uphill_move_envelopes_together(speech: Pcm) -> None:
    target = torch.from_numpy(log_mel(speech))[None]
    said = target.mean(1, keepdim=True).expand_as(target).clone().requires_grad_(True)
    mask = torch.ones(target.shape[:2])
    before = envelope_correlation(said, target, mask)
    for _ in range(30):
        (slope,) = torch.autograd.grad(envelope_correlation(said, target, mask), said)
        assert torch.isfinite(slope).all()
        with torch.no_grad():
            said += 0.3 * slope / slope.abs().max().clamp(min=1e-9)
    assert envelope_correlation(said, target, mask) > before + 0.2


def test_frames_with_a_gradient_are_the_frames_of_the_engine(speech: Pcm) -> None:
    batch = torch.from_numpy(np.stack([speech, 0.1 * speech]))
    batch.requires_grad_(True)
    frames = log_mel_of(batch)
    for row, sound in zip(frames.detach().numpy(), batch.detach().numpy(), strict=True):
        np.testing.assert_allclose(row, log_mel(sound), atol=0.01)
    (slope,) = torch.autograd.grad(frames.sum(), batch)
    assert torch.isfinite(slope).all() and float(slope.abs().max()) > 0


def test_other_shapes_are_refused() -> None:
    frames = torch.zeros(1, PIECE_TICKS - 1, N_MELS)
    with pytest.raises(ValueError, match=f"at least {PIECE_TICKS}"):
        envelope_correlation(frames, frames, torch.ones(frames.shape[:2]))
