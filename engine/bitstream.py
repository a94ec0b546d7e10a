"""Phoneme events ↔ bits: range coding with trained tables; every block decodes alone.

``encode_block`` writes up to 64 consecutive events in as few whole bytes as name them;
``decode_block`` reads them back or refuses. Index and start of the first event travel outside the
block (RTP header, file header). One walk over the fields serves writer, reader and counter, so the
two directions cannot drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import constriction
import numpy as np

from engine.errors import SottovoceError
from engine.events import (
    CODE_LEVELS,
    ENERGY_LEVELS,
    MAX_EVENT_TICKS,
    MAX_LAYERS,
    PITCH_LEVELS,
    PhonemeEvent,
)
from engine.phonemes import N_PHONEMES, SILENCE
from engine.probability import (
    ENERGY_BANDS,
    HOLE_EXPONENTS,
    MAX_BLOCK_EVENTS,
    NO_CLASS,
    NO_ENERGY,
    NO_PHONEME,
    NO_PITCH,
    PHONEME_CLASS,
    RATES,
    Tables,
    default_tables,
)

MAX_BLOCK_BYTES = MAX_BLOCK_EVENTS * 20  # the costliest event takes about 150 bits
_WORD_BYTES = 4
_BYPASS_BITS = 8
_SLACK_BITS = 24  # how far a block may stray from the information in it, whole bytes included


class BlockError(SottovoceError):
    """Events that cannot be one block."""


class FieldCoder(Protocol):
    """Writer, reader or counter of symbols: ``code`` returns the symbol that now holds."""

    def code(self, field: str, context: tuple[int, ...], symbol: int) -> int: ...

    def code_uniform(self, field: str, levels: int, symbol: int) -> int: ...


class BitCounter:
    """Adds up what symbols cost, by field, without writing them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.bits: dict[str, float] = {}

    def code(self, field: str, context: tuple[int, ...], symbol: int) -> int:
        self._add(field, self._tables.cost_bits(field, context, symbol))
        return symbol

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        self._add(field, math.log2(levels))
        return symbol

    def _add(self, field: str, bits: float) -> None:
        self.bits[field] = self.bits.get(field, 0.0) + bits

    @property
    def total_bits(self) -> float:
        return sum(self.bits.values())


class _Writer(BitCounter):
    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.encoder = constriction.stream.queue.RangeEncoder()
        self.written: list[tuple[Any, int]] = []

    def code(self, field: str, context: tuple[int, ...], symbol: int) -> int:
        self._write(self._tables.model(field, context), symbol)
        return super().code(field, context, symbol)

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        self._write(constriction.stream.model.Uniform(levels), symbol)
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


class _Reader(BitCounter):
    def __init__(self, tables: Tables, data: bytes) -> None:
        super().__init__(tables)
        self._decoder = _decoder(data)

    def code(self, field: str, context: tuple[int, ...], symbol: int) -> int:
        symbol = int(self._decoder.decode(self._tables.model(field, context)))
        return super().code(field, context, symbol)

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        symbol = int(self._decoder.decode(constriction.stream.model.Uniform(levels)))
        return super().code_uniform(field, levels, symbol)


def _decoder(data: bytes) -> Any:
    padded = data + bytes(-len(data) % _WORD_BYTES)
    words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
    return constriction.stream.queue.RangeDecoder(words)


def _shortest_bytes(information_bits: float) -> int:
    return math.floor(information_bits / 8)


