"""Two real links over UDP sockets on this machine: media, control, accounting, reconnecting."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.errors import SottovoceError
from engine.events import VoiceDescriptor
from transport import rtc
from transport.control import Hello, VoiceUpdate, encode_control, parse_control
from transport.description import PeerDescription, Role
from transport.ice import IceSettings, clock_ms
from transport.impair import ImpairmentSettings
from transport.link import Link, MediaPacket
from transport.reports import ReceiverReport
from transport.rtc import RtcLink
from transport.state import LinkState, RtcSettings
from transport.ticket import ResumeTicket

pytestmark = pytest.mark.network

LOCAL = RtcSettings(IceSettings(addresses=("127.0.0.1",)), connect_for_s=20, reconnect_for_s=20)


class Pair:
    """A caller and a callee, and everything either has heard."""

    def __init__(self, settings: RtcSettings = LOCAL) -> None:
        self.settings = settings
        self.caller = RtcLink(Role.CALLER, settings)
        self.callee = RtcLink(Role.CALLEE, settings)
        self.heard: dict[str, list[MediaPacket]] = {"caller": [], "callee": []}
        self.controls: dict[str, list[bytes]] = {"caller": [], "callee": []}

    @property
    def links(self) -> dict[str, RtcLink]:
        return {"caller": self.caller, "callee": self.callee}

    def connect(self) -> Pair:
        offer = self.caller.gather().result(10)
        answer = self.callee.gather().result(10)
        self.callee.connect(offer)
        self.caller.connect(answer)
        self.wait(self.both(LinkState.CONNECTED))
        return self

    def both(self, state: LinkState) -> Callable[[], bool]:
        return lambda: all(link.state is state for link in self.links.values())

    def drain(self) -> None:
        for name, link in self.links.items():
            self.heard[name] += link.receive(clock_ms())
            self.controls[name] += link.receive_control()

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, {n: (k.state, k.failure) for n, k in self.links.items()}
            self.drain()
            time.sleep(0.01)
        self.drain()

    def close(self) -> None:
        self.caller.close()
        self.callee.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


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


def test_a_far_end_with_ever_new_sources_is_not_looked_at(pair: Pair) -> None:
    pair.connect()
    sending = pair.caller._session._sending["phonemes"]
    for n in range(40):
        sending.ssrc = 1000 + n
        pair.caller.send("phonemes", n, b"x", clock_ms())
        time.sleep(0.005)
    pair.wait(lambda: pair.callee.drops()["source"] > 8)
    assert len(pair.heard["callee"]) < 32


def test_a_wrong_certificate_ends_the_call_before_a_word_is_sent(pair: Pair) -> None:
    offer = pair.caller.gather().result(10)
    answer = pair.callee.gather().result(10)
    pair.callee.connect(dataclasses.replace(offer, fingerprint=bytes(16)))
    pair.caller.connect(answer)
    pair.wait(lambda: pair.callee.state is LinkState.FAILED)
    assert "certificate" in (pair.callee.failure or "")
    pair.callee.send("phonemes", 0, b"secret", clock_ms())
    time.sleep(0.2)
    pair.drain()
    assert pair.heard["caller"] == []
    assert pair.callee.drops()["unconnected"] == 1


def test_hanging_up_ends_the_other_side_too(pair: Pair) -> None:
    pair.connect()
    pair.caller.close()
    pair.wait(lambda: pair.callee.state is LinkState.CLOSED, 5)


def test_a_killed_link_comes_back_from_its_ticket_without_signalling(pair: Pair) -> None:
    pair.connect()
    pair.callee.send("phonemes", 0, b"before", clock_ms())
    pair.wait(lambda: len(pair.heard["caller"]) == 1)
    ticket = pair.callee.ticket()
    assert ticket is not None
    pair.callee.abort()
    pair.caller.send("phonemes", 0, b"into the gap", clock_ms())
    read = ResumeTicket.from_bytes(ticket.to_bytes())
    pair.callee = RtcLink.resume(read, LOCAL)
    pair.callee.connect(read.remote)
    pair.wait(pair.both(LinkState.CONNECTED))
    pair.wait(lambda: pair.caller.reconnections == 1, 5)
    for link in pair.links.values():
        link.send("phonemes", 16_000, b"after", clock_ms())
    pair.caller.send_control(b"again")
    pair.wait(lambda: len(pair.heard["caller"]) == 2 and bool(pair.controls["callee"]))
    assert [p.payload for p in pair.heard["callee"]] == [b"after"]
    first, second = (p.sequence_number for p in pair.heard["caller"])
    assert second == first + 1  # a new sender is not a burst of loss


def test_a_killed_link_tells_nothing_even_when_its_owner_hangs_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtc, "LOST_AFTER_MS", 1000.0)
    monkeypatch.setattr(rtc, "FIRST_HEARD_MS", 1000.0)
    pair.connect()
    link, hanging_up = pair.callee, []

    def hang_up(state: LinkState) -> None:
        link.send_control(b"bye")
        hanging_up.append(threading.Thread(target=link.close))
        hanging_up[-1].start()

    link._on_state = hang_up
    link.abort()
    for thread in hanging_up:
        thread.join(5)
    assert hanging_up and link.state is LinkState.CLOSED
    pair.wait(lambda: pair.caller.state is LinkState.RECONNECTING, 20)
    assert pair.controls["caller"] == []


def test_an_end_that_moved_to_another_port_is_found_again(pair: Pair) -> None:
    pair.connect()
    ticket = pair.callee.ticket()
    assert ticket is not None
    pair.callee.abort()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
        squatter.bind(("127.0.0.1", ticket.ports["127.0.0.1"]))
        pair.callee = RtcLink.resume(ticket, LOCAL)
        pair.callee.connect(ticket.remote)
        pair.wait(pair.both(LinkState.CONNECTED))
        pair.wait(lambda: pair.caller.reconnections == 1, 10)


def test_a_dead_network_is_noticed_and_the_call_comes_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rtc, "LOST_AFTER_MS", 1000.0)
    monkeypatch.setattr(rtc, "FIRST_HEARD_MS", 1000.0)
    pair.connect()
    for link in pair.links.values():
        link.set_impairment(ImpairmentSettings(loss=1.0))
    pair.wait(lambda: LinkState.RECONNECTING in (pair.caller.state, pair.callee.state), 5)
    for link in pair.links.values():
        link.set_impairment(None)
    pair.wait(pair.both(LinkState.CONNECTED))
    pair.caller.send("phonemes", 0, b"here again", clock_ms())
    pair.wait(lambda: [p.payload for p in pair.heard["callee"]] == [b"here again"])


def test_half_the_packets_lost_is_not_a_lost_connection(pair: Pair) -> None:
    pair.connect()
    for link in pair.links.values():
        link.set_impairment(ImpairmentSettings(loss=0.5, delay_ms=20))
    end = time.monotonic() + 8.0  # nobody talks: only probes and reports keep it alive
    while time.monotonic() < end:
        assert pair.both(LinkState.CONNECTED)()
        pair.drain()
        time.sleep(0.05)
    pair.caller.send_control(encode_control(Hello("still there")))
    pair.wait(lambda: bool(pair.controls["callee"]), 8)
    assert isinstance(parse_control(pair.controls["callee"][0]), Hello)


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
    assert pair.callee.drops()["size"] == 2


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
