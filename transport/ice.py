"""One ICE connection (aioice), for links so bad that its own ways do not get through.

Adds fixed ports and credentials, so that a new connection can take the place of a dead one
without new signalling; a guard before the receive queue; notice of a far end that has begun anew;
and timers for links that lose half.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aioice import Candidate, Connection, TransportPolicy, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, relayed_candidate, server_reflexive_candidate
from aiortc.rtcicetransport import parse_stun_turn_uri

from engine.errors import SottovoceError
from transport.bucket import TokenBucket
from transport.description import MAX_CANDIDATES, CandidateAddress, Role, usable

MAX_DATAGRAM_BYTES = 1500  # an Ethernet frame; nothing this program sends comes near
MAX_QUEUED = 256  # datagrams waiting to be read; more are dropped
DATAGRAMS_PER_S = 2000.0  # both arms with copies stay below 200
MAX_REMOTE_CANDIDATES = 3 * MAX_CANDIDATES  # each address a check comes from is another one
MAX_PAST_CONNECTIONS = 64
GATHER_TIMEOUT_S = 4
LOOPBACK = "127.0.0.1"

STUN_RTO_S = 0.2
STUN_RETRIES = 7
STUN_REPEAT_S = 0.08
"""aioice begins at 0.5 s and doubles, which at 30 % loss is seconds before a pair is found."""
STUN_STEADY_S = 1.0
"""Besides, because doubling waits grow to 13 s: one call in thirty took that long at 50 % loss."""


def clock_ms() -> float:
    """The one clock of real calls: monotonic milliseconds."""
    return time.monotonic() * 1000.0


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


@dataclass
class IceHistory:
    """What one connection leaves to those that take its place."""

    ports: dict[str, int] = field(default_factory=dict)
    """UDP port by local address, to be used again where it is still free."""
    past: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_PAST_CONNECTIONS))
    """Tie-breakers of the far end's connections that are over; drops the oldest. Their checks are
    still signed rightly, so that one held back by the network or somebody on the way would make
    a new connection look abandoned."""


class IceConnection(Connection):
    """aioice's connection with fixed ports, a guarded queue, and an eye on the peer.

    ``on_restart`` is called when, after ICE completed, an authenticated check arrives from a
    connection of the far end that is neither the one ICE completed with nor an earlier one: the
    far end has begun anew.
    """

    def __init__(
        self,
        role: Role,
        credentials: tuple[str, str],
        settings: IceSettings,
        history: IceHistory,
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
        self._history = history
        self._on_restart = on_restart
        self._peer_tie_breaker: int | None = None
        self._bucket = TokenBucket(DATAGRAMS_PER_S, DATAGRAMS_PER_S)
        self.dropped: Counter[str] = Counter()

    @property
    def nominated(self) -> Any:
        """The pair in use, or None."""
        return self._nominated.get(1)

    async def gather_candidates(self) -> None:
        await super().gather_candidates()
        hosts = [c for c in self.local_candidates if c.type == "host"]
        self._history.ports = {c.host: c.port for c in hosts} | self._history.ports

    def part(self) -> None:
        """The peer this connection was completed with is not to be heard by the next one."""
        if self._peer_tie_breaker is not None:
            self._history.past.append(self._peer_tie_breaker)

    def local_addresses(self) -> list[CandidateAddress]:
        """What to put into the invite, best first, the loopback address only where it is all."""
        found = [CandidateAddress(c.type, c.host, c.port) for c in self.local_candidates]
        order = {"host": 0, "srflx": 1, "relay": 2}
        found.sort(key=lambda c: (":" in c.host, order[c.kind]))
        return [c for c in found if usable(c)][:MAX_CANDIDATES]

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
                self.dropped["server"] += 1
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
        wanted = self._history.ports.get(address, 0) or self._settings.port
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
            if tie_breaker in self._history.past:
                self.dropped["replay"] += 1
                return
            if not self._admits(addr):
                self.dropped["candidates"] += 1
                return
            if self.nominated is None or self._peer_tie_breaker is None:
                self._peer_tie_breaker = tie_breaker
            elif tie_breaker != self._peer_tie_breaker:
                self._on_restart()
                return
        elif "PRIORITY" not in attributes:
            self.dropped["stun"] += 1  # aioice would stumble over the missing attribute
            return
        super().request_received(message, addr, protocol)

    def _admits(self, addr: tuple[str, int]) -> bool:
        """Whether checks from there may be followed: each new address is remembered and checked
        in return, and a recorded check can be sent again from any number of them."""
        known = self._remote_candidates
        return len(known) < MAX_REMOTE_CANDIDATES or any(
            (c._network_host, c.port) == addr for c in known
        )

    def stop_consent_checks(self) -> None:
        """Once SRTP flows, its authenticated packets show consent; a STUN check each few seconds
        would cost 400 bit/s, and six lost ones would end a call that 50 % loss does not."""
        if self._query_consent_task is not None:
            self._query_consent_task.cancel()


class GuardedStunProtocol(StunProtocol):
    """aioice's socket, with the flood guard before it and nothing thrown at the event loop."""

    receiver: IceConnection

    def __init__(self, receiver: IceConnection) -> None:
        super().__init__(receiver)
        # the newest to each address; at most MAX_REMOTE_CANDIDATES and two servers
        self._asked: dict[tuple[str, int], stun.Message] = {}

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Requests go out twice: on a link that loses half, one round trip in four succeeds."""
        super().send_stun(message, addr)
        if message.message_class == stun.Class.REQUEST:
            loop = asyncio.get_running_loop()
            loop.call_later(STUN_REPEAT_S, self._send_again, message, addr)
            if self._asked.get(addr) is not message:
                self._asked[addr] = message
                loop.call_later(STUN_STEADY_S, self._ask_on, message, addr)

    def _send_again(self, message: stun.Message, addr: tuple[str, int]) -> bool:
        """Unless it was answered or given up."""
        pending = message.transaction_id in self.transactions and not self.transport.is_closing()
        if pending:
            super().send_stun(message, addr)
        return pending

    def _ask_on(self, message: stun.Message, addr: tuple[str, int]) -> None:
        if self._send_again(message, addr):
            loop = asyncio.get_running_loop()
            loop.call_later(STUN_STEADY_S, self._ask_on, message, addr)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if not isinstance(data, bytes) or not self.receiver.admit(data):
            return
        try:
            super().datagram_received(data, addr)
        except (ValueError, LookupError, struct.error):
            self.receiver.dropped["stun"] += 1  # a crafted attribute
