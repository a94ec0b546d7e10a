"""One arm's RTP stream in one direction, with its counters (webrtc-stats: outbound, inbound).

An outbound stream numbers what leaves. An inbound one decides what of the packets that arrive is
new and neither a replay nor a flood, and measures loss and jitter for RTCP. Times are arguments.
"""

from __future__ import annotations

from collections import Counter

from transport.bucket import TokenBucket
from transport.rtcp import ReportBlock
from transport.rtp import (
    CLOCK_RATES,
    PAYLOAD_TYPES,
    ReplayWindow,
    RtpPacket,
    SequenceUnwrapper,
    pack_rtp,
)

ARM_PACKETS_PER_S = 150.0  # 20 ms Opus with copies; anything above is a flood
ARM_PACKET_BURST = 150.0


class OutboundStream:
    """What this end sends of an arm."""

    def __init__(self, arm: str, ssrc: int, sequence_number: int) -> None:
        self.payload_type = PAYLOAD_TYPES[arm]
        self.ssrc = ssrc
        self.sequence_number = sequence_number
        self.timestamp = 0
        self.packets = self.payload_bytes = self.wire_bytes = 0
        self.packets_at_report = 0

    def pack(self, timestamp: int, payload: bytes, report: bytes | None) -> bytes:
        """The next packet, with a receiver report in its header where there is one."""
        packet = RtpPacket(
            self.payload_type, self.sequence_number, timestamp, self.ssrc, payload, report
        )
        self.sequence_number = self.sequence_number + 1 & 0xFFFF
        self.timestamp = timestamp
        self.packets += 1
        self.payload_bytes += len(payload)
        return pack_rtp(packet)


class InboundStream:
    """What arrives of an arm."""

    def __init__(self, arm: str) -> None:
        self.clock_rate = CLOCK_RATES[arm]
        self.ssrc: int | None = None
        self.stream = 0
        """One more each time the sender began anew."""
        self.packets = self.payload_bytes = self.wire_bytes = 0
        self.packets_at_report = 0
        self.jitter = 0.0  # timestamp units, RFC 3550 section 6.4.1
        self.fraction_lost = 0.0
        self.remote_fraction_lost = 0.0
        """What the far end says it lost of this arm."""
        self._bucket = TokenBucket(ARM_PACKETS_PER_S, ARM_PACKET_BURST)
        self._unwrapper = SequenceUnwrapper()
        self._replays = ReplayWindow()
        self._first: int | None = None
        self._newest_timestamp = 0
        self._newest_ms: float | None = None
        self._expected_before = self._received_before = 0

    def accept(
        self, packet: RtpPacket, wire_bytes: int, now_ms: float, dropped: Counter[str]
    ) -> int | None:
        """The packet's extended sequence number; None (counted) for floods and replays."""
        if not self._bucket.allow(now_ms):
            dropped["flood"] += 1
            return None
        if self.ssrc != packet.ssrc:
            if self.ssrc is not None:
                self._unwrapper.restart()
                self._newest_ms = None
                self.stream += 1
            self.ssrc = packet.ssrc
        number = self._unwrapper.unwrap(packet.sequence_number)
        if number is None:
            dropped["sequence"] += 1
            return None
        self.wire_bytes += wire_bytes
        if not self._replays.first_time(number):
            dropped["replay"] += 1
            return None
        self._first = number if self._first is None else min(self._first, number)
        self.packets += 1
        self.payload_bytes += len(packet.payload)
        self._measure_jitter(packet.timestamp, now_ms)
        return number

    def _measure_jitter(self, timestamp: int, now_ms: float) -> None:
        """RFC 3550, section 6.4.1, over packets with newer media than any before: a packet of
        nothing but repeated events has an old timestamp however well it travelled."""
        newer = timestamp - self._newest_timestamp & 0xFFFFFFFF
        if self._newest_ms is not None:
            if not 0 < newer < 0x80000000:
                return
            change = abs((now_ms - self._newest_ms) * self.clock_rate / 1000.0 - newer)
            self.jitter += (change - self.jitter) / 16.0
        self._newest_timestamp, self._newest_ms = timestamp, now_ms

    @property
    def expected(self) -> int:
        """Packets that must have been sent, by the sequence numbers seen."""
        highest = self._unwrapper.highest
        return 0 if highest is None or self._first is None else highest - self._first + 1

    @property
    def packets_lost(self) -> int:
        """Never below 0, though a number that came early may make it so for a while."""
        return max(self.expected - self.packets, 0)

    def report_block(self, last_report: int, delay_since: int) -> ReportBlock:
        """What to tell the sender; begins a new interval for ``fraction_lost``. Only once
        something was received."""
        expected = self.expected - self._expected_before
        received = self.packets - self._received_before
        self._expected_before, self._received_before = self.expected, self.packets
        if expected > 0:
            self.fraction_lost = max(expected - received, 0) / expected
        return ReportBlock(
            self.ssrc or 0,
            min(int(self.fraction_lost * 256), 255),
            self.expected - self.packets,
            self._unwrapper.highest or 0,
            int(self.jitter),
            last_report,
            delay_since,
        )
