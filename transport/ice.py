"""One ICE connection (aioice) and the datagrams over it, as the DTLS transport wants them.

Adds to aioice what a call on a bad link needs: fixed ports and credentials, so that a new
connection can take the place of a dead one without new signalling; a guard before the receive
queue; notice of a far end that has begun anew; and the impaired link on the sending side.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aioice import Candidate, Connection, TransportPolicy, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, relayed_candidate, server_reflexive_candidate
from aiortc.rtcicetransport import parse_stun_turn_uri

from engine.errors import SottovoceError
from transport.bucket import TokenBucket
from transport.description import MAX_CANDIDATES, CandidateAddress, Role, usable
from transport.impair import Impairment
from transport.rtp import ARMS, is_rtcp
from transport.session import IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, UDP_HEADER_BYTES

MAX_DATAGRAM_BYTES = 1500
MAX_QUEUED = 256  # datagrams waiting to be read; more are dropped
MAX_DELAYED = 2048  # datagrams inside the impaired link; more are dropped
DATAGRAMS_PER_S = 2000.0  # both arms with copies stay below 200
GATHER_TIMEOUT_S = 4
MAX_SOURCES = 16  # two arms and RTCP, and some restarts of the far end
LOOPBACK = "127.0.0.1"

STUN_RTO_S = 0.2
STUN_RETRIES = 7
STUN_REPEAT_S = 0.08
"""aioice begins at 0.5 s and doubles, which at 30 % loss is seconds before a pair is found."""


def clock_ms() -> float:
    """The one clock of real calls: monotonic milliseconds."""
    return time.monotonic() * 1000.0


def source_of(datagram: bytes) -> bytes | None:
    """The SSRC of an SRTP or SRTCP datagram; None for anything else."""
    if len(datagram) < 12 or datagram[0] >> 6 != 2:
        return None
    return datagram[4:8] if is_rtcp(datagram) else datagram[8:12]


@dataclass(frozen=True, slots=True)
class IceSettings:
    """How to be reached. Raises SottovoceError for a server address that makes no sense."""

    stun: str | None = None
    """``stun:host[:port]``"""
    turn: str | None = None
    """``turn:host[:port][?transport=tcp]`` or ``turns:…``"""
    turn_username: str | None = None
    turn_password: str | None = None
    relay_only: bool = False
    """Offer nothing but the TURN server's address."""
    addresses: tuple[str, ...] = ()
    """Local addresses to use; empty: all of this machine's."""
    port: int = 0
    """Local UDP port; 0: any."""

    def __post_init__(self) -> None:
        self.server_arguments()
        if not 0 <= self.port < 65_536:
            raise SottovoceError("The UDP port must be between 0 and 65535; 0 takes any.")
        if self.relay_only and self.turn is None:
            raise SottovoceError("A relay-only call needs a TURN server; set one.")
        for address in self.addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise SottovoceError(
                    f"{address!r} is not a local address; give one like 192.168.1.5."
                ) from None

    def server_arguments(self) -> dict[str, Any]:
        """Keyword arguments for ``aioice.Connection``."""
        arguments: dict[str, Any] = {}
        for uri, schemes in ((self.stun, ("stun",)), (self.turn, ("turn", "turns"))):
            if uri is None:
                continue
            try:
                parsed = parse_stun_turn_uri(uri)
            except ValueError:
                parsed = {"scheme": ""}
            if parsed["scheme"] not in schemes:
                raise SottovoceError(
                    f"{uri!r} is not a server address; write it like {schemes[0]}:example.org:3478."
                )
            name = schemes[0]
            arguments[f"{name}_server"] = (parsed["host"], parsed["port"])
            if name == "turn":
                arguments |= {
                    "turn_ssl": parsed["scheme"] == "turns",
                    "turn_transport": parsed["transport"],
                    "turn_username": self.turn_username,
                    "turn_password": self.turn_password,
                }
        return arguments


