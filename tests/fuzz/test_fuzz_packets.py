"""Hostile phoneme packets: arbitrary bytes, damaged real packets, replays and floods."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.packet_policy import talk
from engine.bitstream import MAX_BLOCK_BYTES, count_events, decode_block, encode_block, on_scale
from engine.events import MAX_LAYERS, PhonemeEvent
from engine.playout import Playout
from transport.depacketizer import WINDOW_EVENTS, Depacketizer
from transport.link import MediaPacket
from transport.packetizer import Packetizer
from transport.payload import HEADER_BYTES, MAX_PACKET_EVENTS, PayloadHeader, timestamp_of

LONGEST_MS = 1.0  # for the largest packet there can be; some 0.6 on a core that nobody else needs
ORDINARY_MS = 0.8  # ten events or so


def real_packets() -> list[tuple[int, bytes]]:
    packetizer, packets = Packetizer(), []
    for event in talk(20.0, seed=41):
        packetizer.push([event])
        packets += packetizer.poll(event.end_tick * 10.0 + 120.0)
    return packets


PACKETS = real_packets()


def legal(event: PhonemeEvent) -> bool:
    return event.index >= 0 and event.start_tick >= 0 and on_scale(event)


@st.composite
def damaged(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Real packets with bytes changed, cut, added, and stamps moved; some left whole."""
    packets = []
    for number in draw(st.lists(st.integers(0, len(PACKETS) - 1), max_size=12)):
        stamp, payload = PACKETS[number]
        data = bytearray(payload)
        for _ in range(draw(st.integers(0, 3))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        cut = draw(st.integers(0, len(data)))
        data = data[:cut] if draw(st.booleans()) else data
        data += draw(st.binary(max_size=6))
        stamp += draw(st.sampled_from([0, 0, 0, 160, -160, 1, 1 << 31]))
        packets.append((stamp & 0xFFFF_FFFF, bytes(data)))
    return packets


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_damaged_packets_yield_legal_events_or_are_refused(
    packets: list[tuple[int, bytes]],
) -> None:
    depacketizer, playout = Depacketizer(), Playout()
    handed_out: dict[int, int] = {}
    for number, (stamp, payload) in enumerate(packets):
        packet = MediaPacket("phonemes", number, stamp, payload, number * 200.0)
        for event in depacketizer.parse(packet) or []:
            assert legal(event)
            assert len(event.codes) > handed_out.get(event.index, -1)
            handed_out[event.index] = len(event.codes)
            playout.push(event, packet.arrival_ms)
        assert 1 <= playout.pull(packet.arrival_ms).play_ticks <= 60
    assert depacketizer.acked_index <= depacketizer.newest_index


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, (1 << 32) - 1))
def test_arbitrary_bytes_never_raise(payload: bytes, stamp: int) -> None:
    depacketizer = Depacketizer()
    for given_stamp in (stamp, stamp // 160 * 160):
        events = depacketizer.parse(MediaPacket("phonemes", 0, given_stamp, payload, 0.0))
        assert events is None or all(map(legal, events))


def reading_ms(read: Callable[[], object], repeats: int = 15) -> float:
    """Processor time of the quickest of some readings: what else the machine does is not counted."""
    taken_s = []
    for _ in range(repeats):
        begun_s = time.thread_time()
        read()
        taken_s.append(time.thread_time() - begun_s)
    return min(taken_s) * 1000.0


def least_ms(measure: Callable[[], float], limit_ms: float) -> float:
    """Measured again while it is too much: others may have the caches for a while."""
    taken_ms = measure()
    for _ in range(20):
        if taken_ms < limit_ms:
            break
        time.sleep(0.5)
        taken_ms = min(taken_ms, measure())
    return taken_ms


def test_no_packet_takes_long_to_read() -> None:
    dice = random.Random(5)
    events = talk(10.0, seed=42)
    longest = encode_block(events[:MAX_PACKET_EVENTS], [MAX_LAYERS] * MAX_PACKET_EVENTS)
    too_long = encode_block(events[:64], [MAX_LAYERS] * 64)
    blocks = [longest, too_long, bytes(MAX_BLOCK_BYTES), b"\xff" * 300]
    blocks += [dice.randbytes(dice.choice([20, 200, 700])) for _ in range(40)]
    for block in blocks:
        packet = packet_of(block)

        def parsing_ms(packet: MediaPacket = packet) -> float:
            return reading_ms(lambda: Depacketizer().parse(packet))

        assert least_ms(parsing_ms, LONGEST_MS) < LONGEST_MS
    assert Depacketizer().parse(packet_of(longest)) is not None
    assert Depacketizer().parse(packet_of(too_long)) is None


def packet_of(block: bytes) -> MediaPacket:
    return MediaPacket("phonemes", 0, 160_000, PayloadHeader(0, 5).to_bytes() + block, 0.0)


def test_an_ordinary_packet_is_read_within_a_millisecond() -> None:
    """What a link that loses a fifth sends: ten events in a packet or so."""
    packets = [packet for packet in PACKETS if len(packet[1]) > HEADER_BYTES]
    blocks = [payload[HEADER_BYTES:] for _, payload in packets]
    assert 5 <= np.median([count_events(block) or 0 for block in blocks]) <= 12

    def usually_ms() -> float:
        taken = [reading_ms(lambda block=block: decode_block(block, 0, 0), 5) for block in blocks]
        return float(np.median(taken))

    assert least_ms(usually_ms, ORDINARY_MS) < ORDINARY_MS


def test_a_packet_of_known_events_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = [e for e in talk(4.0, seed=43) if not e.is_silence][:8]
    whole = tuple(range(MAX_LAYERS))
    events = [replace(e, index=number, codes=whole) for number, e in enumerate(spoken)]
    packet = packet_of(encode_block(events, [MAX_LAYERS] * 8))
    packet = replace(packet, payload=PayloadHeader(0, 0).to_bytes() + packet.payload[HEADER_BYTES:])
    depacketizer = Depacketizer()
    assert len(depacketizer.parse(packet) or []) == 8
    monkeypatch.setattr("transport.depacketizer.decode_block", None)
    assert depacketizer.parse(packet) == []


def test_replays_hand_out_nothing_and_memory_stays_bounded() -> None:
    depacketizer = Depacketizer()
    fresh = [0, 0]
    for turn in range(2):
        for number, (stamp, payload) in enumerate(PACKETS):
            packet = MediaPacket("phonemes", number, stamp, payload, 0.0)
            fresh[turn] += len(depacketizer.parse(packet) or [])
    assert fresh[0] > 100 and fresh[1] == 0


@pytest.mark.parametrize("step", [1, 63, 500, 8000])
def test_a_flood_of_ever_new_indices_stays_bounded(step: int) -> None:
    depacketizer = Depacketizer()
    for number in range(3000):
        event = PhonemeEvent(number * step, 1, number * step * 5, 5)
        payload = PayloadHeader(0, event.index & 0xFFFF).to_bytes() + encode_block([event], [0])
        depacketizer.parse(MediaPacket("phonemes", 0, timestamp_of(event.start_tick), payload, 0.0))
    assert len(depacketizer._known) <= WINDOW_EVENTS + 64
