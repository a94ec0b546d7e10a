"""A lost connection is replaced within the same call, and a killed end comes back into it."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.transport.pairs import LOCAL, Pair, lose_socket, on_its_thread
from transport import liveness
from transport.control import Hello, encode_control, parse_control
from transport.description import PeerDescription, Role
from transport.ice import clock_ms
from transport.impair import ImpairmentSettings
from transport.peer import PeerConnection
from transport.rtc import RtcLink
from transport.state import LinkState
from transport.ticket import ResumeTicket

pytestmark = pytest.mark.network


def abort_sctp(peer: PeerConnection) -> Coroutine[Any, Any, None]:
    assert peer._sctp is not None
    return peer._sctp._abort()


@pytest.mark.parametrize("damage", [lose_socket, abort_sctp])
def test_what_fails_under_a_call_is_replaced_and_does_not_end_it(
    pair: Pair, damage: Callable[[PeerConnection], Any]
) -> None:
    pair.connect()
    for link in pair.links.values():
        link.send_control(encode_control(Hello("before")))
    pair.wait(lambda: all(pair.controls.values()))
    on_its_thread(pair.caller, damage)
    pair.wait(lambda: max(link.reconnections for link in pair.links.values()) == 1)
    pair.wait(pair.both(LinkState.CONNECTED))
    for link in pair.links.values():
        link.send("phonemes", 0, b"still here", clock_ms())
        link.send_control(encode_control(Hello("still here")))
    both = [encode_control(Hello("before")), encode_control(Hello("still here"))]
    pair.wait(lambda: all(pair.heard.values()) and list(pair.controls.values()) == [both, both])


def test_what_a_lost_connection_never_began_to_send_leaves_by_the_next(pair: Pair) -> None:
    pair.connect()
    late = encode_control(Hello("late"))

    def lose_with_words(peer: PeerConnection) -> None:
        peer._channel = None  # as before the channel opens
        peer.send_control(late)
        lose_socket(peer)

    on_its_thread(pair.caller, lose_with_words)
    pair.wait(lambda: pair.controls["callee"] == [late])
    assert pair.caller.reconnections == 1


def test_an_attempt_that_fails_in_a_new_way_is_followed_by_another(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, failures = PeerConnection.connect, [OSError("no route"), RuntimeError("a fault")]

    async def fail_first(self: PeerConnection, remote: PeerDescription) -> None:
        await connect(self, remote)
        if self._role is Role.CALLEE and failures:
            raise failures.pop()

    monkeypatch.setattr(PeerConnection, "connect", fail_first)
    pair.connect()
    assert not failures and pair.callee.drops()["attempts"] >= 2


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
    monkeypatch.setattr(liveness, "LOST_AFTER_MS", 1000.0)
    monkeypatch.setattr(liveness, "FIRST_HEARD_MS", 1000.0)
    pair.connect()
    link, hanging_up = pair.callee, []

    def hang_up(state: LinkState) -> None:
        link.send_control(b"bye")
        hanging_up.append(threading.Thread(target=link.close))
        hanging_up[-1].start()

    link._peer._on_state = hang_up
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
    monkeypatch.setattr(liveness, "LOST_AFTER_MS", 1000.0)
    monkeypatch.setattr(liveness, "FIRST_HEARD_MS", 1000.0)
    pair.connect()
    for link in pair.links.values():
        link.set_impairment(ImpairmentSettings(loss=1.0))
    pair.wait(lambda: LinkState.RECONNECTING in (pair.caller.state, pair.callee.state), 5)
    for link in pair.links.values():
        link.set_impairment(None)
    pair.wait(pair.both(LinkState.CONNECTED))
    pair.caller.send("phonemes", 0, b"here again", clock_ms())
    pair.wait(lambda: [p.payload for p in pair.heard["callee"]] == [b"here again"])


class Filter:
    """Lets datagrams of this process leave, or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, passes: Callable[[bytes], bool]) -> None:
        transport = asyncio.selector_events._SelectorDatagramTransport
        sendto = transport.sendto

        def filtered(this: Any, data: bytes, addr: Any = None) -> None:
            if passes(data):
                sendto(this, data, addr)

        monkeypatch.setattr(transport, "sendto", filtered)


@pytest.mark.parametrize("lost", ["RTCP", "DTLS"])
def test_either_goodbye_alone_ends_the_call_at_both_ends(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    pair.connect()
    Filter(monkeypatch, lambda data: (data[0] >= 128) == (lost == "DTLS"))
    pair.caller.close()
    pair.wait(lambda: pair.callee.state is LinkState.CLOSED, 4)


def test_what_must_arrive_is_sent_twice_while_nobody_knows_the_loss(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.connect()
    records: Counter[bytes] = Counter()
    Filter(monkeypatch, lambda data: bool(records.update([data])) or True)
    pair.caller.send_control(encode_control(Hello("twice")))
    pair.wait(lambda: bool(pair.controls["callee"]))
    time.sleep(0.3)
    copies = [n for data, n in records.items() if data[0] == 23]  # DTLS application data
    assert max(copies) == 2


def test_an_outage_while_connecting_lasts_hardly_longer_than_itself(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = time.monotonic() + 7.0  # timers that double would sleep until 12.6 s by then
    Filter(monkeypatch, lambda _: time.monotonic() > ends)
    pair.connect()
    assert time.monotonic() - ends < 3.0


def test_half_the_datagrams_lost_from_the_first_on_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dice = random.Random(4)
    Filter(monkeypatch, lambda _: dice.random() < 0.5)
    pairs = [Pair() for _ in range(8)]
    try:
        begun = time.monotonic()
        for pair in pairs:
            pair.begin()
        for pair in pairs:
            pair.wait(pair.both(LinkState.CONNECTED), 20)
        assert time.monotonic() - begun < 18.0  # usually 7; 30 with doubling timers
    finally:
        monkeypatch.undo()
        for pair in pairs:
            pair.close()


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
