"""The phoneme arm's payload: three header bytes, then at most one block of events.

The first byte holds the version and how many events of the block come before the anchor, the next
two the low 16 bits of the anchor's index. The RTP timestamp is the start of the anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.bitstream import MAX_EVENT_BYTES

SAMPLES_PER_TICK: Final = 160
VERSION: Final = 0
HEADER_BYTES: Final = 3
MAX_PACKET_EVENTS: Final = 20
"""Some two seconds of speech. It bounds the work a packet makes; four more would bring one event in a
thousand that bursts take now. Files have longer blocks."""
MAX_PAYLOAD_BYTES: Final = HEADER_BYTES + MAX_PACKET_EVENTS * MAX_EVENT_BYTES


@dataclass(frozen=True, slots=True)
class PayloadHeader:
    older: int
    """Events of the block before the anchor, 0 ... MAX_PACKET_EVENTS - 1."""
    index: int
    """Low 16 bits of the anchor's index."""

    def to_bytes(self) -> bytes:
        return bytes((VERSION << 6 | self.older, self.index >> 8 & 0xFF, self.index & 0xFF))


def parse_header(payload: bytes) -> PayloadHeader | None:
    """None when the payload is too short, too long or of another version."""
    if not HEADER_BYTES <= len(payload) <= MAX_PAYLOAD_BYTES or payload[0] >> 6 != VERSION:
        return None
    return PayloadHeader(payload[0] & 0x3F, payload[1] << 8 | payload[2])


def timestamp_of(tick: int) -> int:
    """Start tick → 32-bit RTP timestamp."""
    return tick * SAMPLES_PER_TICK & 0xFFFF_FFFF
