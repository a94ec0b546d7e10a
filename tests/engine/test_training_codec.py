"""Training of the codec: crops are what the networks expect, and a few steps learn something."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.events import MAX_EVENT_TICKS
from engine.mel import log_mel
from engine.synthesizer import SpokenEvent, Synthesizer
from engine.training.codec_net import Codec, export, restore
from engine.training.events import events_from_alignment, jitter_bounds, measure, pieces, tick_power
from engine.training.timing import soft_dtw, timing_distance
from tests.speech import any_speech

ALIGNMENT = [["sil", 0, 25], ["h", 25, 6], ["ɛ", 31, 9], ["l", 40, 41], ["oʊ", 81, 19]]


def test_long_pieces_are_split_and_cover_the_clip() -> None:
    phonemes, bounds = pieces(ALIGNMENT)
    assert bounds[0] == 0 and bounds[-1] == 100
    assert np.diff(bounds).max() <= MAX_EVENT_TICKS
    assert len(phonemes) == len(bounds) - 1 == 8


@pytest.mark.parametrize("seed", range(20))
def test_jittered_boundaries_stay_in_order(seed: int) -> None:
    _, bounds = pieces([["h", 2 * i, 2] for i in range(30)] + [["s", 60, 20]])
    moved = jitter_bounds(bounds, 2, np.random.default_rng(seed))
    assert moved[0] == bounds[0] and moved[-1] == bounds[-1]
    assert np.diff(moved).min() >= 1 and np.diff(moved).max() <= MAX_EVENT_TICKS


def test_prosody_is_measured_at_the_quarter_points() -> None:
    phonemes, bounds = pieces([["ɑː", 0, 20], ["s", 20, 10]])
    f0 = np.concatenate([np.linspace(110, 220, 20), np.zeros(10)]).astype(np.float32)
    power = np.full(30, 0.01, np.float32)
    arrays = measure(phonemes, bounds, f0, power)
    assert arrays.voiced.tolist() == [True, False]
    assert 14 <= arrays.pitch[0, 0] <= 17 < arrays.pitch[0, 1] <= 22
    assert (arrays.energy == round((-20 + 72) / 3)).all()


def test_events_of_an_alignment_are_numbered_and_adjacent() -> None:
    pcm = any_speech(1.0)[:16_000]
    events = events_from_alignment(ALIGNMENT, pcm, np.zeros(100, np.float32))
    assert [e.index for e in events] == list(range(8))
    assert all(a.end_tick == b.start_tick for a, b in zip(events, events[1:], strict=False))
    assert len(tick_power(pcm)) == len(log_mel(pcm)) == 100


def test_weights_go_out_and_come_back() -> None:
    torch.manual_seed(0)
    one, two = Codec(), Codec()
    restore(two, export(one))
    for key, value in one.synthesizer.state_dict().items():
        torch.testing.assert_close(two.synthesizer.state_dict()[key], value, atol=2e-3, rtol=2e-3)


def test_training_and_speaking_see_the_same_network() -> None:
    """A sequence of events through the streaming interface equals the batched network."""
    torch.manual_seed(0)
    codec = Codec().eval().requires_grad_(False)
    events = events_from_alignment(
        [["h", 0, 6], ["ɛ", 6, 8], ["l", 14, 10]], np.full(24 * 160, 0.1, np.float32),
        np.full(24, 120.0, np.float32),
    )  # fmt: skip
    voice = np.random.default_rng(0).normal(size=280).astype(np.float32)
    synthesizer = Synthesizer(codec.synthesizer)
    state, mels = synthesizer.initial_state(), []
    for here, following in zip(events, [*events[1:], None], strict=True):
        frames, state = synthesizer.step(
            SpokenEvent(here, here.duration_ticks, following), voice, state
        )
        mels.append(frames.mel)
    mel, _ = codec.synthesizer.frames(state.history[None], torch.from_numpy(voice)[None])
    whole = (mel[0] * codec.synthesizer.mel_std + codec.synthesizer.mel_mean).numpy()
    np.testing.assert_allclose(np.concatenate(mels), whole, atol=1e-4)


def every_path(rows: int, columns: int) -> list[list[tuple[int, int]]]:
    """All ways from the first cell to the last one by steps right, down or both."""
    if rows == columns == 1:
        return [[(0, 0)]]
    paths = []
    for back_row, back_column in ((1, 0), (0, 1), (1, 1)):
        if rows > back_row and columns > back_column:
            before = every_path(rows - back_row, columns - back_column)
            paths += [[*path, (rows - 1, columns - 1)] for path in before]
    return paths


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3), (1, 5)])
@pytest.mark.parametrize("gamma", [0.001, 0.1, 2.0])
@pytest.mark.parametrize("reach", [None, 3])
def test_soft_dtw_is_the_soft_minimum_over_all_paths(
    shape: tuple[int, int], gamma: float, reach: int | None
) -> None:
    torch.manual_seed(3)
    a, b = torch.randn(2, shape[0], 5).double(), torch.randn(2, shape[1], 5).double()
    limit = max(reach or 99, abs(shape[0] - shape[1]))
    expected = 0.0
    for one, other in zip(a, b, strict=True):
        cost = torch.cdist(one, other).square() / 5
        sums = [
            sum(cost[cell] for cell in path)
            for path in every_path(*shape)
            if all(abs(i - j) <= limit for i, j in path)
        ]
        least = -gamma * torch.logsumexp(-torch.stack(sums) / gamma, 0)
        expected += float(least) / sum(shape) / 2
    assert float(soft_dtw(a, b, gamma, reach)) == pytest.approx(expected, abs=1e-4)


def test_soft_dtw_has_the_gradient_of_its_value() -> None:
    torch.manual_seed(4)
    a, b = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 5, 3)
    soft_dtw(a, b).backward()
    step = torch.zeros_like(a)
    step[0, 2, 1] = 1e-2
    slope = (soft_dtw(a + step, b) - soft_dtw(a - step, b)) / 2e-2
    assert a.grad is not None
    assert float(a.grad[0, 2, 1]) == pytest.approx(float(slope.detach()), abs=2e-3)


def test_timing_is_forgiven_but_not_another_sound() -> None:
    torch.manual_seed(0)
    sound = torch.randn(2, 12, 8).cumsum(1)
    late = torch.cat([sound[:, :1], sound[:, :-1]], 1)
    other = torch.randn(2, 12, 8).cumsum(1)
    assert float(timing_distance(sound, sound)) == pytest.approx(0.0, abs=1e-5)
    assert 0 < timing_distance(sound, late) < 0.5 * (sound - late).square().mean()
    assert timing_distance(sound, other) > 5 * timing_distance(sound, late)


def test_the_divergence_is_least_at_the_truth_and_not_at_a_blur() -> None:
    torch.manual_seed(5)
    sound = torch.randn(1, 20, 4)
    blurred = 0.8 * sound + 0.1 * (sound.roll(1, 1) + sound.roll(-1, 1))
    assert timing_distance(blurred, sound) > timing_distance(sound, sound)
