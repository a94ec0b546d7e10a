"""Phoneme events ↔ bits: range coding with trained odds; every packet's block decodes alone.

``encode_block`` writes up to 64 consecutive events in as few whole bytes as name them;
``decode_block`` reads them back or refuses. Index and start of the first event travel outside the
block (RTP header, file header). One walk over the fields serves writer, reader and counter, so the
two directions cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from engine.errors import SottovoceError
from engine.event_odds import EventNetwork, default_network
from engine.event_reader import EventOdds
from engine.events import (
    CODE_LEVELS,
    ENERGY_LEVELS,
    MAX_EVENT_TICKS,
    MAX_LAYERS,
    PITCH_LEVELS,
    PhonemeEvent,
)
from engine.field_coder import BitCounter as BitCounter
from engine.field_coder import BlockReader, BlockWriter, EventCounter, FieldCoder, OverrunError
from engine.phonemes import N_PHONEMES, SILENCE
from engine.probability import (
    HOLE_EXPONENTS,
    MAX_BLOCK_EVENTS,
    NO_LAYERS,
    Tables,
    default_tables,
)

MAX_EVENT_BYTES = 30  # the costliest event takes about 230 bits
MAX_BLOCK_BYTES = MAX_BLOCK_EVENTS * MAX_EVENT_BYTES
KNOWN_EVENTS = 32  # how far back odds look beyond a block: more tells nothing new
_CODE_FIELDS = tuple(f"code_{layer + 1}" for layer in range(MAX_LAYERS))
_NO_CODES = (0,) * MAX_LAYERS
_VOICELESS = (0, 0)
_BYPASS_BITS = 8
_SLACK_BITS = 24  # how far a block may stray from the information in it, whole bytes included


@dataclass(frozen=True, slots=True)
class BlockModel:
    """Everything both ends must share."""

    tables: Tables
    network: EventNetwork
    _idle: tuple[list[EventOdds], list[EventOdds]] = field(
        default_factory=lambda: ([], []), compare=False, repr=False
    )
    """Readers that no block needs now, one for each thread that ever read at the same time."""

    def take_reader(self, even: bool) -> EventOdds:
        """One for a new block; give it back with ``return_reader``."""
        try:
            reader = self._idle[even].pop()
        except IndexError:
            return EventOdds(self.network, even)
        reader.begin()
        return reader

    def return_reader(self, reader: EventOdds, even: bool) -> None:
        self._idle[even].append(reader)


@lru_cache(maxsize=1)
def default_model() -> BlockModel:
    """What ships with the program. Raises WeightsError when missing or altered."""
    return BlockModel(default_tables(), default_network())


class BlockError(SottovoceError):
    """Events that cannot be one block."""


_Told = tuple[int, int, int, bool, tuple[int, int], int, tuple[int, ...]]
"""An event but for its index: phoneme, start tick, ticks, voiced, pitch, energy, codes."""


@dataclass(slots=True)
class _Context:
    """What the next event's fields depend on besides ``odds``: everything comes from this block."""

    odds: EventOdds
    end_tick: int
    grid_ticks: int
    """2 when every boundary of the block lies on a 20 ms grid, as the live recogniser's do."""
    before: int = -1
    """Row of ``Tables.holes`` for the event before; -1: there is none."""
    layers: int = NO_LAYERS
    """Of the newest event that was no silence."""

    def read(self, told: _Told) -> None:
        """The event is known: what follows depends on it."""
        phoneme, start_tick, ticks, voiced, pitch, energy, codes = told
        hole = self.before >= 0 and start_tick > self.end_tick
        self.odds.advance(phoneme, hole, ticks, voiced, energy, pitch)
        self.end_tick = start_tick + ticks
        self.before = 2 * (phoneme == SILENCE) + (ticks == MAX_EVENT_TICKS)
        if phoneme != SILENCE:
            self.layers = len(codes)


