"""Whisper's encoder, made to listen to a stream.

Log-mel of the newest moments in, features out. The network of Radford et al., 2022, looks at a
whole recording at once; here the newest positions are computed again at every step, as their
future arrives, while the keys and values of older ones are kept from the last time they were
computed: six seconds of past for about half the work of a two-second window computed anew.
Eight-bit weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.errors import SottovoceError
from engine.int8 import Int8Linear

_TAPS = 3  # of both convolutions


class Memory:
    """Keys and values of the positions of one stream, up to as many as there is room for."""

    def __init__(self, layers: int, heads: int, room: int, channels: int) -> None:
        self.layers = [torch.zeros(2, heads, room, channels) for _ in range(layers)]
        self.settled = 0
        """Positions that are computed no more."""

    @property
    def room(self) -> int:
        return self.layers[0].shape[2]


class _Norm:
    def __init__(self, tensors: dict[str, Tensor], name: str) -> None:
        self._gamma, self._beta = tensors[f"{name}/gamma"], tensors[f"{name}/beta"]

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self._gamma.shape, self._gamma, self._beta)


class _Layer:
    """A pre-norm transformer layer (Xiong et al., 2020)."""

    def __init__(self, tensors: dict[str, Tensor], name: str, heads: int) -> None:
        def linear(part: str) -> Int8Linear:
            return Int8Linear(tensors[f"{name}/{part}/weight"], tensors[f"{name}/{part}/bias"])

        self._heads = heads
        self._before = _Norm(tensors, f"{name}/self_attention/layer_norm")
        self._project = linear("self_attention/linear_0")
        self._attended = linear("self_attention/linear_1")
        self._between = _Norm(tensors, f"{name}/ffn/layer_norm")
        self._widen = linear("ffn/linear_0")
        self._narrow = linear("ffn/linear_1")

    def __call__(self, x: Tensor, known: Tensor, seen: slice, wanted: slice) -> Tensor:
        """x [T, C] → wanted rows [W, C]. ``known`` [2, heads, room, C / heads] takes the keys and
        values of ``x`` at the end of ``seen``, all of which is looked at."""
        projected = self._project(self._before(x))
        query, key, value = projected.view(len(x), 3, self._heads, -1).permute(1, 2, 0, 3)
        newest = slice(seen.stop - len(x), seen.stop)
        known[0, :, newest], known[1, :, newest] = key, value
        likeness = query[:, wanted] @ known[0, :, seen].transpose(1, 2) * query.shape[2] ** -0.5
        attended = torch.softmax(likeness, 2) @ known[1, :, seen]
        x = x[wanted]
        x = x + self._attended(attended.transpose(0, 1).reshape(len(x), -1))
        further: Tensor = self._narrow(functional.gelu(self._widen(self._between(x))))
        return x + further


class WhisperEncoder:
    """The network and nothing of what it heard: that is in ``Memory``."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """``tensors`` as ``read_encoder`` gives them. Raises SottovoceError when some are missing."""
        try:
            self._first, self._second = (
                Int8Linear(tensors[f"conv{n}/weight"].flatten(1), tensors[f"conv{n}/bias"])
                for n in (1, 2)
            )
            self._positions = tensors["position_encodings/encodings"]
            self._heads, self._layers = int(tensors["num_heads"]), list[_Layer]()
            while f"layer_{len(self._layers)}/ffn/linear_0/weight" in tensors:
                name = f"layer_{len(self._layers)}"
                self._layers.append(_Layer(tensors, name, self._heads))
            self._after = _Norm(tensors, "layer_norm")
        except KeyError as error:
            raise SottovoceError(f"The recogniser's acoustic model lacks {error}.") from error

    def memory(self, room: int) -> Memory:
        """That of a stream which heard nothing yet. ``room``: positions, at most Whisper's 1500."""
        channels = self._positions.shape[1] // self._heads
        return Memory(len(self._layers), self._heads, min(room, len(self._positions)), channels)

    @torch.inference_mode()
    def encode(self, mel: Tensor, memory: Memory, reach: int, wanted: slice) -> Tensor:
        """Features of the positions after the settled ones, [wanted of T, C].

        mel: [80, 2 + 2 T], two frames before the first position and two for each, scaled as in
        Whisper's paper. ``reach``: how many settled positions are looked at.
        """
        x = functional.pad(mel, (0, 1)).t()
        x = functional.gelu(self._first(x.unfold(0, _TAPS, 1).flatten(1)))
        x = functional.gelu(self._second(x.unfold(0, _TAPS, 2).flatten(1)))
        end = memory.settled + len(x)
        x = x + self._positions[memory.settled : end]
        seen, everything = slice(max(0, memory.settled - reach), end), slice(0, len(x))
        for layer, known in zip(self._layers, memory.layers, strict=True):
            x = layer(x, known, seen, wanted if layer is self._layers[-1] else everything)
        return self._after(x)