@dataclass(slots=True)
class _Context:
    """What the next event's fields depend on: everything comes from this block."""

    end_tick: int
    grid_ticks: int
    """2 when every boundary of the block lies on a 20 ms grid, as the live recogniser's do."""
    phoneme: int = NO_PHONEME
    phoneme_before: int = NO_PHONEME
    duration_ticks: int = 0
    voicing: int = 2  # 0 unvoiced, 1 voiced, 2 first event
    pitch: int = NO_PITCH
    energy: int = NO_ENERGY
    layers: int = MAX_LAYERS + 1

    @property
    def manner(self) -> int:
        return NO_CLASS if self.phoneme == NO_PHONEME else PHONEME_CLASS[self.phoneme]

    @property
    def rate(self) -> int:
        return min(RATES - 1, (self.duration_ticks + 4) // 5)


def walk_block(
    coder: FieldCoder, first_index: int, first_tick: int, events: Sequence[PhonemeEvent] = ()
) -> list[PhonemeEvent]:
    """Pass every field of ``events`` (codes already cut to the layers wanted) through ``coder``.

    A reader takes no events: what it decodes is returned. At most MAX_BLOCK_EVENTS events.
    """
    count = coder.code("count", (), len(events) - 1) + 1
    even = all(e.duration_ticks % 2 == 0 and (e.start_tick - first_tick) % 2 == 0 for e in events)
    context = _Context(first_tick, 1 + coder.code("grid", (), int(even)))
    template = PhonemeEvent(first_index, SILENCE, first_tick, 1)
    walked = []
    for position in range(count):
        event = events[position] if events else template
        walked.append(_walk_event(coder, context, event, first_index + position))
    return walked


def _walk_event(
    coder: FieldCoder, context: _Context, event: PhonemeEvent, index: int
) -> PhonemeEvent:
    phoneme = coder.code("phoneme", (context.phoneme_before, context.phoneme), event.phoneme)
    manner = PHONEME_CLASS[phoneme]
    start_tick = context.end_tick + _walk_hole(coder, context, event)
    duration_ticks = _walk_duration(coder, context, event, phoneme)
    voiced = bool(
        coder.code("voiced", (context.voicing, context.manner, phoneme), int(event.voiced))
    )
    pitch = _walk_pitch(coder, context, event) if voiced else (0, 0)
    energy = _walk_energy(coder, context, event, voiced, manner)
    layers = coder.code("layers", (context.layers,), len(event.codes))
    given = event.codes + (0,) * MAX_LAYERS
    codes = tuple(coder.code("code", (layer, manner), given[layer]) for layer in range(layers))
    context.phoneme_before = context.phoneme
    context.phoneme = phoneme
    context.end_tick = start_tick + duration_ticks
    context.duration_ticks = duration_ticks
    context.voicing = int(voiced)
    context.pitch = pitch[1] if voiced else context.pitch
    context.energy = energy
    context.layers = layers
    return PhonemeEvent(index, phoneme, start_tick, duration_ticks, voiced, pitch, energy, codes)


def _walk_hole(coder: FieldCoder, context: _Context, event: PhonemeEvent) -> int:
    """Silence that nobody sent, between two events: a flag, then Elias-gamma in grid steps."""
    if context.phoneme == NO_PHONEME:
        return 0
    steps = (event.start_tick - context.end_tick) // context.grid_ticks
    if not coder.code("hole", (int(context.phoneme == SILENCE),), int(steps > 0)):
        return 0
    exponent = coder.code("hole_exponent", (), max(steps, 1).bit_length() - 1)
    low_bits = 0
    for shift in range(0, exponent, _BYPASS_BITS):
        levels = 1 << min(_BYPASS_BITS, exponent - shift)
        low_bits |= coder.code_uniform("hole_size", levels, steps >> shift & levels - 1) << shift
    return ((1 << exponent) + low_bits) * context.grid_ticks


def _walk_duration(coder: FieldCoder, context: _Context, event: PhonemeEvent, phoneme: int) -> int:
    given = (context.manner, context.rate, phoneme)
    if context.grid_ticks == 1:
        return 1 + coder.code("duration", given, event.duration_ticks - 1)
    return 2 + 2 * coder.code("duration_even", given, event.duration_ticks // 2 - 1)


def _walk_pitch(coder: FieldCoder, context: _Context, event: PhonemeEvent) -> tuple[int, int]:
    first = coder.code("pitch_first", (context.voicing & 1, context.pitch), event.pitch[0])
    step = 0 if context.pitch == NO_PITCH else min(max(first - context.pitch, -2), 2)
    return first, coder.code("pitch_second", (step + 2, first), event.pitch[1])


def _walk_energy(
    coder: FieldCoder, context: _Context, event: PhonemeEvent, voiced: bool, manner: int
) -> int:
    if context.energy == NO_ENERGY:
        return coder.code("energy_first", (int(voiced), manner), event.energy)
    band = context.energy * ENERGY_BANDS // ENERGY_LEVELS
    given = (band, int(voiced), context.manner, manner)
    step = coder.code("energy_step", given, event.energy - context.energy + ENERGY_LEVELS - 1)
    return min(max(context.energy + step - ENERGY_LEVELS + 1, 0), ENERGY_LEVELS - 1)


def encode_block(
    events: Sequence[PhonemeEvent], layers: Sequence[int], tables: Tables | None = None
) -> bytes:
    """Write consecutive events as one block; no events make an empty one.

    ``layers[i]`` articulation codes of ``events[i]`` are written. Raises BlockError when the events
    are too many, not consecutive, overlap, or hold a value off its scale.
    """
    if not events:
        return b""
    if len(events) > MAX_BLOCK_EVENTS or len(layers) != len(events):
        raise BlockError(
            f"A block holds at most {MAX_BLOCK_EVENTS} events and a layer count for each."
        )
    cut = [_checked(event, count) for event, count in zip(events, layers, strict=True)]
    for before, after in zip(cut, cut[1:], strict=False):
        hole_ticks = after.start_tick - before.end_tick
        if after.index != before.index + 1 or not 0 <= hole_ticks < 1 << HOLE_EXPONENTS:
            raise BlockError(f"Events {before.index} and {after.index} do not follow one another.")
    writer = _Writer(tables or default_tables())
    walk_block(writer, cut[0].index, cut[0].start_tick, cut)
    return writer.to_bytes()


def _checked(event: PhonemeEvent, layers: int) -> PhonemeEvent:
    """``event`` with ``layers`` codes, and nothing in fields that do not travel. Raises BlockError."""
    codes = event.codes[:layers]
    pitch = event.pitch if event.voiced else (0, 0)
    on_scale = (
        0 <= event.phoneme < N_PHONEMES
        and 1 <= event.duration_ticks <= MAX_EVENT_TICKS
        and all(0 <= p < PITCH_LEVELS for p in pitch)
        and 0 <= event.energy < ENERGY_LEVELS
        and 0 <= layers <= MAX_LAYERS
        and all(0 <= code < CODE_LEVELS for code in codes)
    )
    if not on_scale:
        raise BlockError(f"Event {event.index} holds a value off its scale: {event}.")
    return PhonemeEvent(
        event.index, event.phoneme, event.start_tick, event.duration_ticks, event.voiced, pitch,
        event.energy, codes,
    )  # fmt: skip


def decode_block(
    data: bytes, first_index: int, first_tick: int, tables: Tables | None = None
) -> list[PhonemeEvent] | None:
    """Read a block back; None when the bytes cannot be one. Bounded work, never raises.

    The length must fit the information decoded, so random bytes are nearly always refused.
    """
    if not data:
        return []
    if len(data) > MAX_BLOCK_BYTES:
        return None
    reader = _Reader(tables or default_tables(), data)
    try:
        events = walk_block(reader, first_index, first_tick)
    except AssertionError:  # how the library reports a state no encoder can reach
        return None
    if not _shortest_bytes(reader.total_bits) <= len(data) <= (reader.total_bits + _SLACK_BITS) / 8:
        return None
    return events
