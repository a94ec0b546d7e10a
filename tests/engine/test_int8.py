"""Eight-bit layers: close to the real ones, and exact about what they promise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.frontend import FEATURE_DIM
from engine.int8 import Int8Linear, Int8Stack
from engine.phoneme_committee import EightBitCommittee
from engine.phoneme_net import PhonemeCommittee


def error_db(wanted: torch.Tensor, got: torch.Tensor) -> float:
    error = (wanted - got).detach().square().mean() / wanted.detach().square().mean()
    return float(10 * torch.log10(error))


@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (2, 5, 48)])
def test_it_is_the_linear_layer_up_to_rounding(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(48, 20)
    x = torch.randn(shape) * torch.logspace(-3, 3, shape[-2] if len(shape) > 1 else 1)[:, None]
    got = Int8Linear(layer.weight, layer.bias)(x)
    wanted = layer(x)
    assert got.shape == wanted.shape
    assert error_db(wanted, got) < -35


@torch.inference_mode()
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(torch.randn(30, 64), torch.randn(30)), torch.randn(9, 64)
    together = layer(x)
    assert torch.equal(together, torch.cat([layer(row[None]) for row in x]))
    assert torch.equal(together[3:], layer(torch.cat([100 * x[:3], x[3:]]))[3:])


def test_silence_in_is_the_bias() -> None:
    bias = torch.randn(6)
    assert torch.equal(Int8Linear(torch.randn(6, 8), bias)(torch.zeros(2, 8)), bias.expand(2, 6))


@torch.inference_mode()
def test_a_stack_is_its_layers_side_by_side() -> None:
    torch.manual_seed(0)
    weights, biases, x = torch.randn(3, 10, 16), torch.randn(3, 10), torch.randn(3, 5, 16)
    wanted = [Int8Linear(w, b)(rows) for w, b, rows in zip(weights, biases, x, strict=True)]
    assert torch.equal(Int8Stack(weights, biases)(x), torch.stack(wanted))


@torch.inference_mode()
def test_the_committee_says_what_its_members_say() -> None:
    torch.manual_seed(0)
    slow = PhonemeCommittee(2).eval()
    for parameter in slow.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))  # norms that do something
    quick, features = EightBitCommittee(slow.members()), torch.randn(1, 30, FEATURE_DIM)
    wanted, _ = slow(features, slow.initial_state())
    whole, _ = quick(features, quick.initial_state())
    assert error_db(wanted, whole) < -35
    parts, state = [], quick.initial_state()
    for start in range(0, 30, 3):
        part, state = quick(features[:, start : start + 3], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)
