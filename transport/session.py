"""The RTP session of one end: both arms, RTCP both ways, counters of every byte on the wire.

Bytes and times go in, bytes and times come out; no socket, thread or clock. ``RtcLink`` puts SRTP
and UDP under it, ``LoopbackLink`` a simulated link, and so both account alike. Receiver reports
about the phoneme arm ride in the header of the next media packet; they get an RTCP packet of
their own only when no media packet leaves in time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from transport.bucket import TokenBucket
from transport.link import ArmStats, LinkStats, MediaPacket
from transport.news import ReportNews
from transport.rtcp import (
    APP_ANSWER,
    APP_PROBE,
    APP_REPORT,
    NTP_UNITS_PER_MS,
    ReportBlock,
    Rtcp,
    ntp_middle,
    ntp_time,
    pack_app,
    pack_bye,
    pack_reports,
    parse_rtcp,
)
from transport.rtp import ARMS, MAX_PAYLOAD_BYTES, PAYLOAD_TYPES, parse_rtp
from transport.streams import InboundStream, OutboundStream

UDP_HEADER_BYTES = 8
IPV4_HEADER_BYTES = 20
IPV6_HEADER_BYTES = 40
SRTP_TAG_BYTES = 4  # AES-CM with a 32-bit HMAC: 12 bytes less a packet than AES-GCM
SRTCP_TAIL_BYTES = 14  # RTCP keeps its 80-bit tag, and carries its index

RTCP_FIRST_MS = (300.0, 1_000.0, 2_500.0)  # early ones, so that the round trip is soon known
RTCP_INTERVAL_MS = 10_000.0  # a twentieth of the bandwidth, RFC 3550, section 6.2
NEWS_WAIT_MS = 400.0  # how long a report with news waits for a media packet to ride on
REPORT_WAIT_MS = 1_500.0  # and one that says what was said before
DULL_EVERY_MS = 4_000.0  # how often one that changes nothing rides on media that leaves anyway
PROBE_AFTER_MS = 2_200.0  # nothing heard for so long: ask whether the far end lives
PROBE_INTERVAL_MS = 225.0

RTCP_PER_S = 40.0  # probes, answers and reports stay below ten
RTCP_BURST = 80.0


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Where the sequence numbers and sources of one end begin; random in a call."""

    ssrcs: tuple[int, int] = (0x50484F4E, 0x4F505553)
    """Of the phoneme and the Opus arm."""
    sequence_numbers: tuple[int, int] = (0, 0)


def _share_wire_bytes(
    streams: Mapping[str, OutboundStream] | Mapping[str, InboundStream], size: int
) -> None:
    """Spread an RTCP packet's wire bytes over the arms that were active since the last one."""
    active = [s for s in streams.values() if s.packets > s.packets_at_report]
    active = active or [streams["phonemes"]]
    for number, stream in enumerate(active):
        stream.wire_bytes += size // len(active) + (number < size % len(active))
    for stream in streams.values():
        stream.packets_at_report = stream.packets


