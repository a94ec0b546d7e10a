"""The datagrams of one connection, as the DTLS transport wants them, impaired on the way out.

Both arms, RTCP and the data channel cross the same impaired link here, after encryption, so that
it sees the very bytes that a bad network would. Counts what really leaves and arrives.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from transport.description import Role
from transport.ice import IceConnection, clock_ms
from transport.impair import Impairment
from transport.rtp import ARMS, is_rtcp
from transport.session import IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, UDP_HEADER_BYTES

MAX_DELAYED = 2048  # datagrams inside the impaired link; more are dropped
MAX_SOURCES = 16  # two arms and RTCP, and some restarts of the far end


def source_of(datagram: bytes) -> bytes | None:
    """The SSRC of an SRTP or SRTCP datagram; None for anything else."""
    if len(datagram) < 12 or datagram[0] >> 6 != 2:
        return None
    return datagram[4:8] if is_rtcp(datagram) else datagram[8:12]


class DatagramPort:
    """What ``RTCDtlsTransport`` sees of ICE, with the impaired link in between.

    Without an impairment datagrams leave at once. Counts what really leaves and arrives.
    """

    def __init__(self, connection: IceConnection, role: Role) -> None:
        self._connection = connection
        self.role = "controlling" if role is Role.CALLER else "controlled"
        self._impairment: Impairment | None = None
        self._origin_ms = 0.0
        self._delayed: set[asyncio.TimerHandle] = set()
        self.dropped: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        """UDP payload bytes that left, by lane: the arms, 'rtcp' and 'control'."""
        self.received_bytes = 0
        self.sources: set[bytes] = set()
        """SSRCs whose packets proved authentic. SRTP keeps state for each for ever, so that past
        MAX_SOURCES of them a packet of yet another is not even looked at."""

    @property
    def ip_header_bytes(self) -> int:
        pair = self._connection.nominated
        return IPV6_HEADER_BYTES if pair and ":" in pair.remote_addr[0] else IPV4_HEADER_BYTES

    def impair(self, impairment: Impairment | None, origin_ms: float) -> None:
        """``origin_ms`` is the link's time 0: outages, traces and drift begin there."""
        self._impairment, self._origin_ms = impairment, origin_ms

    async def _recv(self) -> bytes:
        while True:
            data = await self._connection.recv()
            self.received_bytes += len(data)
            if len(self.sources) < MAX_SOURCES or source_of(data) in (None, *self.sources):
                return data
            self.dropped["source"] += 1

    async def _send(self, data: bytes) -> None:
        self.transmit(data)

    def transmit(self, data: bytes) -> None:
        lane = "control"
        if data and data[0] >> 6 == 2:
            lane = "rtcp" if is_rtcp(data) else ARMS.get(data[1] & 0x7F, "control")
        if self._impairment is None:
            self._leave(data, lane)
            return
        now_ms = clock_ms() - self._origin_ms
        wire_bytes = len(data) + self.ip_header_bytes + UDP_HEADER_BYTES
        for deliver_at_ms, packet in self._impairment.submit(data, now_ms, lane, wire_bytes):
            wait_s = (deliver_at_ms - now_ms) / 1000.0
            if wait_s <= 0.0005:
                self._leave(packet, lane)
            elif len(self._delayed) >= MAX_DELAYED:
                self.dropped["delayed"] += 1
            else:
                self._later(wait_s, self._leave, packet, lane)

    def transmit_again(self, wait_s: float, data: bytes) -> None:
        """Send a copy after a while; given up when the connection closes."""
        if len(self._delayed) < MAX_DELAYED:
            self._later(wait_s, self.transmit, data)

    def _later(self, wait_s: float, call: Callable[..., None], *arguments: object) -> None:
        def due() -> None:
            self._delayed.discard(handle)
            call(*arguments)

        handle = asyncio.get_running_loop().call_later(wait_s, due)
        self._delayed.add(handle)

    def _leave(self, data: bytes, lane: str) -> None:
        pair = self._connection.nominated
        if pair is None:
            self.dropped["unconnected"] += 1
            return
        self.sent_bytes[lane] += len(data)
        pair.protocol.transport.sendto(data, pair.remote_addr)

    def close(self) -> None:
        for handle in self._delayed:
            handle.cancel()
        self._delayed.clear()
