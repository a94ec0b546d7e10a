"""The quick convolution: what torch's gives, with weights that may change under it."""

from __future__ import annotations

import pytest
import torch

from engine.tap_conv import TapConv1d


@pytest.mark.parametrize(("taps", "dilation"), [(3, 1), (3, 4), (1, 1), (5, 2)])
def test_it_is_torchs_convolution(taps: int, dilation: int) -> None:
    torch.manual_seed(0)
    conv = TapConv1d(8, 6, taps, dilation)
    x = torch.randn(2, 8, 4 + (taps - 1) * dilation)
    slow = conv(x)
    assert slow.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(conv(x), slow.detach())
    with torch.inference_mode():
        torch.testing.assert_close(conv(x), slow.detach())


def test_new_weights_count_at_once() -> None:
    conv, x = TapConv1d(4, 4, 3), torch.randn(1, 4, 9)
    with torch.no_grad():
        before = conv(x)
        conv.weight.mul_(2.0)
        conv.bias.zero_()  # type: ignore[union-attr]
        other = TapConv1d(4, 4, 3)
        other.load_state_dict(conv.state_dict())
        torch.testing.assert_close(conv(x), other(x))
        assert not torch.allclose(conv(x), before)
        conv.load_state_dict(TapConv1d(4, 4, 3).state_dict())
        assert not torch.allclose(conv(x), other(x))
