"""What becomes of a block's symbols: they are counted, written or read.

One walk over the fields (``engine.bitstream``) serves all of them. The range coder is a library's;
bytes that no writer could have written make the reader stop, never do harm.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log2
from typing import Any, Protocol

import constriction
import numpy as np

from engine.probability import Odds

_WORD_BYTES = 4
_uniform = lru_cache(maxsize=256)(constriction.stream.model.Uniform)


class FieldCoder(Protocol):
    """Writer, reader or counter of symbols: ``code`` returns the symbol that now holds."""

    def code(self, field: str, odds: Odds, symbol: int) -> int: ...

    def code_uniform(self, field: str, levels: int, symbol: int) -> int: ...


class BitCounter:
    """Adds up what symbols cost, by field, without writing them."""

    def __init__(self) -> None:
        self.bits: dict[str, float] = {}
        self.total_bits = 0.0

    def code(self, field: str, odds: Odds, symbol: int) -> int:
        self._add(field, odds.bits(symbol))
        return symbol

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        self._add(field, log2(levels))
        return symbol

    def _add(self, field: str, bits: float) -> None:
        self.bits[field] = self.bits.get(field, 0.0) + bits
        self.total_bits += bits


class EventCounter(BitCounter):
    """Keeps the events' bits apart; what frames the block belongs to none, a hole to the pause."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[float] = []

    def _add(self, field: str, bits: float) -> None:
        super()._add(field, bits)
        if field == "phoneme":  # every event begins with it
            self.events.append(0.0)
        if self.events:
            self.events[-2 if field.startswith("hole") else -1] += bits


class BlockWriter(BitCounter):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = constriction.stream.queue.RangeEncoder()
        self.written: list[tuple[Any, int]] = []

    def code(self, field: str, odds: Odds, symbol: int) -> int:
        self._write(odds.model, symbol)
        return super().code(field, odds, symbol)

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        self._write(_uniform(levels), symbol)
        return super().code_uniform(field, levels, symbol)

    def _write(self, model: Any, symbol: int) -> None:
        self.encoder.encode(symbol, model)
        self.written.append((model, symbol))

    def to_bytes(self) -> bytes:
        """The fewest bytes that decode to what was written.

        The library pads to 32-bit words, which would cost a packet up to three bytes: try the
        shortest prefixes, rounded down and up, and keep the first that reads back.
        """
        whole: bytes = self.encoder.get_compressed().astype(">u4").tobytes()
        whole += bytes(2 * _WORD_BYTES)
        shortest = max(1, _shortest_bytes(self.total_bits))
        for length in range(shortest, len(whole)):
            prefix = whole[:length]
            rounded_up = int.from_bytes(prefix, "big") + 1
            candidates = [prefix]
            if rounded_up < 256**length:
                candidates.append(rounded_up.to_bytes(length, "big"))
            for candidate in candidates:
                if self._reads_back(candidate):
                    return candidate
        return whole

    def _reads_back(self, data: bytes) -> bool:
        decoder = _decoder(data)
        try:
            return all(decoder.decode(model) == symbol for model, symbol in self.written)
        except AssertionError:
            return False


class OverrunError(Exception):
    """More was decoded than the bytes can hold, or than is wanted."""


class BlockReader:
    """Counts in all, not by field: this runs on what the network sends."""

    def __init__(self, data: bytes) -> None:
        self._decode = _decoder(data).decode
        self._end_bits = 8.0 * (len(data) + 1)
        self.total_bits = 0.0
        """The information in what was read so far."""

    def code(self, field: str, odds: Odds, symbol: int) -> int:
        symbol = self._decode(odds.model)
        costs = odds.costs
        self.total_bits += odds.bits(symbol) if costs is None else costs[symbol]
        if self.total_bits >= self._end_bits:  # no use in reading on
            raise OverrunError
        return symbol

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        symbol = self._decode(_uniform(levels))
        self.total_bits += log2(levels)
        return symbol


def _decoder(data: bytes) -> Any:
    padded = data + bytes(-len(data) % _WORD_BYTES)
    words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
    return constriction.stream.queue.RangeDecoder(words)


def _shortest_bytes(information_bits: float) -> int:
    return floor(information_bits / 8)