def walk_block(
    coder: FieldCoder,
    first_index: int,
    first_tick: int,
    events: Sequence[PhonemeEvent] = (),
    model: BlockModel | None = None,
    known: Sequence[PhonemeEvent] = (),
    most_events: int = MAX_BLOCK_EVENTS,
) -> list[PhonemeEvent]:
    """Pass every field of ``events`` (codes already cut to the layers wanted) through ``coder``.

    A reader takes no events: what it decodes is returned. At most ``most_events``.
    ``known``: events before them that both sides have.
    """
    told = _walk(coder, first_tick, events, model or default_model(), known, most_events)
    return _events(told, first_index)


def _events(told: list[_Told], first_index: int, later_ticks: int = 0) -> list[PhonemeEvent]:
    return [
        PhonemeEvent(index, phoneme, start + later_ticks, ticks, voiced, pitch, energy, codes)
        for index, (phoneme, start, ticks, voiced, pitch, energy, codes) in enumerate(
            told, first_index
        )
    ]


def _walk(
    coder: FieldCoder,
    first_tick: int,
    events: Sequence[PhonemeEvent],
    model: BlockModel,
    known: Sequence[PhonemeEvent],
    most_events: int,
) -> list[_Told]:
    tables = model.tables
    count = coder.code("count", tables.odds("count"), len(events) - 1) + 1
    if count > most_events:
        raise OverrunError
    even = all(e.duration_ticks % 2 == 0 and (e.start_tick - first_tick) % 2 == 0 for e in events)
    even = bool(coder.code("grid", tables.odds("grid"), int(even)))
    reader = model.take_reader(even)
    try:
        context = _Context(reader, first_tick, 1 + even)
        for event in known[-KNOWN_EVENTS:]:
            context.read(_fields_of(event))
        context.end_tick, context.before = first_tick, -1
        template = PhonemeEvent(0, SILENCE, first_tick, 1)
        walked: list[_Told] = []
        for position in range(count):
            if walked:
                context.read(walked[-1])
            event = events[position] if events else template
            walked.append(_walk_event(coder, tables, context, event))
        return walked
    finally:
        model.return_reader(reader, even)


def _fields_of(event: PhonemeEvent) -> _Told:
    e = event
    return e.phoneme, e.start_tick, e.duration_ticks, e.voiced, e.pitch, e.energy, e.codes


