"""Coverage-guided fuzzing of everything that reads bytes from the network.

``python tests/fuzz/fuzz_transport.py -max_total_time=60`` (libFuzzer's options apply). Needs
``pip install atheris``; the test suite runs it for a few seconds where that is installed. A
finding is any exception, any input that takes longer than 50 ms, and any broken round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris
from google_crc32c import value as crc32c

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(include=["transport", "aiortc.rtcsctptransport", "aioice.stun"]):
    from aioice import Candidate
    from aiortc import rtcsctptransport

    from engine.errors import SottovoceError
    from transport.control import encode_control, parse_control
    from transport.description import Role, pack_description, unpack_description
    from transport.guard import GuardedSctpTransport, harden_sctp
    from transport.ice import (
        MAX_DATAGRAM_BYTES,
        GuardedStunProtocol,
        IceConnection,
        IceHistory,
        IceSettings,
    )
    from transport.identity import ice_credentials
    from transport.invite import InviteError, decode_invite
    from transport.rtcp import parse_rtcp
    from transport.rtp import parse_rtp
    from transport.session import RtpSession
    from transport.ticket import ResumeTicket
    from transport.trace import parse_trace

SECRET = bytes(16)
SLOW_S = 0.05  # of CPU time for an input of up to fifty packets, with instrumentation

harden_sctp()
LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


def fuzz_control(data: bytes) -> None:
    message = parse_control(data)
    if message is not None and parse_control(encode_control(message)) != message:
        raise AssertionError(f"{message} does not come back")


def fuzz_description(data: bytes) -> None:
    description = unpack_description(data)
    if description is not None and pack_description(description) != data:
        raise AssertionError("two codes for one description")


def fuzz_invite(data: bytes) -> None:
    with contextlib.suppress(InviteError):
        decode_invite(data.decode("latin-1"), Role.CALLER)


def fuzz_session(data: bytes) -> None:
    """Packets cut from the input, one length byte each, at rising and falling times."""
    session = RtpSession()
    now_ms, at = 0.0, 0
    while at < len(data):
        length = data[at]
        packet = data[at + 1 : at + 1 + length]
        at += 1 + length
        now_ms += length
        session.on_rtp(packet, now_ms)
        session.on_rtcp(packet, now_ms)
        session.poll(now_ms)
    session.take_reports()
    stats = session.stats()
    if min(stats.phonemes.packets_lost, stats.opus.packets_lost) < 0:
        raise AssertionError("lost fewer than none")


def fuzz_packets(data: bytes) -> None:
    parse_rtp(data)
    parse_rtp(b"\x90\x61" + data)
    parse_rtcp(data)
    parse_rtcp(struct.pack("!BBH", 0x81, 200, max(len(data) // 4, 0)) + data)


def fuzz_sctp_params(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        rtcsctptransport.decode_params(data)


class _Quiet:
    """As much of a DTLS transport as SCTP needs."""

    state = "connected"
    _role = "client"

    async def _send_data(self, data: bytes) -> None:
        pass


async def _receive_sctp(chunks: bytes) -> None:
    sctp = GuardedSctpTransport(_Quiet())
    sctp._local_verification_tag = 7
    sctp._last_received_tsn = 100
    sctp._set_state(sctp.State.ESTABLISHED)
    for tag in (7, 0):
        head = struct.pack("!HHL", 5000, 5000, tag)
        checksum = struct.pack("<L", crc32c(head + bytes(4) + chunks))
        await sctp._handle_data(head + checksum + chunks)
    sctp._set_state(sctp.State.CLOSED)


def fuzz_sctp(data: bytes) -> None:
    LOOP.run_until_complete(_receive_sctp(data))


class _Socket:
    """As much of a UDP socket as STUN needs."""

    def sendto(self, data: bytes, addr: object = None) -> None:
        pass

    def is_closing(self) -> bool:
        return True


def _stun_end() -> GuardedStunProtocol:
    ice = IceConnection(
        Role.CALLEE, ice_credentials(SECRET), IceSettings(), IceHistory(), lambda: None
    )
    ice.admit = lambda data: 0 < len(data) <= MAX_DATAGRAM_BYTES  # type: ignore[method-assign]
    protocol = GuardedStunProtocol(ice)
    protocol.transport = _Socket()  # type: ignore[assignment]
    protocol.local_candidate = Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host")
    return protocol


def _signed(kind: int, attributes: bytes) -> bytes:
    """A STUN message with any attributes, but rightly signed: from a peer that means ill."""
    attributes = attributes[: len(attributes) // 4 * 4]
    username = f"{ice_credentials(SECRET)[0]}:peer".encode()
    body = struct.pack("!HH", 6, len(username)) + username + bytes(-len(username) % 4) + attributes
    head = struct.pack("!HHL", kind, len(body) + 24, 0x2112A442) + bytes(12)
    mac = hmac.digest(ice_credentials(SECRET)[1].encode(), head + body, "sha1")
    return head + body + struct.pack("!HH", 8, 20) + mac


async def _receive_stun(data: bytes) -> None:
    protocol = _stun_end()
    port = data[0] if data else 0
    for kind in (1, 0x101, 0x111):
        protocol.datagram_received(_signed(kind, data), ("127.0.0.1", port))
    protocol.datagram_received(data, ("127.0.0.1", port))
    protocol.datagram_received(b"\0\1" + data, ("127.0.0.1", port))


def fuzz_stun(data: bytes) -> None:
    LOOP.run_until_complete(_receive_stun(data))


def fuzz_texts(data: bytes) -> None:
    with contextlib.suppress(SottovoceError):
        parse_trace(data.decode("latin-1"))
    with contextlib.suppress(SottovoceError):
        ResumeTicket.from_bytes(data)


TARGETS: list[Callable[[bytes], None]] = [
    fuzz_control,
    fuzz_description,
    fuzz_invite,
    fuzz_session,
    fuzz_packets,
    fuzz_sctp_params,
    fuzz_sctp,
    fuzz_stun,
    fuzz_texts,
]


def one_input(data: bytes) -> None:
    if not data:
        return
    target = TARGETS[data[0] % len(TARGETS)]
    begun_s = time.thread_time()  # CPU time: other processes do not count
    target(data[1:])
    if time.thread_time() - begun_s > SLOW_S and len(data) <= 1500:
        raise AssertionError(f"{target.__name__} is too slow on {data.hex()}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
