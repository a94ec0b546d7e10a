"""Floods are bounded, and aiortc's SCTP no longer loops on a parameter of length 0."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
import time

import pytest
from aiortc import rtcsctptransport
from google_crc32c import value as crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from transport.bucket import TokenBucket
from transport.guard import GuardedSctpTransport, decode_sctp_params, harden_sctp

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
        sctp = GuardedSctpTransport(QuietTransport())
        sctp._local_verification_tag = 7
        sctp._last_received_tsn = 100
        sctp._set_state(sctp.State.ESTABLISHED)
        head = struct.pack("!HHL", 5000, 5000, tag)
        await sctp._handle_data(head + struct.pack("<L", crc32c(head + bytes(4) + chunks)) + chunks)
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
        (_chunk(0, 3, b"short"), "malformed"),
        (_chunk(1, 0, bytes(16)) + _chunk(1, 0, bytes(16)), "malformed"),
    ],
)
def test_what_an_honest_peer_never_sends_is_dropped(chunk: bytes, reason: str) -> None:
    assert _receive(chunk).dropped[reason] == 1


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
