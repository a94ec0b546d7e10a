"""Eight-bit layers: close to the real ones, and exact about what they promise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.int8 import Int8Linear, in_eight_bits
from engine.tap_conv import TapConv1d


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
def test_a_network_keeps_its_meaning_and_loses_its_floats() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(TapConv1d(16, 24, 3, 2), nn.GELU(), nn.Sequential(TapConv1d(24, 8, 1)))
    x = torch.randn(2, 16, 20)
    wanted = net(x)
    in_eight_bits(net)
    assert not list(net.parameters())
    assert error_db(wanted, net(x)) < -30
