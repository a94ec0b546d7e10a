"""RTP packets (RFC 3550, section 5) as this program sends them, and sequence numbers made whole.

One dynamic payload type for each arm. A receiver report may ride in a one-byte header extension
(RFC 8285), because a packet of its own would cost five times its size in headers. Parsers return
a value or None and never raise.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

RTP_HEADER_BYTES = 12
MAX_PAYLOAD_BYTES = 1100  # stays below the smallest IPv6 path with all headers
PAYLOAD_TYPES = {"phonemes": 97, "opus": 111}
ARMS = {payload_type: arm for arm, payload_type in PAYLOAD_TYPES.items()}
CLOCK_RATES = {"phonemes": 16_000, "opus": 48_000}

MAX_DROPOUT = 3000  # RFC 3550, appendix A.1: a larger jump is a restart or an attack

_HEADER = struct.Struct("!BBHII")
_ONE_BYTE_PROFILE = 0xBEDE
_REPORT_ID = 1
_MAX_EXTENSION_WORDS = 16


@dataclass(frozen=True, slots=True)
class RtpPacket:
    payload_type: int
    sequence_number: int
    """16 bits."""
    timestamp: int
    """32 bits."""
    ssrc: int
    payload: bytes
    report: bytes | None = None
    """An encoded receiver report from the header extension."""


def is_rtcp(data: bytes) -> bool:
    """RFC 5761: whether a datagram of the media session is RTCP."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def pack_rtp(packet: RtpPacket) -> bytes:
    """Raises ValueError when a report is longer than 16 bytes."""
    first, extension = 0x80, b""
    if packet.report is not None:
        if not 1 <= len(packet.report) <= 16:
            raise ValueError("a report in a header extension has 1 to 16 bytes")
        element = bytes((_REPORT_ID << 4 | (len(packet.report) - 1),)) + packet.report
        element += bytes(-len(element) % 4)
        extension = struct.pack("!HH", _ONE_BYTE_PROFILE, len(element) // 4) + element
        first |= 0x10
    header = _HEADER.pack(
        first,
        packet.payload_type & 0x7F,
        packet.sequence_number & 0xFFFF,
        packet.timestamp & 0xFFFFFFFF,
        packet.ssrc,
    )
    return header + extension + packet.payload


def _parse_extension(data: bytes) -> bytes | None:
    """The report among one-byte extension elements; None when there is none or it is cut."""
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        kind, length = data[at] >> 4, (data[at] & 0x0F) + 1
        value = data[at + 1 : at + 1 + length]
        if kind == 15 or len(value) != length:
            return None
        if kind == _REPORT_ID:
            return value
        at += 1 + length
    return None


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Bytes after SRTP → a packet of a known arm, or None."""
    if not RTP_HEADER_BYTES <= len(data) <= MAX_PAYLOAD_BYTES + 200:
        return None
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2 or (second & 0x7F) not in ARMS:
        return None
    at = RTP_HEADER_BYTES + 4 * (first & 0x0F)
    end = len(data)
    report = None
    if first & 0x10:
        if at + 4 > end:
            return None
        profile, words = struct.unpack_from("!HH", data, at)
        at += 4
        if words > _MAX_EXTENSION_WORDS or at + 4 * words > end:
            return None
        if profile == _ONE_BYTE_PROFILE:
            report = _parse_extension(data[at : at + 4 * words])
        at += 4 * words
    if first & 0x20:
        padding = data[-1]
        if padding == 0 or padding > end - at:
            return None
        end -= padding
    if not at <= end <= at + MAX_PAYLOAD_BYTES:
        return None
    return RtpPacket(second & 0x7F, sequence_number, timestamp, ssrc, data[at:end], report)


class SequenceUnwrapper:
    """16-bit sequence numbers → numbers that keep rising, through wraps, holes and restarts.

    A jump beyond MAX_DROPOUT is refused until the packet after it confirms it; the numbers then
    go on from the highest one, so that a restarted sender is not a burst of loss.
    """

    def __init__(self) -> None:
        self._highest: int | None = None
        self._offset = 0  # added after restarts
        self._suspect: int | None = None

    @property
    def highest(self) -> int | None:
        return None if self._highest is None else self._highest + self._offset

    def restart(self) -> None:
        """The sender changed (a new SSRC): take its next number as the one after the highest."""
        self._suspect = None
        if self._highest is not None:
            self._offset += self._highest + 1
            self._highest = None

    def unwrap(self, sequence_number: int) -> int | None:
        """The extended number, or None for a packet that cannot belong here."""
        if self._highest is None:
            if self._offset:
                self._offset -= sequence_number
            self._highest = sequence_number
            return self._highest + self._offset
        delta = (sequence_number - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if abs(delta) > MAX_DROPOUT:
            if self._suspect != sequence_number:
                self._suspect = sequence_number + 1 & 0xFFFF
                return None
            self.restart()
            return self.unwrap(sequence_number)
        self._suspect = None
        extended = self._highest + delta
        self._highest = max(self._highest, extended)
        return extended + self._offset


class ReplayWindow:
    """Which of the last 1024 extended sequence numbers were seen; older ones count as seen."""

    SIZE = 1024

    def __init__(self) -> None:
        self._highest: int | None = None
        self._seen = 0  # bit i: highest - i

    def first_time(self, number: int) -> bool:
        if self._highest is None or number > self._highest:
            step = 1 if self._highest is None else number - self._highest
            self._seen = ((self._seen << min(step, self.SIZE)) | 1) & ((1 << self.SIZE) - 1)
            self._highest = number
            return True
        bit = self._highest - number
        if bit >= self.SIZE or self._seen >> bit & 1:
            return False
        self._seen |= 1 << bit
        return True
