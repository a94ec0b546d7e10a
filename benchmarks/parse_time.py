"""How long reading one phoneme packet takes: processor time, for real and for hostile packets.

    python -m benchmarks.parse_time                           two hundred packets of each kind
    python -m benchmarks.parse_time --packets 1000 --readings 1

Drawn events fill packets of several sizes; hostile ones are as costly as the format allows, damaged
or random. A packet's time is the quickest of a few readings by a receiver that knows nothing yet: what
else the machine does hardly counts then. With ``--readings 1`` it does.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.packet_policy import talk
from engine.bitstream import encode_block
from engine.events import (
    CODE_LEVELS,
    ENERGY_LEVELS,
    MAX_EVENT_TICKS,
    MAX_LAYERS,
    PITCH_LEVELS,
    PhonemeEvent,
)
from engine.phonemes import N_PHONEMES
from transport.depacketizer import Depacketizer
from transport.link import MediaPacket
from transport.payload import MAX_PACKET_EVENTS, MAX_PAYLOAD_BYTES, PayloadHeader, timestamp_of

START_TICK = 1000
HOLE_TICKS = (1 << 20) - 1  # three hours: telling that takes twenty bits
CLAIM_BYTES = 5  # header and how many events there are


def spoken(size: int, count: int, dice: random.Random) -> Iterator[bytes]:
    """Payloads of ``size`` events with all their codes."""
    events = talk(30.0 + 2.0 * count, dice.randrange(1 << 30))
    for _ in range(count):
        start = dice.randrange(len(events) - size)
        yield payload(events[start : start + size])


def costliest(count: int, dice: random.Random) -> Iterator[bytes]:
    """Events with all that there can be, and a hole before each."""
    for _ in range(count):
        events, tick = [], START_TICK
        for index in range(MAX_PACKET_EVENTS):
            phoneme, ticks = dice.randrange(1, N_PHONEMES), dice.randint(1, MAX_EVENT_TICKS)
            pitch = dice.randrange(PITCH_LEVELS), dice.randrange(PITCH_LEVELS)
            codes = tuple(dice.randrange(CODE_LEVELS) for _ in range(MAX_LAYERS))
            energy = dice.randrange(ENERGY_LEVELS)
            events.append(PhonemeEvent(index, phoneme, tick, ticks, True, pitch, energy, codes))
            tick += ticks + HOLE_TICKS
        yield payload(events)


def damaged(count: int, dice: random.Random) -> Iterator[bytes]:
    """Of the largest, with one to three bits turned."""
    for data in map(bytearray, spoken(MAX_PACKET_EVENTS, count, dice)):
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        yield bytes(data)


def noise(count: int, dice: random.Random) -> Iterator[bytes]:
    header = PayloadHeader(0, 5).to_bytes()
    for _ in range(count):
        yield header + dice.randbytes(dice.randint(1, MAX_PAYLOAD_BYTES - len(header)))


def pretending(count: int, dice: random.Random) -> Iterator[bytes]:
    """Begin like the largest packet and go on at random, as long as can be."""
    for data in spoken(MAX_PACKET_EVENTS, count, dice):
        yield data[:CLAIM_BYTES] + dice.randbytes(MAX_PAYLOAD_BYTES - CLAIM_BYTES)


def payload(events: Sequence[PhonemeEvent]) -> bytes:
    block = encode_block(events, [len(event.codes) for event in events])
    return PayloadHeader(0, events[0].index & 0xFFFF).to_bytes() + block


KINDS: dict[str, Callable[[int, random.Random], Iterator[bytes]]] = {
    "1 event": partial(spoken, 1),
    "5 events": partial(spoken, 5),
    "10 events": partial(spoken, 10),
    f"{MAX_PACKET_EVENTS} events": partial(spoken, MAX_PACKET_EVENTS),
    f"costliest {MAX_PACKET_EVENTS}": costliest,
    "damaged": damaged,
    "random": noise,
    f"random {MAX_PACKET_EVENTS}": pretending,
}


def read(data: bytes) -> tuple[bool, float]:
    """Whether a new receiver accepts the payload, and the processor time that takes in ms."""
    packet = MediaPacket("phonemes", 0, timestamp_of(START_TICK), data, 0.0)
    receiver = Depacketizer()
    begun_s = time.thread_time()
    events = receiver.parse(packet)
    return events is not None, (time.thread_time() - begun_s) * 1000.0


def measure(packets: int, readings: int, seed: int) -> Table:
    """A row for each of ``KINDS``."""
    columns = ("packet", "bytes", "accepted", "median", "99 %", "longest, ms")
    table = Table(*columns, title="Processor time to read a packet")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, kind in KINDS.items():
        payloads = list(kind(packets, random.Random(seed)))
        read(payloads[0])  # what is made once is made now
        results = [[read(data) for _ in range(readings)] for data in payloads]
        times_ms = [min(taken for _, taken in times) for times in results]
        median, most = np.percentile(times_ms, [50, 99])
        table.add_row(
            name,
            f"{np.mean([len(data) for data in payloads]):.0f}",
            f"{np.mean([times[0][0] for times in results]):.0%}",
            *(f"{taken:.3f}" for taken in (median, most, max(times_ms))),
        )
    return table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packets", type=int, default=200, help="of each kind (default 200)")
    parser.add_argument("--readings", type=int, default=5, help="of each packet (default 5)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    if min(chosen.packets, chosen.readings) < 1:
        parser.error("--packets and --readings are at least 1")
    Console().print(measure(chosen.packets, chosen.readings, chosen.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
