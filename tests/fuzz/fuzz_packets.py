"""Coverage-guided fuzzing of what reads phoneme packets, from the block's bits to the jitter buffer.

``python tests/fuzz/fuzz_packets.py -max_total_time=60`` (libFuzzer's options apply). Needs ``pip
install atheris``. A finding is any exception, an event off its scale, a block that is read otherwise
than it was written, and a packet that takes longer than 20 ms.

Made to run millions of inputs: what has no branches to discover (the networks) is imported before
instrumentation begins, most packets have two or three events, and a stream is a few packets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

# Plain: these do the same work whatever the bytes.
import engine.event_reader
import engine.prediction
import engine.synthesizer  # noqa: F401
from engine.events import MAX_LAYERS, PhonemeEvent

with atheris.instrument_imports(
    include=[
        "engine.bitstream",
        "engine.field_coder",
        "engine.playout",
        "transport.depacketizer",
        "transport.payload",
    ]
):
    from engine.bitstream import count_events, decode_block, encode_block
    from engine.playout import Playout
    from transport.depacketizer import WINDOW_EVENTS, Depacketizer
    from transport.payload import HEADER_BYTES, MAX_PACKET_EVENTS, PayloadHeader, timestamp_of

from benchmarks.packet_policy import talk
from tests.fuzz.test_fuzz_packets import legal, real_packets
from transport.link import MediaPacket

torch.set_num_threads(1)

SLOW_S = 0.02  # for one packet, with instrumentation
MOST_PACKETS = 4


def short_packets() -> list[tuple[int, bytes]]:
    """What one event or two add, after copies of one or two; each code is there in some of them."""
    packets = []
    for start in range(0, 120, 2):
        older, events = start // 2 % 2, EVENTS[start : start + 2 + start // 2 % 2]
        layers = [(start + place) % (MAX_LAYERS + 1) for place in range(len(events))]
        layers = [min(n, len(e.codes)) for n, e in zip(layers, events, strict=True)]
        header = PayloadHeader(older, events[older].index).to_bytes()
        stamp = timestamp_of(events[older].start_tick)
        packets.append((stamp, header + encode_block(events, layers)))
    return packets


EVENTS = talk(12.0, seed=41)
PACKETS = short_packets() * 4 + real_packets()[:60]
BLOCKS = [payload[HEADER_BYTES:] for _, payload in PACKETS if len(payload) > HEADER_BYTES]


def check(event: PhonemeEvent) -> None:
    if not legal(event):
        raise AssertionError(f"{event} is off its scale")


def fuzz_block(data: bytes) -> None:
    """Any bytes as a packet's block; what is accepted must be what a writer writes."""
    events = decode_block(data, 3, 7, most_events=MAX_PACKET_EVENTS)
    if events is None:
        return
    for event in events:
        check(event)
    if not data:
        return
    if len(events) > MAX_PACKET_EVENTS or len(events) != count_events(data):
        raise AssertionError(f"{len(events)} events of {count_events(data)}")
    again = encode_block(events, [len(event.codes) for event in events])
    if decode_block(again, 3, 7) != events:
        raise AssertionError("events do not come back")


def fuzz_real_block(data: bytes) -> None:
    """A real block, changed here and there, cut and lengthened: it gets far before it is refused."""
    if len(data) < 2:
        return
    block = bytearray(BLOCKS[data[0] % len(BLOCKS)])
    for at, change in zip(data[2::2], data[3::2], strict=False):
        if block:
            block[at % len(block)] ^= change
    fuzz_block(bytes(block[: len(block) - data[1] % 4]) + bytes(data[1] >> 6))


def parsing_s(packet: MediaPacket) -> float:
    """CPU time of reading it once more; what else the machine does is not counted."""
    begun_s = time.thread_time()
    Depacketizer().parse(packet)
    return time.thread_time() - begun_s


def fuzz_stream(data: bytes) -> None:
    """Packets of one stream, mostly real ones: changed, repeated, moved in time, or any bytes."""
    depacketizer, playout = Depacketizer(), Playout()
    now_ms, at = 0.0, 0
    handed_out: dict[int, int] = {}
    for _ in range(MOST_PACKETS):
        if at + 4 > len(data):
            break
        which, place, change, step = data[at : at + 4]
        at += 4
        stamp, payload = PACKETS[which % len(PACKETS)]
        if step & 1:
            changed = bytearray(payload)
            changed[place % len(changed)] ^= change
            payload = bytes(changed)
        elif step & 2:
            payload = payload[:3] + data[at : at + change]
            at += change
        if step & 4:
            stamp = (stamp + (place << 24) + change * 160) & 0xFFFF_FFFF
        now_ms += step * 4.0
        packet = MediaPacket("phonemes", which, stamp, payload, now_ms)
        begun_s = time.perf_counter()  # asking for CPU time takes as long as reading a packet
        events = depacketizer.parse(packet)
        if time.perf_counter() - begun_s > SLOW_S and parsing_s(packet) > SLOW_S:
            raise AssertionError(f"too slow: {payload.hex()}")
        for event in events or ():
            check(event)
            if len(event.codes) <= handed_out.get(event.index, -1):
                raise AssertionError(f"{event} brings nothing new")
            handed_out[event.index] = len(event.codes)
            playout.push(event, now_ms)
        if len(events or ()) > MAX_PACKET_EVENTS or len(depacketizer._known) > 2 * WINDOW_EVENTS:
            raise AssertionError("too many events")
        if not 1 <= playout.pull(now_ms).play_ticks <= 60:
            raise AssertionError("a step of no length")
    if depacketizer.acked_index > depacketizer.newest_index:
        raise AssertionError("acknowledged what nobody sent")


TARGETS: list[Callable[[bytes], None]] = [fuzz_block, fuzz_real_block, fuzz_stream]


def one_input(data: bytes) -> None:
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    fuzz_stream(bytes([1, 0, 0, 8, 2, 0, 0, 8]))  # loads the models
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
