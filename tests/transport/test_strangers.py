"""What comes from anybody but the peer, or from a peer that means ill, changes nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from typing import Any

import pytest

from tests.transport.pairs import Pair, lose_socket, on_its_thread
from transport.ice import DATAGRAMS_PER_S, MAX_QUEUED, MAX_REMOTE_CANDIDATES, clock_ms
from transport.link import MediaPacket
from transport.peer import CONTROL_QUEUE, PeerConnection
from transport.rtc import CONTROL_BURST
from transport.state import LinkState

pytestmark = pytest.mark.network


@pytest.mark.parametrize("deceived", ["caller", "callee"])
def test_a_wrong_certificate_ends_the_call_before_a_word_is_sent(pair: Pair, deceived: str) -> None:
    described = {name: link.gather().result(10) for name, link in pair.links.items()}
    other = {"caller": "callee", "callee": "caller"}
    for name, link in pair.links.items():
        far = described[other[name]]
        wrong = dataclasses.replace(far, fingerprint=far.fingerprint[:-1] + b"?")
        link.connect(wrong if name == deceived else far)
    link = pair.links[deceived]
    pair.wait(lambda: link.state is LinkState.FAILED)
    assert "certificate" in (link.failure or "")
    link.send("phonemes", 0, b"secret", clock_ms())
    time.sleep(0.2)
    pair.drain()
    assert pair.heard[other[deceived]] == []
    assert link.drops()["unconnected"] == 1


def test_datagrams_from_strangers_change_nothing(pair: Pair) -> None:
    pair.connect()
    port = pair.callee.gather().result(5).candidates[0].port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (
            b"",
            b"\x80",
            b"\x16\xfe\xff" + bytes(40),  # DTLS
            b"\x80\x61" + bytes(40),  # SRTP without a key
            b"\x80\xc8" + bytes(40),  # SRTCP
            b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),  # a STUN request without anything
            bytes(1600),
        ):
            stranger.sendto(data, ("127.0.0.1", port))
        time.sleep(0.1)
        for n in range(5):
            pair.caller.send("phonemes", n, b"unmoved", clock_ms())
        pair.wait(lambda: len(pair.heard["callee"]) == 5)
        assert {p.payload for p in pair.heard["callee"]} == {b"unmoved"}
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody who is not known is answered
            stranger.recv(2000)
    assert pair.callee.drops()["size"] == 2
    assert pair.callee.drops()["stun"] == 1


def test_a_flood_of_datagrams_is_cut_and_what_nobody_reads_is_bounded(pair: Pair) -> None:
    pair.caller.gather().result(5)

    def flood(peer: PeerConnection) -> tuple[int, int]:
        ice = peer.ice
        passed = sum(ice.admit(b"datagram") for _ in range(10_000))
        for _ in range(1000):
            ice.data_received(b"datagram", 1)
        return passed, ice._queue.qsize()

    passed, waiting = on_its_thread(pair.caller, flood)
    assert passed < 2 * DATAGRAMS_PER_S and waiting == MAX_QUEUED
    assert pair.caller.drops()["flood"] > 8_000


def test_a_flood_of_control_messages_is_cut_and_what_nobody_takes_is_bounded(pair: Pair) -> None:
    pair.connect()
    for _ in range(2):
        on_its_thread(pair.callee, lambda _: [pair.callee._on_control(b"x") for _ in range(1000)])
        assert len(pair.callee.receive_control()) <= CONTROL_BURST + 5
    assert pair.callee.drops()["control flood"] > 1800
    on_its_thread(pair.caller, lambda peer: [peer.send_control(b"x" * 500) for _ in range(1000)])
    on_its_thread(pair.callee, lambda peer: peer._control_arrived(b"x" * 513))
    assert pair.callee.drops()["oversize"] == 1
    kept = on_its_thread(pair.caller, lambda peer: len(peer.unsent_control()))
    assert kept <= CONTROL_QUEUE and pair.caller.drops()["control"] > 800


def test_a_far_end_with_ever_new_sources_is_not_looked_at(pair: Pair) -> None:
    pair.connect()
    sending = pair.caller._session._sending["phonemes"]
    for n in range(40):
        sending.ssrc = 1000 + n
        pair.caller.send("phonemes", n, b"x", clock_ms())
        time.sleep(0.005)
    pair.wait(lambda: pair.callee.drops()["source"] > 8)
    assert len(pair.heard["callee"]) < 32


def test_a_datagram_that_upsets_the_program_costs_that_datagram(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pair.connect()
    session = pair.callee._session
    on_rtp = session.on_rtp

    def upset(data: bytes, now_ms: float) -> MediaPacket | None:
        if data.endswith(b"fault"):
            raise RuntimeError("a fault that nobody thought of")
        return on_rtp(data, now_ms)

    monkeypatch.setattr(session, "on_rtp", upset)
    for payload in (b"a fault", b"words"):
        pair.caller.send("phonemes", 0, payload, clock_ms())
    pair.wait(lambda: [p.payload for p in pair.heard["callee"]] == [b"words"])
    assert pair.callee.drops()["unexpected"] == 1
    assert pair.both(LinkState.CONNECTED)() and pair.callee.reconnections == 0
    assert "could not be handled" in caplog.text


class Recorder:
    """Every STUN request that leaves any socket of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.requests: dict[int, list[bytes]] = {}
        """By the port they were sent to."""
        transport = asyncio.selector_events._SelectorDatagramTransport
        sendto = transport.sendto

        def tap(this: Any, data: bytes, addr: Any = None) -> None:
            if data[:2] == b"\0\1":
                self.requests.setdefault(addr[1], []).append(data)
            sendto(this, data, addr)

        monkeypatch.setattr(transport, "sendto", tap)

    def replay(self, port: int, sockets: int = 1) -> None:
        """Everything that went to a port, from each of some new addresses."""
        for _ in range(sockets):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for request in set(self.requests[port]):
                    stranger.sendto(request, ("127.0.0.1", port))


def test_checks_of_an_earlier_connection_do_not_end_this_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    pair.connect()
    ports = [link.gather().result(5).candidates[0].port for link in pair.links.values()]
    on_its_thread(pair.caller, lose_socket)
    pair.wait(lambda: max(link.reconnections for link in pair.links.values()) == 1)
    pair.wait(pair.both(LinkState.CONNECTED))
    time.sleep(0.3)
    before = [link.reconnections for link in pair.links.values()]
    for port in ports:
        recorder.replay(port)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert pair.both(LinkState.CONNECTED)()
        time.sleep(0.02)
    assert [link.reconnections for link in pair.links.values()] == before
    assert sum(link.drops()["replay"] for link in pair.links.values()) > 0


def test_a_check_sent_again_from_a_hundred_addresses_is_not_answered_to_all(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    pair.connect()
    port = pair.callee.gather().result(5).candidates[0].port
    recorder.replay(port, sockets=100)
    pair.wait(lambda: pair.callee.drops()["candidates"] > 50)
    known = on_its_thread(pair.callee, lambda peer: len(peer.ice.remote_candidates))
    assert known <= MAX_REMOTE_CANDIDATES
    pair.caller.send("phonemes", 0, b"unmoved", clock_ms())
    pair.wait(lambda: bool(pair.heard["callee"]))
    assert pair.both(LinkState.CONNECTED)()
