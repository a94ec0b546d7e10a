"""One peer connection: ICE, then DTLS pinned to the invite, then SRTP and one data channel.

aiortc's transports are put together without its peer connection, because both ends are this
program: no SDP, no codecs of aiortc's, no jitter buffer. Lives on one asyncio loop. When it is
lost it is thrown away, and ``RtcLink`` makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace

import pylibsrtp
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    State,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities

from transport.control import MAX_CONTROL_BYTES
from transport.datagrams import DatagramPort
from transport.description import MAX_CANDIDATES, CandidateAddress, PeerDescription, Role
from transport.dtls import PinnedDtls
from transport.guard import GuardedSctpTransport
from transport.ice import IceConnection, IceHistory, IceSettings
from transport.identity import Identity, ice_credentials

SCTP_PORT = 5000
CONTROL_QUEUE = 64  # messages waiting for the channel; newer ones are dropped and counted
CONTROL_BUFFERED_BYTES = 8192  # more than this un-acknowledged: the far end does not keep up
GOODBYE_S = 1.0  # how long DTLS's goodbye may come after SCTP's
SETTLE_S = 0.05  # for the last datagrams to leave before the socket closes


class IdentityRefused(Exception):
    """The far end showed another certificate than the invite promised. Never try again."""


class PeerConnection:
    """From sockets to a connected call, once.

    ``on_rtp`` and ``on_rtcp`` get decrypted packets, ``on_control`` whole messages. ``control`` is
    sent first. ``lost`` is set when DTLS ended or the far end began anew.
    """

    def __init__(
        self,
        role: Role,
        identity: Identity,
        settings: IceSettings,
        history: IceHistory,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_control: Callable[[bytes], None],
        control: list[bytes],
    ) -> None:
        self._role = role
        self._identity = identity
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_control = on_control
        self.ice = IceConnection(
            role, ice_credentials(identity.secret), settings, history, self._lose
        )
        self.port = DatagramPort(self.ice, role)
        self.lost = asyncio.Event()
        self.ended = False
        """The far end closed DTLS, which a crash or a bad link cannot do for it."""
        self._dtls: PinnedDtls | None = None
        self._repeating: asyncio.Task[None] | None = None
        self._sctp: GuardedSctpTransport | None = None
        self._channel: RTCDataChannel | None = None
        self._waiting: deque[bytes] = deque(control)  # at most CONTROL_QUEUE; the newest is refused
        self._closed = False
        self.dropped: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        return self._dtls is not None and self._dtls._state == State.CONNECTED

    def _lose(self) -> None:
        if not self._closed:
            self.lost.set()

    def _dtls_changed(self) -> None:
        if self._dtls is not None and not self.connected:
            self.ended = not self._closed and self._dtls.heard_goodbye
            self._lose()

    def _channel_closed(self) -> None:
        """SCTP ended under a connection that lives: nothing can be said any more, so that it must
        be replaced, unless the far end is just hanging up."""
        if not self._closed:
            asyncio.get_running_loop().call_later(GOODBYE_S, self._lose)

    async def gather(self) -> None:
        await self.ice.gather_candidates()

    async def connect(self, remote: PeerDescription) -> None:
        """ICE, DTLS, SCTP. Raises ConnectionError when it did not work this time, and
        IdentityRefused when it must not be tried again."""
        self.ice.remote_username, self.ice.remote_password = remote.credentials
        for address in remote.candidates:
            await self.ice.add_remote_candidate(
                Candidate(
                    foundation=candidate_foundation(address.kind, "udp", address.host),
                    component=1,
                    transport="udp",
                    priority=candidate_priority(1, address.kind),
                    host=address.host,
                    port=address.port,
                    type=address.kind,
                )
            )
        await self.ice.add_remote_candidate(None)
        await self.ice.connect()
        dtls = PinnedDtls(
            self.port, self._identity, remote.fingerprint, self._on_rtp, self._on_rtcp
        )
        self._dtls = dtls
        dtls._set_role("server" if self._role is Role.CALLER else "client")
        pinned = RTCDtlsFingerprint("sha-256", remote.fingerprint.hex())
        self._repeating = asyncio.ensure_future(dtls.repeat_flights())
        await dtls.start(RTCDtlsParameters([pinned]))
        if dtls.refused:
            raise IdentityRefused
        if dtls._state != State.CONNECTED:
            raise ConnectionError("the DTLS handshake failed")
        await dtls.finish_handshake()
        self.ice.stop_consent_checks()
        dtls.on("statechange", self._dtls_changed)
        sctp = GuardedSctpTransport(dtls, SCTP_PORT)
        self._sctp = sctp
        channel = RTCDataChannel(
            sctp, RTCDataChannelParameters(label="control", negotiated=True, id=0)
        )
        channel.on("message", self._control_arrived)
        channel.on("open", self._flush_control)
        channel.on("close", self._channel_closed)
        self._channel = channel
        await sctp.start(RTCSctpCapabilities(MAX_CONTROL_BYTES), SCTP_PORT)

    def where_it_is(self, remote: PeerDescription) -> PeerDescription:
        """The far end's description with the address it was found at in front."""
        pair = self.ice.nominated
        if pair is None:
            return remote
        seen = CandidateAddress("srflx", pair.remote_addr[0], pair.remote_addr[1])
        others = [c for c in remote.candidates if (c.host, c.port) != (seen.host, seen.port)]
        return replace(remote, candidates=(seen, *others)[:MAX_CANDIDATES])

    def set_lossy(self, lossy: bool) -> None:
        """Whether control messages should be sent twice."""
        if self._dtls is not None:
            self._dtls.lossy = lossy

    # media

    async def send_media(self, data: bytes) -> None:
        """An RTP or RTCP packet; dropped and counted when there is no connection."""
        if self._dtls is None or not self.connected:
            self.dropped["unconnected"] += 1
            return
        try:
            await self._dtls._send_rtp(data)
        except (ConnectionError, pylibsrtp.Error):
            self.dropped["unconnected"] += 1

    def drops(self) -> Counter[str]:
        """What was refused or lost on the way from socket to packet, by reason."""
        total = self.dropped + self.port.dropped + self.ice.dropped
        for guard in (self._dtls, self._sctp):
            if guard is not None:
                total = total + guard.dropped
        return total

    # control

    def send_control(self, message: bytes) -> None:
        if len(self._waiting) >= CONTROL_QUEUE:
            self.dropped["control"] += 1
            return
        self._waiting.append(message)
        self._flush_control()

    def _flush_control(self) -> None:
        channel = self._channel
        while (
            self._waiting
            and channel is not None
            and channel.readyState == "open"
            and channel.bufferedAmount < CONTROL_BUFFERED_BYTES
        ):
            channel.send(self._waiting.popleft())

    def unsent_control(self) -> list[bytes]:
        """Messages that never reached the channel, for the next connection."""
        return list(self._waiting)

    def _control_arrived(self, message: bytes | str) -> None:
        if isinstance(message, bytes) and len(message) <= MAX_CONTROL_BYTES:
            self._on_control(message)
        else:
            self.dropped["oversize"] += 1
        self._flush_control()

    # the end

    async def close(self, abrupt: bool = False) -> None:
        """Close everything; ``abrupt`` without telling the far end, as a crash would."""
        self._closed = True
        self._waiting.clear()
        if self._repeating is not None:
            self._repeating.cancel()
        if self._sctp is not None:
            if abrupt:
                self._sctp._set_state(self._sctp.State.CLOSED)
            else:
                await self._sctp.stop()
        if self._dtls is not None:
            pump = self._dtls._task
            if abrupt and pump is not None:
                self._dtls._task = None
                pump.cancel()
            elif not abrupt:
                with contextlib.suppress(ConnectionError):
                    await self._dtls.stop()
                await asyncio.sleep(SETTLE_S)
            if pump is not None:
                await asyncio.gather(pump, return_exceptions=True)
            self._dtls.remove_all_listeners()
        self.port.close()
        await self.ice.close()
