"""Floods are bounded, and aiortc's SCTP no longer loops on a parameter of length 0."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import time

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, rtcsctptransport
from aiortc.rtcsctptransport import RTCSctpCapabilities
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.bucket import TokenBucket
from transport.guard import (
    MAX_CHUNKS,
    MAX_WAITING_CHUNKS,
    SCTP_RTO_MAX_S,
    GuardedSctpTransport,
    decode_sctp_params,
    harden_sctp,
)

# an INIT chunk whose one optional parameter declares length 0
HOSTILE = """
import resource, struct, sys
from google_crc32c import value as crc32c
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from aiortc import rtcsctptransport
if sys.argv[1] == "guarded":
    from transport.guard import harden_sctp
    harden_sctp()
body = struct.pack("!LLHHL", 1, 1024, 1, 1, 1) + struct.pack("!HH", 7, 0)
chunk = struct.pack("!BBH", 1, 0, 4 + len(body)) + body
head = struct.pack("!HHL", 5000, 5000, 0)
packet = head + struct.pack("<L", crc32c(head + bytes(4) + chunk)) + chunk
print("begin", flush=True)
try:
    rtcsctptransport.parse_packet(packet)
except ValueError:
    print("refused")
"""


def _parse_hostile(mode: str, timeout_s: float) -> str:
    run = subprocess.run(
        [sys.executable, "-c", HOSTILE, mode],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return run.stdout


def test_aiortc_alone_never_ends_on_a_parameter_of_length_zero() -> None:
    # it either spins until the clock stops it or fills the memory it was given
    try:
        output = _parse_hostile("bare", 5.0)
    except subprocess.TimeoutExpired as stopped:
        output = (stopped.stdout or b"").decode()
    assert output.startswith("begin")
    assert "refused" not in output


def test_the_guard_refuses_that_packet_at_once() -> None:
    assert "refused" in _parse_hostile("guarded", 60.0)


def test_good_parameters_are_read_as_before() -> None:
    params = [(7, b"cookie"), (0xC000, b""), (0x8008, b"\xc0\x82")]
    assert decode_sctp_params(rtcsctptransport.encode_params(params)) == params
    harden_sctp()
    assert rtcsctptransport.decode_params is decode_sctp_params


@pytest.mark.parametrize(
    "body",
    [b"\x00\x07\x00\x00", b"\x00\x07\x00\x03", b"\x00\x07\x00\xff", b"\x00\x07\x00\x04" * 65],
)
def test_bad_parameters_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        decode_sctp_params(body)


class QuietTransport:
    """As much of a DTLS transport as SCTP needs."""

    state = "connected"
    _role = "client"

    def __init__(self) -> None:
        self.sent = 0

    async def _send_data(self, data: bytes) -> None:
        self.sent += 1


def _receive(chunks: bytes, tag: int = 7) -> GuardedSctpTransport:
    """An established association that gets one packet with these chunks."""

    async def run() -> GuardedSctpTransport:
        sctp = _established()
        await sctp._handle_data(_packet(chunks, tag))
        await asyncio.sleep(0)
        sctp._set_state(sctp.State.CLOSED)
        return sctp

    return asyncio.run(run())


def _chunk(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


def test_an_acknowledgement_of_everything_is_not_listed_number_by_number() -> None:
    gaps = struct.pack("!HH", 0, 65_535) * 300
    begun = time.thread_time()
    sctp = _receive(_chunk(3, 0, struct.pack("!LLHH", 2**32 - 1, 1000, 300, 0) + gaps))
    assert time.thread_time() - begun < 0.2
    assert sctp.dropped["sack"] == 1


@pytest.mark.parametrize(
    ("chunk", "reason"),
    [
        (_chunk(192, 0, struct.pack("!LHH", 200, 5, 5)), "chunk"),  # FORWARD-TSN
        (_chunk(130, 0, struct.pack("!HHLLLH", 13, 18, 1, 1, 1, 0)), "chunk"),  # a stream reset
        (_chunk(0, 3, struct.pack("!LHHL", 101, 9, 0, 53) + b"x"), "stream"),
        (_chunk(0, 3, struct.pack("!LHHL", 101, 0, 0, 50) + b"\x03" + bytes(11)), "channel"),
        (_chunk(0, 2, struct.pack("!LHHL", 101, 0, 0, 53) + b"begin"), "fragment"),
        (_chunk(0, 1, struct.pack("!LHHL", 101, 0, 0, 53) + b"end"), "fragment"),
        (_chunk(0, 3, b"short"), "malformed"),
        (_chunk(4, 0, b"") * 300, "oversize"),  # each heartbeat would be answered
        (_chunk(1, 0, bytes(16)) + _chunk(1, 0, bytes(16)), "malformed"),
    ],
)
def test_what_an_honest_peer_never_sends_is_dropped(chunk: bytes, reason: str) -> None:
    assert _receive(chunk).dropped[reason] == 1


def test_an_established_association_is_not_begun_anew() -> None:
    sctp = _receive(_chunk(1, 0, struct.pack("!LLHHL", 9, 1024, 1, 1, 5000)), tag=0)
    assert sctp.dropped["init"] == 1 and sctp._last_received_tsn == 100


def _established() -> GuardedSctpTransport:
    sctp = GuardedSctpTransport(QuietTransport())
    sctp._local_verification_tag = 7
    sctp._last_received_tsn = 100
    sctp._remote_port = 5000
    sctp._set_state(sctp.State.ESTABLISHED)
    return sctp


def _packet(chunks: bytes, tag: int = 7) -> bytes:
    head = struct.pack("!HHL", 5000, 5000, tag)
    return head + struct.pack("<L", crc32c(head + bytes(4) + chunks)) + chunks


def _data(tsn: int, sequence: int, text: bytes, flags: int = 3) -> bytes:
    return _chunk(0, flags, struct.pack("!LHHL", tsn, 0, sequence, 53) + text)


@pytest.mark.parametrize(
    ("flags", "sequence", "step"),
    [(0, 0, 1), (3, 500, 1), (3, 500, 2), (7, 500, 2)],
    ids=["fragments", "from the future", "with holes", "unordered with holes"],
)
def test_messages_that_never_end_or_never_come_fill_no_memory(
    flags: int, sequence: int, step: int
) -> None:
    async def run() -> int:
        sctp = _established()
        for n in range(3000):
            first = 2 if not flags and not n else flags
            await sctp._handle_data(_packet(_data(101 + step * n, sequence, bytes(900), first)))
        kept = sum(len(stream.reassembly) for stream in sctp._inbound_streams.values())
        kept = max(kept, len(sctp._sack_misordered))
        sctp._set_state(sctp.State.CLOSED)
        return kept

    assert asyncio.run(run()) <= MAX_WAITING_CHUNKS


def test_the_message_that_all_others_wait_for_is_taken_however_many_those_are() -> None:
    async def run() -> list[bytes]:
        heard: list[bytes] = []
        sctp = _established()
        channel = RTCDataChannel(sctp, RTCDataChannelParameters(negotiated=True, id=0))
        channel.on("message", heard.append)
        for n in (*range(1, 200), 0, *range(1, 200)):
            await sctp._handle_data(_packet(_data(101 + n, n, b"%d" % n)))
        sctp._set_state(sctp.State.CLOSED)
        return heard

    assert asyncio.run(run()) == [b"%d" % n for n in range(200)]


class Wire:
    """A DTLS transport that hands what is sent to the other end's SCTP, in order."""

    state = "connected"

    def __init__(self, role: str) -> None:
        self._role = role
        self.sent: list[bytes] = []
        self.other: GuardedSctpTransport | None = None

    def _register_data_receiver(self, receiver: object) -> None:
        pass

    def _unregister_data_receiver(self, receiver: object) -> None:
        pass

    async def _send_data(self, data: bytes) -> None:
        self.sent.append(data)
        if self.other is not None:
            asyncio.get_running_loop().create_task(self.other._handle_data(data))


