"""Floods are bounded, and aiortc's SCTP no longer loops on a parameter of length 0."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aiortc import rtcsctptransport

from transport.bucket import TokenBucket
from transport.guard import decode_sctp_params, harden_sctp

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
