"""RTCP (RFC 3550, section 6): sender and receiver reports, and this program's own APP packets.

Reports are sent compound and rarely, APP packets alone (reduced size, RFC 5506): a report about
the phoneme arm that found no media packet to ride on, and the probe that keeps a quiet link
known to be alive. The parser returns what it understood and never raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SENDER_REPORT, RECEIVER_REPORT, BYE, APP = 200, 201, 203, 204
MAX_RTCP_BYTES = 512
MAX_RTCP_PACKETS = 8  # in one compound
MAX_BLOCKS = 31
NTP_UNITS_PER_MS = 65.536  # of the middle 32 bits of an NTP timestamp

APP_NAME = b"SVOC"
APP_REPORT, APP_PROBE, APP_ANSWER = 0, 1, 2

_BLOCK = struct.Struct("!IIIIII")
_SENDER_INFO = struct.Struct("!QIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How its sender receives one stream (RFC 3550, section 6.4.1)."""

    ssrc: int
    """Of the stream reported about."""
    fraction_lost: int
    """256ths since the last report."""
    packets_lost: int
    """Since the beginning; 24 bits, signed."""
    highest_sequence: int
    jitter: int
    """In timestamp units."""
    last_report: int
    """Middle 32 bits of the NTP time of the last sender report; 0 = none."""
    delay_since: int
    """Since that report, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class Rtcp:
    """What one RTCP datagram says."""

    ssrc: int
    ntp: int | None = None
    """NTP time of a sender report (64 bits); None when there was none."""
    blocks: tuple[ReportBlock, ...] = ()
    report: bytes | None = None
    """An encoded receiver report of this program's own."""
    probe: bool = False
    answer: bool = False
    bye: bool = False
    """The far end left on purpose."""


def ntp_time(now_ms: float) -> int:
    """Milliseconds of any clock → 64-bit NTP format. Only differences are ever used."""
    return int(max(now_ms, 0.0) * (2**32 / 1000.0)) & 0xFFFFFFFFFFFFFFFF


def ntp_middle(ntp: int) -> int:
    return ntp >> 16 & 0xFFFFFFFF


def _pack(packet_type: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def _pack_block(block: ReportBlock) -> bytes:
    lost = max(-(1 << 23), min(block.packets_lost, (1 << 23) - 1)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        min(block.fraction_lost, 255) << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_report,
        min(block.delay_since, 0xFFFFFFFF),
    )


def pack_reports(
    ssrc: int, blocks: tuple[ReportBlock, ...], sender: tuple[int, int, int, int] | None
) -> bytes:
    """One SR (``sender`` = NTP time, RTP timestamp, packets, octets) or RR with its blocks."""
    body = struct.pack("!I", ssrc)
    if sender is not None:
        ntp, timestamp, packets, octets = sender
        body += _SENDER_INFO.pack(
            ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
        )
    body += b"".join(_pack_block(block) for block in blocks[:MAX_BLOCKS])
    kind = RECEIVER_REPORT if sender is None else SENDER_REPORT
    return _pack(kind, min(len(blocks), MAX_BLOCKS), body)


def pack_bye(ssrc: int) -> bytes:
    return _pack(BYE, 1, struct.pack("!I", ssrc))


def pack_app(ssrc: int, subtype: int, data: bytes = b"") -> bytes:
    """An APP packet; the data is led by its length and padded to words."""
    if data:
        data = bytes((len(data),)) + data
        data += bytes(-len(data) % 4)
    return _pack(APP, subtype, struct.pack("!I", ssrc) + APP_NAME + data)


def _parse_blocks(body: bytes, count: int) -> tuple[ReportBlock, ...] | None:
    if len(body) < count * _BLOCK.size:
        return None
    blocks = []
    for number in range(count):
        ssrc, lost, highest, jitter, last, delay = _BLOCK.unpack_from(body, number * _BLOCK.size)
        signed = (lost & 0xFFFFFF ^ 0x800000) - 0x800000
        blocks.append(ReportBlock(ssrc, lost >> 24, signed, highest, jitter, last, delay))
    return tuple(blocks)


def parse_rtcp(data: bytes) -> Rtcp | None:
    """Bytes after SRTCP → what they say; None where any packet's length does not fit."""
    if not 8 <= len(data) <= MAX_RTCP_BYTES or len(data) % 4:
        return None
    first_ssrc: int | None = None
    ntp: int | None = None
    blocks: tuple[ReportBlock, ...] = ()
    report: bytes | None = None
    probe = answer = bye = False
    at = packets = 0
    while at < len(data):
        if len(data) - at < 4 or packets == MAX_RTCP_PACKETS:
            return None
        flags, kind, words = struct.unpack_from("!BBH", data, at)
        body = data[at + 4 : at + 4 + 4 * words]
        if flags >> 6 != 2 or len(body) != 4 * words or words < 1:
            return None
        at += 4 + 4 * words
        packets += 1
        if first_ssrc is None:
            first_ssrc = struct.unpack_from("!I", body)[0]
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            skip = 4
            if kind == SENDER_REPORT:
                if len(body) < 4 + _SENDER_INFO.size:
                    return None
                ntp = _SENDER_INFO.unpack_from(body, 4)[0]
                skip += _SENDER_INFO.size
            found = _parse_blocks(body[skip:], flags & 0x1F)
            if found is None:
                return None
            blocks = (blocks + found)[:MAX_BLOCKS]
        elif kind == BYE:
            bye = True
        elif kind == APP and body[4:8] == APP_NAME:
            subtype = flags & 0x1F
            probe |= subtype == APP_PROBE
            answer |= subtype == APP_ANSWER
            if subtype == APP_REPORT and len(body) > 8 and body[8] <= len(body) - 9:
                report = body[9 : 9 + body[8]]
    if first_ssrc is None:
        return None
    return Rtcp(first_ssrc, ntp, blocks, report, probe, answer, bye)