def test_an_opening_that_arrives_again_much_later_leaves_nothing_unacknowledged() -> None:
    async def run() -> tuple[list[bytes], int]:
        heard: list[bytes] = []
        wires = (Wire("client"), Wire("server"))
        ends = [GuardedSctpTransport(wire) for wire in wires]
        wires[0].other, wires[1].other = ends[1], ends[0]
        channels = [
            RTCDataChannel(end, RTCDataChannelParameters(negotiated=True, id=0)) for end in ends
        ]
        channels[1].on("message", heard.append)
        for end in ends:
            await end.start(RTCSctpCapabilities(512), 5000)
        while channels[0].readyState != "open" or channels[1].readyState != "open":
            await asyncio.sleep(0.01)
        opening = next(data for data in wires[0].sent if data[12] == 1)
        for n in range(6):
            channels[0].send(b"%d" % n)
            await asyncio.sleep(0.01)
            if n == 2:
                await ends[1]._handle_data(opening)
        await asyncio.sleep(0.1)
        unacknowledged = len(ends[0]._sent_queue)
        for end in ends:
            await end.stop()
        return heard, unacknowledged

    assert asyncio.run(run()) == ([b"%d" % n for n in range(6)], 0)


def test_what_is_not_answered_is_repeated_ever_more_seldom() -> None:
    class Clock:
        """Timers that are only noted."""

        def __init__(self) -> None:
            self.waits_s: list[float] = []

        def call_later(self, wait_s: float, call: object) -> object:
            self.waits_s.append(wait_s)
            return asyncio.get_running_loop().call_later(60.0, lambda: None)

    async def run() -> list[float]:
        sctp = GuardedSctpTransport(QuietTransport())
        clock = sctp._loop = Clock()
        sctp._remote_port = 5000
        await sctp._init()
        for _ in range(8):
            sctp._t1_handle.cancel()
            sctp._t1_expired()
            await asyncio.sleep(0)
        sctp._set_state(sctp.State.CLOSED)
        return clock.waits_s

    waits_s = asyncio.run(run())
    assert waits_s == sorted(waits_s) and waits_s[0] <= 0.5
    assert waits_s[-1] == SCTP_RTO_MAX_S


