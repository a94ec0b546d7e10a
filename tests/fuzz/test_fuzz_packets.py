"""Hostile phoneme packets: arbitrary bytes, damaged real packets, replays and floods."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.packet_policy import talk
from engine.bitstream import MAX_BLOCK_BYTES, decode_block, encode_block
from engine.events import CODE_LEVELS, ENERGY_LEVELS, MAX_EVENT_TICKS, PITCH_LEVELS, PhonemeEvent
from engine.phonemes import N_PHONEMES
from engine.playout import Playout
from transport.depacketizer import WINDOW_EVENTS, Depacketizer
from transport.link import MediaPacket
from transport.packetizer import Packetizer
from transport.payload import HEADER_BYTES, PayloadHeader, timestamp_of

SLOW_S = 0.05  # of CPU time for the largest packet there can be; it takes 10 ms, ordinary ones 1 ms


def real_packets() -> list[tuple[int, bytes]]:
    packetizer, packets = Packetizer(), []
    for event in talk(20.0, seed=41):
        packetizer.push([event])
        packets += packetizer.poll(event.end_tick * 10.0 + 120.0)
    return packets


PACKETS = real_packets()


def legal(event: PhonemeEvent) -> bool:
    return (
        event.index >= 0
        and event.start_tick >= 0
        and 0 <= event.phoneme < N_PHONEMES
        and 1 <= event.duration_ticks <= MAX_EVENT_TICKS
        and all(0 <= p < PITCH_LEVELS for p in event.pitch)
        and 0 <= event.energy < ENERGY_LEVELS
        and all(0 <= c < CODE_LEVELS for c in event.codes)
    )


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


def test_no_packet_takes_long_to_read() -> None:
    dice = random.Random(5)
    blocks = [dice.randbytes(MAX_BLOCK_BYTES) for _ in range(40)]
    events = talk(10.0, seed=42)[:64]
    blocks.append(encode_block(events, [3] * 64))
    for block in blocks:
        decode_block(block, 0, 0)  # the first reading of a context builds its model
        begun = time.process_time()
        decode_block(block, 0, 0)
        assert time.process_time() - begun < SLOW_S


def test_an_ordinary_packet_is_read_within_three_milliseconds() -> None:
    blocks = [payload[HEADER_BYTES:] for _, payload in PACKETS]
    for block in blocks:
        decode_block(block, 0, 0)
    begun = time.process_time()
    for block in blocks:
        decode_block(block, 0, 0)
    assert (time.process_time() - begun) / len(blocks) < 0.003


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