def _walk_event(coder: FieldCoder, tables: Tables, context: _Context, event: PhonemeEvent) -> _Told:
    odds, grid_ticks, code = context.odds, context.grid_ticks, coder.code
    phoneme = code("phoneme", odds.phoneme(), event.phoneme)
    start_tick = context.end_tick
    if context.before >= 0:
        start_tick += _walk_hole(coder, tables, context, event)
    step = code("duration", odds.duration(phoneme), event.duration_ticks // grid_ticks - 1)
    ticks = (step + 1) * grid_ticks
    voiced = code("voiced", odds.voiced(phoneme, ticks), int(event.voiced)) == 1
    energy = code("energy", odds.energy(phoneme, ticks, voiced), event.energy)
    pitch = _VOICELESS
    if voiced:
        first = code("pitch_first", odds.pitch_first(phoneme, energy), event.pitch[0])
        given = odds.pitch_second(phoneme, ticks, first)
        pitch = first, code("pitch_second", given, event.pitch[1])
    # Silence carries no codes.
    given = tables.layers[(MAX_LAYERS + 2) * (phoneme == SILENCE) + context.layers]
    layers = code("layers", given, len(event.codes))
    codes: tuple[int, ...] = ()
    if layers:
        values = event.codes or _NO_CODES
        fields = zip(_CODE_FIELDS[:layers], tables.of_codes(phoneme), values, strict=False)
        codes = tuple([code(field, given, value) for field, given, value in fields])
    return phoneme, start_tick, ticks, voiced, pitch, energy, codes


def _walk_hole(coder: FieldCoder, tables: Tables, context: _Context, event: PhonemeEvent) -> int:
    """Silence that nobody sent, between two events: a flag, then Elias-gamma in grid steps."""
    steps = (event.start_tick - context.end_tick) // context.grid_ticks
    if not coder.code("hole", tables.holes[context.before], int(steps > 0)):
        return 0
    longest = max(steps, 1).bit_length() - 1
    exponent = coder.code("hole_exponent", tables.odds("hole_exponent"), longest)
    low_bits = 0
    for shift in range(0, exponent, _BYPASS_BITS):
        levels = 1 << min(_BYPASS_BITS, exponent - shift)
        low_bits |= coder.code_uniform("hole_size", levels, steps >> shift & levels - 1) << shift
    return ((1 << exponent) + low_bits) * context.grid_ticks


def event_bits(events: Sequence[PhonemeEvent], known: Sequence[PhonemeEvent] = ()) -> list[float]:
    """What each event of a block costs with the codes it has; a hole counts with what it follows."""
    counter = EventCounter()
    walk_block(counter, events[0].index, events[0].start_tick, events, None, known)
    return counter.events


def encode_block(
    events: Sequence[PhonemeEvent],
    layers: Sequence[int],
    model: BlockModel | None = None,
    known: Sequence[PhonemeEvent] = (),
) -> bytes:
    """Write consecutive events as one block; no events make an empty one.

    ``layers[i]`` articulation codes of ``events[i]`` are written. ``known``: what the reader has of
    the events before, as it has it; in packets nothing, in files the last block. Raises BlockError
    when the events are too many, not consecutive, overlap, or hold a value off its scale.
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
    writer = BlockWriter()
    walk_block(writer, cut[0].index, cut[0].start_tick, cut, model, known)
    return writer.to_bytes()


def _checked(event: PhonemeEvent, layers: int) -> PhonemeEvent:
    """``event`` with ``layers`` codes, and nothing in fields that do not travel. Raises BlockError."""
    pitch = event.pitch if event.voiced else _VOICELESS
    cut = PhonemeEvent(
        event.index, event.phoneme, event.start_tick, event.duration_ticks, event.voiced, pitch,
        event.energy, event.codes[:layers],
    )  # fmt: skip
    if not (on_scale(cut) and 0 <= layers <= MAX_LAYERS):
        raise BlockError(f"Event {event.index} holds a value off its scale: {event}.")
    return cut


def on_scale(event: PhonemeEvent) -> bool:
    """Whether every field that a block holds can be written."""
    return (
        0 <= event.phoneme < N_PHONEMES
        and 1 <= event.duration_ticks <= MAX_EVENT_TICKS
        and all(0 <= point < PITCH_LEVELS for point in event.pitch)
        and 0 <= event.energy < ENERGY_LEVELS
        and len(event.codes) <= MAX_LAYERS
        and all(0 <= code < CODE_LEVELS for code in event.codes)
    )


def count_events(data: bytes, model: BlockModel | None = None) -> int | None:
    """How many events a block says it has, without reading them; None when it cannot be one."""
    tables = (model or default_model()).tables
    try:
        return BlockReader(data).code("count", tables.odds("count"), 0) + 1
    except (OverrunError, AssertionError):  # as in decode_block
        return None


def decode_block(
    data: bytes,
    first_index: int,
    first_tick: int,
    model: BlockModel | None = None,
    known: Sequence[PhonemeEvent] = (),
    most_events: int = MAX_BLOCK_EVENTS,
    anchor: int = 0,
) -> list[PhonemeEvent] | None:
    """Read a block back; None when the bytes cannot be one. Bounded work, never raises.

    ``known``: as given to the writer. A block of more than ``most_events`` is refused. The length
    must fit the information decoded, so random bytes are nearly always refused. ``anchor``: it is
    that event of the block that starts at ``first_tick``; a block without it is refused.
    """
    if not data:
        return []
    if len(data) > most_events * MAX_EVENT_BYTES:
        return None
    reader = BlockReader(data)
    try:
        told = _walk(reader, 0, (), model or default_model(), known, most_events)
    except (OverrunError, AssertionError):  # the latter: a state no encoder can reach
        return None
    spare_bits = 8 * len(data) - reader.total_bits
    if anchor >= len(told) or not -8 < spare_bits <= _SLACK_BITS:
        return None
    return _events(told, first_index, first_tick - told[anchor][1])