class RtpSession:
    """Not thread-safe, except that ``stats`` may be read from anywhere (it only reads numbers)."""

    def __init__(
        self, keys: SessionKeys | None = None, ip_header_bytes: int = IPV4_HEADER_BYTES
    ) -> None:
        keys = keys or SessionKeys()
        self.ip_header_bytes = ip_header_bytes
        arms = tuple(PAYLOAD_TYPES)
        self._sending = {
            arm: OutboundStream(arm, ssrc, number)
            for arm, ssrc, number in zip(arms, keys.ssrcs, keys.sequence_numbers, strict=True)
        }
        self._receiving = {arm: InboundStream(arm) for arm in arms}
        self._rtcp_bucket = TokenBucket(RTCP_PER_S, RTCP_BURST)
        self._ssrc = keys.ssrcs[0]
        self.dropped: Counter[str] = Counter()
        self.round_trip_ms: float | None = None
        self.last_heard_ms: float | None = None
        self._last_probe_ms = float("-inf")
        self._started_ms: float | None = None
        self._rtcp_sent = 0
        self._rtcp_due_ms = 0.0
        self._report: bytes | None = None
        self._report_due_ms = float("inf")
        self._dull_until_ms = float("-inf")
        self._news = ReportNews()
        self._answer_due = False
        self._heard_ntp: tuple[int, float] | None = None  # of their last SR, and when it came
        self._reports: deque[bytes] = deque(maxlen=4)  # reports heard; drops the oldest

    # sending

    @property
    def packet_overhead_bytes(self) -> int:
        """What the wire adds to an RTP packet: IP, UDP and the SRTP tag."""
        return self.ip_header_bytes + UDP_HEADER_BYTES + SRTP_TAG_BYTES

    @property
    def rtcp_overhead_bytes(self) -> int:
        """What the wire adds to an RTCP packet."""
        return self.ip_header_bytes + UDP_HEADER_BYTES + SRTCP_TAIL_BYTES

    def pack(self, arm: str, timestamp: int, payload: bytes, now_ms: float) -> bytes | None:
        """The RTP packet for one payload; None (counted) for what cannot be sent."""
        sending = self._sending.get(arm)
        if sending is None or len(payload) > MAX_PAYLOAD_BYTES:
            self.dropped["unsendable"] += 1
            return None
        report = None
        if now_ms >= self._dull_until_ms:
            report = self._take_report(now_ms)
        else:  # the far end hears that this end is there
            self._report_due_ms = max(self._report_due_ms, now_ms + REPORT_WAIT_MS)
        data = sending.pack(timestamp, payload, report)
        sending.wire_bytes += len(data) + self.packet_overhead_bytes
        return data

    def queue_report(self, report: bytes, now_ms: float) -> None:
        """Send this receiver report soon; a newer one replaces one that has not left."""
        self._report = report[:16]
        wait_ms = NEWS_WAIT_MS if self._news.is_news(self._report) else REPORT_WAIT_MS
        if not self._news.is_dull(self._report):
            self._dull_until_ms = now_ms
        self._report_due_ms = min(self._report_due_ms, now_ms + wait_ms)

    def poll(self, now_ms: float) -> list[bytes]:
        """RTCP packets that are due. Call it a few times a second."""
        if self._started_ms is None:
            self._started_ms = now_ms
            self._rtcp_due_ms = now_ms + RTCP_FIRST_MS[0]
        out: list[bytes] = []
        if now_ms >= self._rtcp_due_ms:
            self._schedule_rtcp(now_ms)
            reports = self._pack_reports(now_ms)
            if reports:
                out.append(self._count_rtcp(reports + self._pack_own_report(now_ms)))
        if now_ms >= self._report_due_ms:
            out.append(self._count_rtcp(self._pack_own_report(now_ms)))
        if self._answer_due:
            self._answer_due = False
            answer = self._pack_own_report(now_ms) or pack_app(self._ssrc, APP_ANSWER)
            out.append(self._count_rtcp(answer))
        elif not out and self._probe_due(now_ms):
            self._last_probe_ms = now_ms
            out.append(self._count_rtcp(pack_app(self._ssrc, APP_PROBE)))
        return out

    def pack_bye(self) -> bytes:
        """RTCP BYE: this end leaves on purpose."""
        return self._count_rtcp(pack_bye(self._ssrc))

    def _take_report(self, now_ms: float) -> bytes | None:
        """The report that waits, if any; from now on it counts as told."""
        report, self._report = self._report, None
        self._report_due_ms = float("inf")
        if report is not None:
            self._news.told(report)
            self._dull_until_ms = now_ms + DULL_EVERY_MS
        return report

    def _pack_own_report(self, now_ms: float) -> bytes:
        report = self._take_report(now_ms)
        return b"" if report is None else pack_app(self._ssrc, APP_REPORT, report)

    def _schedule_rtcp(self, now_ms: float) -> None:
        self._rtcp_sent += 1
        if self._rtcp_sent < len(RTCP_FIRST_MS) and self._started_ms is not None:
            self._rtcp_due_ms = self._started_ms + RTCP_FIRST_MS[self._rtcp_sent]
        else:
            self._rtcp_due_ms = now_ms + RTCP_INTERVAL_MS

    def _probe_due(self, now_ms: float) -> bool:
        heard_ms = self.last_heard_ms if self.last_heard_ms is not None else self._started_ms
        return (
            heard_ms is not None
            and now_ms - heard_ms >= PROBE_AFTER_MS
            and now_ms - self._last_probe_ms >= PROBE_INTERVAL_MS
        )

    def _pack_reports(self, now_ms: float) -> bytes:
        blocks = []
        for receiving in self._receiving.values():
            if not receiving.packets:
                continue
            last, delay = 0, 0
            if self._heard_ntp is not None:
                last = ntp_middle(self._heard_ntp[0])
                delay = round((now_ms - self._heard_ntp[1]) * NTP_UNITS_PER_MS)
            blocks.append(receiving.report_block(last, max(delay, 0)))
        sender = None
        packets = sum(sending.packets for sending in self._sending.values())
        if packets:
            octets = sum(sending.payload_bytes for sending in self._sending.values())
            timestamp = self._sending["phonemes"].timestamp
            sender = (ntp_time(now_ms), timestamp, packets, octets)
        if sender is None and not blocks:
            return b""
        return pack_reports(self._ssrc, tuple(blocks), sender)

    def _count_rtcp(self, data: bytes) -> bytes:
        _share_wire_bytes(self._sending, len(data) + self.rtcp_overhead_bytes)
        return data

    # receiving

    def on_rtp(self, data: bytes, now_ms: float) -> MediaPacket | None:
        """An RTP packet from the far end → what it carries; None (counted) for anything else."""
        packet = parse_rtp(data)
        if packet is None:
            self.dropped["malformed"] += 1
            return None
        arm = ARMS[packet.payload_type]
        receiving = self._receiving[arm]
        wire_bytes = len(data) + self.packet_overhead_bytes
        number = receiving.accept(packet, wire_bytes, now_ms, self.dropped)
        if number is None:
            return None
        self.last_heard_ms = now_ms
        if packet.report is not None:
            self._reports.append(packet.report)
        return MediaPacket(arm, number, packet.timestamp, packet.payload, now_ms, receiving.stream)

    def on_rtcp(self, data: bytes, now_ms: float) -> Rtcp | None:
        """An RTCP packet from the far end; None (counted) when it makes no sense."""
        if not self._rtcp_bucket.allow(now_ms):
            self.dropped["flood"] += 1
            return None
        rtcp = parse_rtcp(data)
        if rtcp is None:
            self.dropped["malformed"] += 1
            return None
        self.last_heard_ms = now_ms
        _share_wire_bytes(self._receiving, len(data) + self.rtcp_overhead_bytes)
        if rtcp.ntp is not None:
            self._heard_ntp = (rtcp.ntp, now_ms)
        for block in rtcp.blocks:
            self._on_block(block, now_ms)
        if rtcp.report is not None:
            self._reports.append(rtcp.report)
        self._answer_due |= rtcp.probe
        return rtcp

    def _on_block(self, block: ReportBlock, now_ms: float) -> None:
        for arm, sending in self._sending.items():
            if sending.ssrc == block.ssrc:
                self._receiving[arm].remote_fraction_lost = block.fraction_lost / 256.0
                if block.last_report:
                    now = ntp_middle(ntp_time(now_ms))
                    units = now - block.last_report - block.delay_since & 0xFFFFFFFF
                    if units < 0x80000000:  # otherwise the far end's clock jumped
                        self.round_trip_ms = units / NTP_UNITS_PER_MS

    def take_reports(self) -> list[bytes]:
        """Encoded receiver reports that arrived since the last call, oldest first."""
        reports = list(self._reports)
        self._reports.clear()
        return reports

    # counters

    def remote_fraction_lost(self, arm: str) -> float:
        """What the far end's last RTCP report says it lost of an arm, 0 ... 1."""
        return self._receiving[arm].remote_fraction_lost

    @property
    def worst_fraction_lost(self) -> float:
        """Of any arm, in any direction, as last measured."""
        arms = self._receiving.values()
        return max(max(arm.fraction_lost, arm.remote_fraction_lost) for arm in arms)

    def stats(self) -> LinkStats:
        return LinkStats(
            phonemes=self._arm_stats("phonemes"),
            opus=self._arm_stats("opus"),
            round_trip_ms=self.round_trip_ms,
        )

    def _arm_stats(self, arm: str) -> ArmStats:
        sending, receiving = self._sending[arm], self._receiving[arm]
        return ArmStats(
            packets_sent=sending.packets,
            packets_received=receiving.packets,
            packets_lost=receiving.packets_lost,
            payload_bytes_sent=sending.payload_bytes,
            payload_bytes_received=receiving.payload_bytes,
            wire_bytes_sent=sending.wire_bytes,
            wire_bytes_received=receiving.wire_bytes,
            jitter_ms=receiving.jitter * 1000.0 / receiving.clock_rate,
            fraction_lost=receiving.fraction_lost,
        )
