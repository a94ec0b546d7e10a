"""Two ends of a simulated call on a virtual clock, for tests and for ``simulate``.

The same RTP session as in a real call, over two impaired directions instead of SRTP and UDP, with
the headers counted as if they were there. Control messages arrive in order and always, as on a
data channel, late when the link loses them. Time is whatever the caller says it is.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count

from transport.control import MAX_CONTROL_BYTES, is_report
from transport.impair import Impairment, ImpairmentSettings
from transport.link import LinkStats, MediaPacket
from transport.rtp import is_rtcp
from transport.session import RtpSession, SessionKeys

CONTROL_HEADER_BYTES = 117  # IP, UDP, DTLS and SCTP around one message, as measured with aiortc
CONTROL_RETRY_MS = 400.0  # SCTP's smallest retransmission timer here
CONTROL_ATTEMPTS = 64
INBOX_PACKETS = 4096
CONTROL_QUEUE = 256


class LoopbackLink:
    """One end; make two with ``loopback_pair``. Implements ``Link``. Not thread-safe."""

    def __init__(self, impairment: Impairment, keys: SessionKeys) -> None:
        self.session = RtpSession(keys)
        self.impairment = impairment
        self.dropped_packets = 0
        self._peer: LoopbackLink | None = None
        self._now_ms = 0.0
        self._order = count()
        # (deliver_at_ms, tie, data); past INBOX_PACKETS the newest is dropped and counted
        self._inbox: list[tuple[float, int, bytes]] = []
        # (deliver_at_ms, message); drops the oldest
        self._control: deque[tuple[float, bytes]] = deque(maxlen=CONTROL_QUEUE)
        self._control_ms = 0.0

    def _join(self, peer: LoopbackLink) -> None:
        self._peer = peer

    def _transmit(self, data: bytes, lane: str, now_ms: float, wire_bytes: int) -> None:
        peer = self._peer
        if peer is None:
            return
        for deliver_at_ms, packet in self.impairment.submit(data, now_ms, lane, wire_bytes):
            if len(peer._inbox) >= INBOX_PACKETS:
                peer.dropped_packets += 1
                continue
            heapq.heappush(peer._inbox, (deliver_at_ms, next(peer._order), packet))

    def _poll(self, now_ms: float) -> None:
        self._now_ms = max(self._now_ms, now_ms)
        for data in self.session.poll(now_ms):
            self._transmit(data, "rtcp", now_ms, len(data) + self.session.rtcp_overhead_bytes)

    def send(self, arm: str, timestamp: int, payload: bytes, now_ms: float) -> None:
        """Send one payload; dropped silently (and counted) after ``close`` or when too large."""
        self._poll(now_ms)
        data = self.session.pack(arm, timestamp, payload, now_ms)
        if data is not None:
            self._transmit(data, arm, now_ms, len(data) + self.session.packet_overhead_bytes)

    def receive(self, now_ms: float) -> list[MediaPacket]:
        """Media packets that have arrived by ``now_ms``, in order of arrival."""
        packets = []
        while self._inbox and self._inbox[0][0] <= now_ms:
            at_ms, _, data = heapq.heappop(self._inbox)
            if is_rtcp(data):
                self.session.on_rtcp(data, at_ms)
                continue
            packet = self.session.on_rtp(data, at_ms)
            if packet is not None:
                packets.append(packet)
        self._poll(now_ms)
        return packets

    def send_control(self, message: bytes) -> None:
        """Send at the time of the last ``send`` or ``receive``. Reports may get lost; the rest
        arrives, in order."""
        peer = self._peer
        if peer is None or not 0 < len(message) <= MAX_CONTROL_BYTES:
            self.session.dropped["unsendable"] += 1
            return
        if is_report(message):
            self.session.queue_report(message, self._now_ms)
            return
        for attempt in range(CONTROL_ATTEMPTS):
            sent_ms = self._now_ms + attempt * CONTROL_RETRY_MS
            size = len(message) + CONTROL_HEADER_BYTES
            arrivals = self.impairment.submit(message, sent_ms, "control", size)
            if arrivals:
                self._control_ms = max(self._control_ms, arrivals[0][0])
                peer._control.append((self._control_ms, message))
                return
        self.session.dropped["control"] += 1

    def receive_control(self) -> list[bytes]:
        """Messages that arrived by the time of the last ``send`` or ``receive``."""
        messages = self.session.take_reports()
        while self._control and self._control[0][0] <= self._now_ms:
            messages.append(self._control.popleft()[1])
        return messages

    def stats(self, now_ms: float) -> LinkStats:
        return self.session.stats()

    def close(self) -> None:
        """Nothing more is sent or delivered."""
        self._peer = None
        self._inbox.clear()
        self._control.clear()


def loopback_pair(
    settings: ImpairmentSettings | None = None,
    seed: int = 1,
    reverse: ImpairmentSettings | None = None,
) -> tuple[LoopbackLink, LoopbackLink]:
    """Two joined links; ``reverse`` (default: the same) impairs what the second one sends."""
    first = LoopbackLink(
        Impairment(settings, 2 * seed), SessionKeys((0x50480001, 0x4F500001), (0, 0))
    )
    second = LoopbackLink(
        Impairment(settings if reverse is None else reverse, 2 * seed + 1),
        SessionKeys((0x50480002, 0x4F500002), (0, 0)),
    )
    first._join(second)
    second._join(first)
    return first, second