class IceConnection(Connection):
    """aioice's connection with fixed ports, a guarded queue, and an eye on the peer.

    ``ports``: the port to use on each local address where it is still free. ``on_restart`` is
    called when, after ICE completed, an authenticated check arrives from a connection of the far
    end that is not the one ICE completed with: the far end has begun anew.
    """

    def __init__(
        self,
        role: Role,
        credentials: tuple[str, str],
        settings: IceSettings,
        ports: dict[str, int],
        on_restart: Callable[[], None],
    ) -> None:
        stun.RETRY_RTO = STUN_RTO_S
        stun.RETRY_MAX = STUN_RETRIES
        super().__init__(
            ice_controlling=role is Role.CALLER,
            local_username=credentials[0],
            local_password=credentials[1],
            transport_policy=TransportPolicy.RELAY if settings.relay_only else TransportPolicy.ALL,
            **settings.server_arguments(),
        )
        self._settings = settings
        self._ports = ports
        self._on_restart = on_restart
        self._peer_tie_breaker: int | None = None
        self._bucket = TokenBucket(DATAGRAMS_PER_S, DATAGRAMS_PER_S)
        self.dropped: Counter[str] = Counter()

    @property
    def nominated(self) -> Any:
        """The pair in use, or None."""
        return self._nominated.get(1)

    def local_addresses(self) -> list[CandidateAddress]:
        """What to put into the invite, best first, the loopback address only where it is all."""
        found = [CandidateAddress(c.type, c.host, c.port) for c in self.local_candidates]
        order = {"host": 0, "srflx": 1, "relay": 2}
        found.sort(key=lambda c: (":" in c.host, order[c.kind]))
        return [c for c in found if usable(c)][:MAX_CANDIDATES]

    def bound_ports(self) -> dict[str, int]:
        hosts = [c for c in self.local_candidates if c.type == "host"]
        return {c.host: c.port for c in hosts}

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = GATHER_TIMEOUT_S
    ) -> list[Candidate]:
        """Like aioice's, with preferred ports, and the loopback address where there is no other."""
        candidates: list[Candidate] = []
        protocols: list[StunProtocol] = []
        if not self._settings.relay_only:
            addresses = list(self._settings.addresses) or addresses or [LOOPBACK]
            for address in addresses:
                protocol = await self._bind(address)
                if protocol is None:
                    continue
                host, port = protocol.transport.get_extra_info("sockname")[:2]
                protocol.local_candidate = Candidate(
                    foundation=candidate_foundation("host", "udp", host),
                    component=component,
                    transport="udp",
                    priority=candidate_priority(component, "host"),
                    host=host,
                    port=port,
                    type="host",
                )
                protocols.append(protocol)
                candidates.append(protocol.local_candidate)
        self._protocols += protocols
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(server_reflexive_candidate(protocol, self.stun_server))
            for protocol in protocols
            if self.stun_server and ":" not in protocol.local_candidate.host
        ]
        if self.turn_server:
            tasks.append(
                asyncio.create_task(
                    relayed_candidate(
                        component=component,
                        hide_related_address=self._settings.relay_only,
                        protocol_factory=lambda: GuardedStunProtocol(self),
                        turn_server=self.turn_server,
                        turn_username=self.turn_username,
                        turn_password=self.turn_password,
                        turn_ssl=self.turn_ssl,
                        turn_transport=self.turn_transport,
                    )
                )
            )
        if tasks:
            done, pending = await asyncio.wait(tasks, timeout=timeout)
            for late in pending:
                late.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            for task in done:
                if task.exception() is not None:
                    self.dropped["server"] += 1
                    continue
                candidate, relay = task.result()
                candidates.append(candidate)
                if relay is not None:
                    self._protocols.append(relay)
        return candidates

    async def _bind(self, address: str) -> StunProtocol | None:
        wanted = self._ports.get(address, 0) or self._settings.port
        loop = asyncio.get_running_loop()
        for port in (wanted, 0) if wanted else (0,):
            try:
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: GuardedStunProtocol(self), local_addr=(address, port)
                )
                return protocol
            except OSError:
                continue
        return None

    def admit(self, data: bytes) -> bool:
        """Whether a datagram from anybody at all is worth looking at."""
        if not 1 <= len(data) <= MAX_DATAGRAM_BYTES:  # aiortc reads the first byte unseen
            self.dropped["size"] += 1
            return False
        if not self._bucket.allow(clock_ms()):
            self.dropped["flood"] += 1
            return False
        return True

    def data_received(self, data: bytes, component: int) -> None:
        if self._queue.qsize() >= MAX_QUEUED:
            self.dropped["flood"] += 1
            return
        super().data_received(data, component)

    def request_received(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        attributes = message.attributes
        tie_breaker = attributes.get("ICE-CONTROLLING", attributes.get("ICE-CONTROLLED"))
        username = attributes.get("USERNAME")
        if (
            tie_breaker is not None
            and isinstance(username, str)
            and "PRIORITY" in attributes
            and "MESSAGE-INTEGRITY" in attributes
            and self._valid_username(username)
            and message.check_message_integrity(self.local_password.encode())
        ):
            if self.nominated is None or self._peer_tie_breaker is None:
                self._peer_tie_breaker = tie_breaker
            elif tie_breaker != self._peer_tie_breaker:
                self._on_restart()
                return
        elif "PRIORITY" not in attributes:
            self.dropped["stun"] += 1  # aioice would stumble over the missing attribute
            return
        super().request_received(message, addr, protocol)

    def stop_consent_checks(self) -> None:
        """Once SRTP flows, its authenticated packets show consent; a STUN check each few seconds
        would cost 400 bit/s, and six lost ones would end a call that 50 % loss does not."""
        if self._query_consent_task is not None:
            self._query_consent_task.cancel()


class GuardedStunProtocol(StunProtocol):
    """aioice's socket, with the flood guard before it and nothing thrown at the event loop."""

    receiver: IceConnection

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Requests go out twice: on a link that loses half, one round trip in four succeeds."""
        super().send_stun(message, addr)
        if message.message_class == stun.Class.REQUEST:
            loop = asyncio.get_running_loop()
            loop.call_later(STUN_REPEAT_S, self._send_again, message, addr)

    def _send_again(self, message: stun.Message, addr: tuple[str, int]) -> None:
        if message.transaction_id in self.transactions and not self.transport.is_closing():
            super().send_stun(message, addr)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if not isinstance(data, bytes) or not self.receiver.admit(data):
            return
        try:
            super().datagram_received(data, addr)
        except (ValueError, LookupError, struct.error):
            self.receiver.dropped["stun"] += 1  # a crafted attribute


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
                self._later(wait_s, packet, lane)

    def _later(self, wait_s: float, data: bytes, lane: str) -> None:
        def leave() -> None:
            self._delayed.discard(handle)
            self._leave(data, lane)

        handle = asyncio.get_running_loop().call_later(wait_s, leave)
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
