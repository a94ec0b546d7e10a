"""Coverage-guided fuzzing of what reads phoneme packets, from the block's bits to the jitter buffer.

``python tests/fuzz/fuzz_packets.py -max_total_time=60`` (libFuzzer's options apply). Needs ``pip
install atheris``. A finding is any exception, an event off its scale, a block that is read otherwise
than it was written, and a packet that takes longer than 20 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import constriction  # noqa: F401
import numpy  # noqa: F401
import torch  # noqa: F401

with atheris.instrument_imports(
    include=[
        "engine.bitstream",
        "engine.event_odds",
        "engine.playout",
        "engine.probability",
        "transport.depacketizer",
        "transport.payload",
    ]
):
    from engine.bitstream import MAX_BLOCK_EVENTS, count_events, decode_block, encode_block
    from engine.playout import Playout
    from transport.depacketizer import WINDOW_EVENTS, Depacketizer
    from transport.payload import MAX_PACKET_EVENTS

from engine.events import PhonemeEvent
from tests.fuzz.test_fuzz_packets import PACKETS, legal
from transport.link import MediaPacket

SLOW_S = 0.02  # of CPU time for one packet, with instrumentation
MOST_PACKETS = 12


def check(event: PhonemeEvent) -> None:
    if not legal(event):
        raise AssertionError(f"{event} is off its scale")


def fuzz_block(data: bytes) -> None:
    """Any bytes as a block; what is accepted must be what a writer writes."""
    events = decode_block(data, 3, 7)
    if events is None:
        return
    for event in events:
        check(event)
    if not data:
        return
    if len(events) > MAX_BLOCK_EVENTS or len(events) != count_events(data):
        raise AssertionError(f"{len(events)} events of {count_events(data)}")
    again = encode_block(events, [len(event.codes) for event in events])
    if decode_block(again, 3, 7) != events:
        raise AssertionError("events do not come back")


def fuzz_real_block(data: bytes) -> None:
    """A real block, changed here and there, cut and lengthened: it gets far before it is refused."""
    if len(data) < 2:
        return
    block = bytearray(PACKETS[data[0] % len(PACKETS)][1][3:])
    for at, change in zip(data[2::2], data[3::2], strict=False):
        if block:
            block[at % len(block)] ^= change
    fuzz_block(bytes(block[: len(block) - data[1] % 4]) + bytes(data[1] >> 6))


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
        begun_s = time.thread_time()
        events = depacketizer.parse(packet)
        if time.thread_time() - begun_s > SLOW_S:
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
