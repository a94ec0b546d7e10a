"""DTLS of one connection, pinned to the certificate of the invite, quick on links that lose half.

Decrypted RTP and RTCP go out by callback as they are; aiortc's own parsing, routing and codecs are
left out. A wrong certificate fails the handshake before any key is made.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from aiortc.rtcdtlstransport import (
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL
from pylibsrtp import Policy

from transport.datagrams import MAX_SOURCES, DatagramPort, source_of
from transport.identity import Identity, fingerprint_of

log = logging.getLogger(__name__)

RECORD_REPEAT_S = 0.12
FLIGHT_FIRST_S = 0.3
FLIGHT_LAST_S = 1.2
FLIGHT_REPEATS = 30
QUICK_REPEATS = 4  # enough where half is lost; a slow link chokes on more
FLIGHT_BPS = 4_000.0  # from then on, so that a link of 4 kb/s has room for the answer

SRTP_AES128_CM_SHA1_32 = SRTPProtectionProfile(
    libsrtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    openssl_profile=b"SRTP_AES128_CM_SHA1_32",
    key_length=16,
    salt_length=14,
)
"""RFC 5764's profile for voice where headers weigh: 4-byte tags on media, 10-byte ones on RTCP. Twelve
bytes less a packet than AES-GCM. One forged packet in four billion would pass, and its words
would contradict the authentic copies around it (RFC 3711, section 9.5.1)."""


class PinnedDtls(RTCDtlsTransport):
    """DTLS that takes only the pinned certificate, and hands SRTP payloads on undecoded.

    On a bad link the handshake would take OpenSSL's timers half a minute (1 s, 2 s, 4 s, …), so
    the last flight is repeated sooner than that, byte for byte, until the far end shows that it
    went on. On a ``lossy`` link the data channel's records are sent twice as well, because SCTP's
    own timers make a message late by half a second for each loss. DTLS drops the copies it did
    not need.
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
        self._srtp_profiles = [SRTP_AES128_CM_SHA1_32]
        self._fingerprint = fingerprint
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._sources = port.sources
        self._port = port
        self.lossy = True  # until it is known better: a call should begin quickly
        self.refused = False
        self._flight = b""
        self._repeats = 0
        self._handshake_sent = False
        self._settled = False  # something only a finished handshake can have sent was received
        self.dropped: Counter[str] = Counter()

    @property
    def heard_goodbye(self) -> bool:
        """Whether the far end closed DTLS, which neither a crash nor a bad link can do for it."""
        connection: Any = self._ssl
        return connection is not None and bool(connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    async def _recv_next(self) -> None:
        """One datagram. What goes wrong with it costs that datagram and not the call."""
        try:
            await super()._recv_next()
        except (ConnectionError, SSL.Error):
            raise  # the end, or the handshake's
        except Exception:
            if not self.dropped["unexpected"]:
                log.warning("a datagram could not be handled", exc_info=True)
            self.dropped["unexpected"] += 1

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
        elif self.lossy and self._state == State.CONNECTED:
            self._port.transmit_again(RECORD_REPEAT_S, data)
        self._port.transmit(data)

    async def finish_handshake(self) -> None:
        """Send what the handshake left to send, which aiortc only does with the next data."""
        await self._write_ssl()
        self._handshake_sent = True

    async def repeat_flights(self) -> None:
        """Run beside the handshake, and on until the far end is known to have finished."""
        while not self._settled and self._repeats < FLIGHT_REPEATS:
            repeats, flight = self._repeats, self._flight
            wait_s = min(FLIGHT_FIRST_S * 1.5**repeats, FLIGHT_LAST_S)
            if repeats >= QUICK_REPEATS:
                wait_s = max(wait_s, len(flight) * 8 / FLIGHT_BPS)
            await asyncio.sleep(wait_s)
            if flight and flight is self._flight and not self._settled:
                self._repeats = repeats + 1
                self._port.transmit(flight)

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
