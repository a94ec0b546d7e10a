"""Two real links over UDP sockets on this machine: media, control, accounting, closing."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import threading
import time

import pytest

from engine.errors import SottovoceError
from engine.events import VoiceDescriptor
from tests.transport.pairs import LOCAL, Pair
from transport.control import Hello, VoiceUpdate, encode_control
from transport.description import PeerDescription, Role
from transport.ice import IceSettings, clock_ms
from transport.impair import ImpairmentSettings
from transport.link import Link
from transport.reports import ReceiverReport
from transport.rtc import RtcLink
from transport.state import LinkState

pytestmark = pytest.mark.network


def test_both_arms_and_control_cross_in_both_directions(pair: Pair) -> None:
    pair.connect()
    links: list[Link] = [pair.caller, pair.callee]
    for n in range(20):
        for link in links:
            link.send("phonemes", 3200 * n, bytes((n, 1)), clock_ms())
            link.send("opus", 960 * n, bytes((n, 2)), clock_ms())
    pair.caller.send_control(encode_control(Hello("Ada")))
    voice = encode_control(VoiceUpdate(VoiceDescriptor(0, 90, (1, 2, 3))))
    pair.callee.send_control(voice)
    pair.wait(
        lambda: (
            len(pair.heard["caller"]) == len(pair.heard["callee"]) == 40
            and bool(pair.controls["caller"] and pair.controls["callee"])
        )
    )
    for heard in pair.heard.values():
        phonemes = [p for p in heard if p.arm == "phonemes"]
        assert [p.payload for p in phonemes] == [bytes((n, 1)) for n in range(20)]
        first = phonemes[0].sequence_number
        assert [p.sequence_number for p in phonemes] == list(range(first, first + 20))
    assert pair.controls["callee"] == [encode_control(Hello("Ada"))]
    assert pair.controls["caller"] == [voice]


def test_wire_bytes_are_those_that_leave_the_socket(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []  # (local port, bytes) of every SRTP and SRTCP datagram
    sendto = asyncio.selector_events._SelectorDatagramTransport.sendto

    def tap(self: object, data: bytes, addr: object = None) -> None:
        if data and 128 <= data[0] < 192:
            seen.append((self.get_extra_info("sockname")[1], len(data)))
        sendto(self, data, addr)

    monkeypatch.setattr(asyncio.selector_events._SelectorDatagramTransport, "sendto", tap)
    pair.connect()
    port = pair.caller.gather().result(5).candidates[0].port
    for n in range(30):
        pair.caller.send("phonemes", 3200 * n, bytes(25), clock_ms())
        pair.caller.send("opus", 960 * n, bytes(45), clock_ms())
        pair.caller.send_control(encode_control(ReceiverReport(acked_index=n)))
        pair.drain()
        time.sleep(0.05)
    pair.wait(lambda: len(pair.heard["callee"]) == 60)
    time.sleep(0.1)
    pair.caller.close()
    stats = pair.caller.stats(clock_ms())
    counted = stats.phonemes.wire_bytes_sent + stats.opus.wire_bytes_sent
    assert counted == sum(size + 28 for at, size in seen if at == port)
    assert stats.phonemes.payload_bytes_sent == 30 * 25
    assert stats.opus.payload_bytes_sent == 30 * 45


def test_twenty_percent_loss_loses_a_fifth_of_each_arm_and_no_control(pair: Pair) -> None:
    pair.connect()
    for link in pair.links.values():
        link.set_impairment(ImpairmentSettings(loss=0.2, delay_ms=30, jitter_ms=15))
    time.sleep(0.1)
    sent = [encode_control(Hello(f"name {n}")) for n in range(10)]
    for n in range(200):
        pair.caller.send("phonemes", 160 * n, bytes(30), clock_ms())
        pair.caller.send("opus", 480 * n, bytes(30), clock_ms())
        if n % 20 == 0:
            pair.caller.send_control(sent[n // 20])
        pair.drain()
        time.sleep(0.01)
    pair.wait(lambda: len(pair.controls["callee"]) == 10)
    assert pair.controls["callee"] == sent
    for arm in ("phonemes", "opus"):
        heard = [p for p in pair.heard["callee"] if p.arm == arm]
        assert 0.68 < len(heard) / 200 < 0.92
        stats = getattr(pair.callee.stats(clock_ms()), arm)
        assert stats.packets_lost == pytest.approx(200 - len(heard), abs=6)
    pair.wait(lambda: pair.caller.stats(0.0).round_trip_ms is not None)
    assert 25 < (pair.caller.stats(0.0).round_trip_ms or 0.0) < 200


def test_outages_and_drift_begin_when_the_impairment_is_set(pair: Pair) -> None:
    # and not at the zero of the machine's clock, which may be months ago
    pair.connect()
    pair.caller.set_impairment(ImpairmentSettings(loss=0.05, burst_ms=20, drift_ppm=2000))
    time.sleep(0.05)
    for n in range(20):
        pair.caller.send("phonemes", n, b"soon", clock_ms())
        time.sleep(0.02)
    pair.wait(lambda: len(pair.heard["callee"]) > 10, 1.0)


def test_hanging_up_ends_the_other_side_too(pair: Pair) -> None:
    pair.connect()
    pair.caller.close()
    pair.wait(lambda: pair.callee.state is LinkState.CLOSED, 5)


def test_nobody_there_fails_with_advice() -> None:
    settings = dataclasses.replace(LOCAL, connect_for_s=0.5)
    link = RtcLink(Role.CALLEE, settings)
    try:
        nowhere = link.gather().result(5)
        gone = dataclasses.replace(nowhere.candidates[0], port=9)
        link.connect(PeerDescription(Role.CALLER, nowhere.secret, nowhere.fingerprint, (gone,)))
        end = time.monotonic() + 60
        while link.state is not LinkState.FAILED and time.monotonic() < end:
            time.sleep(0.05)
        assert "cannot be reached" in (link.failure or "")
    finally:
        link.close()


def test_a_server_that_does_not_answer_is_named_in_the_advice() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        ice = dataclasses.replace(LOCAL.ice, stun=server)
        link = RtcLink(Role.CALLEE, dataclasses.replace(LOCAL, ice=ice, connect_for_s=0.5))
        try:
            mine = link.gather().result(10)
            assert [c.kind for c in mine.candidates] == ["host"]
            gone = dataclasses.replace(mine.candidates[0], port=9)
            link.connect(dataclasses.replace(mine, role=Role.CALLER, candidates=(gone,)))
            end = time.monotonic() + 20
            while link.state is not LinkState.FAILED and time.monotonic() < end:
                time.sleep(0.05)
            assert "account" in (link.failure or "")
        finally:
            link.close()


def test_closing_leaves_no_thread_socket_or_complaint(caplog: pytest.LogCaptureFixture) -> None:
    threads = threading.active_count()
    with caplog.at_level(logging.WARNING):
        pair = Pair().connect()
        pair.caller.set_impairment(ImpairmentSettings(delay_ms=500))
        for n in range(20):
            pair.caller.send("phonemes", n, bytes(20), clock_ms())
        ports = [link.gather().result(5).candidates[0].port for link in pair.links.values()]
        pair.close()
        pair.close()
        never = RtcLink(Role.CALLER, LOCAL)
        never.gather().result(5)
        never.close()
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))
    assert threading.active_count() == threads
    assert caplog.records == []
    pair.caller.send("phonemes", 0, b"", 0.0)
    pair.caller.send_control(b"x")
    assert pair.caller.receive(0.0) == []


def test_a_link_may_be_closed_from_its_own_callback() -> None:
    threads = threading.active_count()
    closed = threading.Event()

    def on_state(state: LinkState) -> None:
        if state is LinkState.READY:
            link.close()
        elif state is LinkState.CLOSED:
            closed.set()

    link = RtcLink(Role.CALLER, LOCAL, on_state=on_state)
    link.gather()
    assert closed.wait(5)
    end = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == threads


def test_what_was_said_before_the_connection_is_heard_after_it(pair: Pair) -> None:
    pair.caller.gather().result(5)
    early = [encode_control(Hello(f"early {n}")) for n in range(5)]
    for message in early:
        pair.caller.send_control(message)
    pair.connect()
    pair.wait(lambda: pair.controls["callee"] == early)


@pytest.mark.parametrize(
    "fields",
    [
        {"stun": "example.org"},
        {"turn": "stun:example.org"},
        {"relay_only": True},
        {"addresses": ("localhost",)},
        {"port": 70_000},
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SottovoceError):
        IceSettings(**fields)
