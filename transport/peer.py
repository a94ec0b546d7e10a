"""One peer connection: ICE, then DTLS pinned to the invite, then SRTP and one data channel.

aiortc's transports are put together without its peer connection, because both ends are this
program: no SDP, no codecs of aiortc's, no jitter buffer. Lives on one asyncio loop. When it is
lost it is thrown away, and ``RtcLink`` makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, cast

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    SRTP_AES128_CM_SHA1_80,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities
from OpenSSL import SSL

from transport.control import MAX_CONTROL_BYTES
from transport.description import PeerDescription, Role
from transport.guard import GuardedSctpTransport
from transport.ice import MAX_SOURCES, DatagramPort, IceConnection, IceSettings, source_of
from transport.identity import Identity, fingerprint_of, ice_credentials

SCTP_PORT = 5000
CONTROL_QUEUE = 64  # messages waiting for the channel; newer ones are dropped and counted
CONTROL_BUFFERED_BYTES = 8192  # more than this un-acknowledged: the far end does not keep up
FLIGHT_FIRST_S = 0.3
FLIGHT_LAST_S = 1.2
FLIGHT_REPEATS = 30
SETTLE_S = 0.05  # for the last datagrams to leave before the socket closes


class IdentityRefused(Exception):
    """The far end showed another certificate than the invite promised. Never try again."""


class _PinnedDtls(RTCDtlsTransport):
    """DTLS that takes only the pinned certificate, and hands SRTP payloads on undecoded.

    On a bad link the handshake would take OpenSSL's timers half a minute (1 s, 2 s, 4 s, …), so
    the last flight is repeated sooner than that, byte for byte, until the far end shows that it
    went on. DTLS drops the copies it did not need.
    """

    def __init__(
        self,
        port: DatagramPort,
        identity: Identity,
        fingerprint: bytes,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
    ) -> None:
        super().__init__(cast(Any, port), [identity.certificate])
        # an 80-bit tag: 6 bytes less a packet than the AES-GCM that aiortc prefers
        self._srtp_profiles = [SRTP_AES128_CM_SHA1_80]
        self._fingerprint = fingerprint
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._sources = port.sources
        self.refused = False
        self._flight = b""
        self._repeats = 0
        self._handshake_sent = False
        self._settled = False  # something only a finished handshake can have sent was received

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        connection: Any = self._ssl
        certificate = connection.get_peer_certificate(as_cryptography=True)
        shown = b"" if certificate is None else fingerprint_of(certificate)
        if not hmac.compare_digest(shown, self._fingerprint):
            self.refused = True
            self._set_state(State.FAILED)

    async def _write_ssl(self) -> None:
        connection: Any = self._ssl
        try:
            data = connection.bio_read(1500)
        except SSL.Error:
            return
        if not self._settled and not self._handshake_sent:
            self._flight = data
            self._repeats = 0
        await self.transport._send(data)

    async def finish_handshake(self) -> None:
        """Send what the handshake left to send, which aiortc only does with the next data."""
        await self._write_ssl()
        self._handshake_sent = True

    async def repeat_flights(self) -> None:
        """Run beside the handshake, and on until the far end is known to have finished."""
        while not self._settled and self._repeats < FLIGHT_REPEATS:
            repeats, flight = self._repeats, self._flight
            await asyncio.sleep(min(FLIGHT_FIRST_S * 1.5**repeats, FLIGHT_LAST_S))
            if flight and flight is self._flight and not self._settled:
                self._repeats = repeats + 1
                with contextlib.suppress(ConnectionError):
                    await self.transport._send(flight)

    def _authentic(self, data: bytes) -> None:
        self._settled = True
        source = source_of(data)
        if source is not None and len(self._sources) < MAX_SOURCES:
            self._sources.add(source)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self._authentic(data)
        self._on_rtp(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self._authentic(data)
        self._on_rtcp(data)

    async def _send_data(self, data: bytes) -> None:
        if self._state == State.CONNECTED:  # SCTP's timers may fire after the end
            await super()._send_data(data)


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
        ports: dict[str, int],
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
            role, ice_credentials(identity.secret), settings, ports, self._lose
        )
        self.port = DatagramPort(self.ice, role)
        self.lost = asyncio.Event()
        self.ended = False
        """The far end closed DTLS, which a crash or a bad link cannot do for it."""
        self._dtls: _PinnedDtls | None = None
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
        if not self.connected:
            # an authenticated goodbye, unless the socket went away under it
            self.ended = not self._closed and self.ice.nominated is not None
            self._lose()

    async def gather(self) -> None:
        await self.ice.gather_candidates()

    async def connect(self, remote: PeerDescription, extra: tuple[Candidate, ...] = ()) -> None:
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
        dtls = _PinnedDtls(
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
        self._channel = channel
        await sctp.start(RTCSctpCapabilities(MAX_CONTROL_BYTES), SCTP_PORT)

    # media

    async def send_media(self, data: bytes) -> None:
        """An RTP or RTCP packet; dropped and counted when there is no connection."""
        if self._dtls is None or not self.connected:
            self.dropped["unconnected"] += 1
            return
        try:
            await self._dtls._send_rtp(data)
        except ConnectionError:
            self.dropped["unconnected"] += 1

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