LARGEST = {
    "acknowledgements": _chunk(3, 0, struct.pack("!LLHHHH", 2**32 - 1, 1000, 1, 0, 1, 500)) * 8,
    "many acknowledgements": _chunk(3, 0, struct.pack("!LLHHHH", 2**32 - 1, 1, 1, 0, 1, 500)) * 70,
    "heartbeats": _chunk(4, 0, b"") * 360,
    "echoes": _chunk(4, 0, bytes(170)) * 8,
    "messages": b"".join(_data(101 + n, n, bytes(160)) for n in range(8)),
    "cookies": _chunk(10, 0, bytes(24)) * 50,
    "parameters": _chunk(1, 0, struct.pack("!LLHHL", 1, 1024, 1, 1, 1) + b"\0\7\0\4" * 64),
}


@pytest.mark.parametrize("chunks", LARGEST.values(), ids=LARGEST.keys())
def test_no_packet_of_control_takes_a_millisecond_or_is_answered_by_many(chunks: bytes) -> None:
    async def run() -> tuple[float, int]:
        taken_ms, answers = [], 0
        for _ in range(15):
            sctp = _established()
            packet = _packet(chunks, 0 if chunks[0] == 1 else 7)
            begun_s = time.thread_time()
            await sctp._handle_data(packet)
            taken_ms.append((time.thread_time() - begun_s) * 1000.0)
            answers = sctp.transport.sent
            sctp._set_state(sctp.State.CLOSED)
        return min(taken_ms), answers

    taken_ms, answers = asyncio.run(run())
    assert taken_ms < 1.0
    assert answers <= MAX_CHUNKS


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192]),
            st.integers(0, 7),
            st.binary(max_size=60),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([7, 0]),
)
@settings(max_examples=200, deadline=None)
def test_no_chunk_breaks_the_association(chunks: list[tuple[int, int, bytes]], tag: int) -> None:
    _receive(b"".join(_chunk(*chunk) for chunk in chunks), tag)


def test_a_token_bucket_passes_its_rate_and_one_burst() -> None:
    bucket = TokenBucket(rate_per_s=10, burst=5)
    passed = sum(bucket.allow(ms) for ms in range(10_000))
    assert passed == pytest.approx(105, abs=1)
    assert bucket.refused == 10_000 - passed


def test_a_clock_that_jumps_back_earns_no_tokens() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=1)
    assert bucket.allow(1000.0)
    assert not bucket.allow(0.0)
    assert not bucket.allow(500.0)
