"""A call whose ends may only meet at a TURN server, with a real one on this machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from transport.description import Role
from transport.ice import IceSettings, clock_ms
from transport.rtc import RtcLink
from transport.state import LinkState, RtcSettings

TURNSERVER = shutil.which("turnserver")

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        TURNSERVER is None, reason="no TURN server here: apt-get install coturn to run this"
    ),
]


@pytest.fixture
def turn_port(tmp_path: Path) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(TURNSERVER),
        *("--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}"),
        *("--user=ada:secret", "--realm=sottovoce", "--lt-cred-mech", "--allow-loopback-peers"),
        *("--no-tls", "--no-dtls", "--no-cli", "--no-tcp", "--no-tcp-relay"),
        *("--min-port=49500", "--max-port=49600", "--log-file=stdout", "--simple-log"),
        *(f"--pidfile={tmp_path}/turn.pid", f"--userdb={tmp_path}/turn.db"),
    ]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    time.sleep(0.5)
    if server.poll() is not None:
        pytest.skip("the TURN server does not start on this machine")
    yield port
    server.terminate()
    server.wait(10)


def relayed(port: int, password: str) -> RtcSettings:
    """Offers nothing but the server's address."""
    server = f"turn:127.0.0.1:{port}?transport=udp"
    return RtcSettings(
        IceSettings(turn=server, turn_username="ada", turn_password=password, relay_only=True),
        connect_for_s=20,
    )


def test_relayed_addresses_alone_carry_a_call(turn_port: int) -> None:
    settings = relayed(turn_port, "secret")
    caller, callee = RtcLink(Role.CALLER, settings), RtcLink(Role.CALLEE, settings)
    try:
        offer, answer = caller.gather().result(10), callee.gather().result(10)
        assert {c.kind for c in offer.candidates + answer.candidates} == {"relay"}
        callee.connect(offer)
        caller.connect(answer)
        heard: list[bytes] = []
        end = time.monotonic() + 20
        while len(heard) < 5 and time.monotonic() < end:
            if caller.state is callee.state is LinkState.CONNECTED:
                caller.send("phonemes", 0, b"by way of the relay", clock_ms())
            heard += [packet.payload for packet in callee.receive(clock_ms())]
            time.sleep(0.05)
        assert heard[:5] == [b"by way of the relay"] * 5
    finally:
        caller.close()
        callee.close()


def test_a_wrong_password_leaves_no_address_to_offer(turn_port: int) -> None:
    link = RtcLink(Role.CALLER, relayed(turn_port, "wrong"))
    try:
        assert link.gather().result(10).candidates == ()
        assert link.drops()["server"] == 1
    finally:
        link.close()
