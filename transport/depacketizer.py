"""Packet payloads → events that are new, or better than the copy that came before.

Everything in a packet is hostile: bytes that are no payload, indices far from those expected and
events that contradict earlier ones are refused. Memory is bounded by ``WINDOW_EVENTS``.
"""

from __future__ import annotations

from typing import Final

from engine.bitstream import count_events, decode_block
from engine.events import MAX_LAYERS, TICK_MS, PhonemeEvent
from transport.link import MediaPacket
from transport.payload import (
    HEADER_BYTES,
    MAX_PACKET_EVENTS,
    SAMPLES_PER_TICK,
    PayloadHeader,
    parse_header,
)

WINDOW_EVENTS: Final = 512  # about 45 s: older copies are stale
SPARE_EVENTS: Final = 32  # how many more are kept before they are tidied away together
MAX_JUMP_EVENTS: Final = 8192  # 12 minutes of speech: a longer outage is another call
WANTED_MS: Final = 2500.0  # an event that old is no longer waited for


class Depacketizer:
    """Parses payloads of one stream; remembers which events it has handed out."""

    def __init__(self) -> None:
        self._newest: PhonemeEvent | None = None
        self._known: dict[int, PhonemeEvent] = {}
        self._acked_index = -1
        self._announced_index = -1
        self._timestamp = 0

    @property
    def acked_index(self) -> int:
        """Every event up to this one was received or is no longer wanted; -1 before the first."""
        return self._acked_index

    @property
    def newest_index(self) -> int:
        """The newest event the sender has spoken of, received or not; -1 before the first."""
        return self._announced_index

    def parse(self, packet: MediaPacket) -> list[PhonemeEvent] | None:
        """Events of the packet that are new or carry more codes; None refuses the packet."""
        header = parse_header(packet.payload)
        if header is None:
            return None
        index = self._unwrap_index(header)
        timestamp = self._unwrap_timestamp(packet.timestamp)
        if index is None or timestamp < 0 or timestamp % SAMPLES_PER_TICK:
            return None
        block = packet.payload[HEADER_BYTES:]
        if not block:
            return self._announce(index, header.older)
        first = index - header.older
        count = count_events(block)
        if first < 0 or count is None or count > MAX_PACKET_EVENTS:
            return None
        if self._has_all(first, count):
            return []  # not even a contradiction is worth reading it
        tick = timestamp // SAMPLES_PER_TICK
        events = decode_block(
            block, first, tick, most_events=MAX_PACKET_EVENTS, anchor=header.older
        )
        if not events or events[0].start_tick < 0 or not self._consistent(events):
            return None
        self._timestamp = timestamp
        return self._take(events)

    def _unwrap_index(self, header: PayloadHeader) -> int | None:
        """The index nearest to the newest one with these low bits; None when too far from it."""
        low = header.index
        if self._newest is None:
            return low if low >= header.older else low + 0x10000
        newest = self._newest.index
        distance = ((low - newest + 0x8000) & 0xFFFF) - 0x8000
        if distance > MAX_JUMP_EVENTS or distance < -WINDOW_EVENTS or newest + distance < 0:
            return None
        return newest + distance

    def _unwrap_timestamp(self, timestamp: int) -> int:
        if self._newest is None:
            return timestamp & 0xFFFF_FFFF
        distance = ((timestamp - self._timestamp + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        return self._timestamp + distance

    def _announce(self, index: int, older: int) -> list[PhonemeEvent] | None:
        if older or self._newest is None:
            return None
        self._announced_index = max(self._announced_index, index)
        return []

    def _has_all(self, first: int, count: int) -> bool:
        """Whether nothing new can be in a packet of these events."""
        for index in range(first, first + count):
            known = self._known.get(index)
            if known is None or not (known.is_silence or len(known.codes) == MAX_LAYERS):
                return False
        return True

    def _consistent(self, events: list[PhonemeEvent]) -> bool:
        """Whether the events fit those already known: same start, and order on the time line."""
        for event in events:
            known = self._known.get(event.index)
            if known is not None and known.start_tick != event.start_tick:
                return False
        newest = self._newest
        first = events[0]
        if newest is None or first.index <= newest.index:
            return True
        return first.start_tick >= newest.end_tick

    def _take(self, events: list[PhonemeEvent]) -> list[PhonemeEvent]:
        fresh = []
        for event in events:
            if self._newest is not None and event.index < self._newest.index - WINDOW_EVENTS:
                continue
            known = self._known.get(event.index)
            if known is None or len(event.codes) > len(known.codes):
                fresh.append(event)
                self._known[event.index] = event
                if self._newest is None or event.index > self._newest.index:
                    self._newest = event
        self._announced_index = max(self._announced_index, events[-1].index)
        self._advance()
        return fresh

    def _advance(self) -> None:
        """Move the acknowledgement on, and forget what lies before the window."""
        newest = self._newest
        if newest is None:
            return
        known, oldest = self._known, newest.index - WINDOW_EVENTS
        acked = max(self._acked_index, oldest - 1)
        stale_tick = newest.end_tick - WANTED_MS / TICK_MS
        for index in range(newest.index, acked, -1):
            event = known.get(index)
            if event is not None and event.start_tick < stale_tick:
                acked = index
                break
        while acked + 1 in known:
            acked += 1
        self._acked_index = acked
        if len(known) > WINDOW_EVENTS + SPARE_EVENTS:
            for index in [i for i in known if i < oldest]:
                del known[index]
