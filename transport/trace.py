"""A recorded link capacity over time, for the bottleneck of an impaired link.

Two plain text forms are read: lines of ``seconds bits_per_second``, and Mahimahi's, one
millisecond number a line for each 1500-byte packet the link could have carried. The trace repeats
when it ends.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from engine.errors import SottovoceError

MAX_LINES = 1_000_000
MAHIMAHI_BIN_MS = 100.0
MAHIMAHI_PACKET_BITS = 1500 * 8
MAHIMAHI_MAX_BINS = 36_000  # one hour


@dataclass(frozen=True, slots=True)
class CapacityTrace:
    """A step function: from ``times_ms[i]`` on the link carries ``rates_bps[i]``."""

    times_ms: tuple[float, ...]
    """Rising, from 0."""
    rates_bps: tuple[float, ...]
    length_ms: float
    """After this the trace begins again."""

    def __post_init__(self) -> None:
        times = self.times_ms
        if not times or len(times) != len(self.rates_bps) or times[0] != 0.0:
            raise SottovoceError("A capacity trace needs at least one line, the first at 0 s.")
        if any(b <= a for a, b in zip(times, (*times[1:], self.length_ms), strict=True)):
            raise SottovoceError("The times of a capacity trace must rise; sort its lines.")
        if min(self.rates_bps) < 0.0 or max(self.rates_bps) <= 0.0:
            raise SottovoceError("A capacity trace needs rates that are not all 0 bit/s.")

    @property
    def cycle_bits(self) -> float:
        ends = (*self.times_ms[1:], self.length_ms)
        steps = zip(self.times_ms, ends, self.rates_bps, strict=True)
        return sum((end - start) * rate for start, end, rate in steps) / 1000.0

    def sent_at(self, begins_ms: float, bits: float) -> float:
        """When ``bits`` that begin at ``begins_ms`` have all been sent."""
        whole, bits = divmod(bits, self.cycle_bits)
        at_ms = begins_ms + whole * self.length_ms
        cycle_ms = at_ms - at_ms % self.length_ms
        step = bisect_right(self.times_ms, at_ms - cycle_ms) - 1
        while bits > 0.0:
            rate = self.rates_bps[step]
            last = step + 1 == len(self.times_ms)
            end_ms = cycle_ms + (self.length_ms if last else self.times_ms[step + 1])
            room = (end_ms - at_ms) * rate / 1000.0
            if rate > 0.0 and room >= bits:
                return at_ms + bits * 1000.0 / rate
            bits -= room
            at_ms = end_ms
            if last:
                cycle_ms, step = end_ms, 0
            else:
                step += 1
        return at_ms


def parse_trace(text: str) -> CapacityTrace:
    """Text of either form → a trace. Raises SottovoceError naming the bad line."""
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("#")[0].replace(",", " ").split()
        if not fields:
            continue
        try:
            row = tuple(float(field) for field in fields)
        except ValueError:
            row = ()
        if (
            len(row) not in (1, 2)
            or (rows and len(row) != len(rows[0]))
            or not all(0.0 <= value < 1e12 for value in row)
        ):
            raise SottovoceError(
                f"Line {number} of the capacity trace is not 'seconds bits_per_second' "
                f"or one millisecond number: {line[:40]!r}."
            )
        rows.append(row)
        if len(rows) > MAX_LINES:
            raise SottovoceError(f"The capacity trace has more than {MAX_LINES} lines; cut it.")
    if not rows:
        raise SottovoceError("The capacity trace is empty; give lines 'seconds bits_per_second'.")
    return _from_mahimahi(rows) if len(rows[0]) == 1 else _from_steps(rows)


def _from_steps(rows: list[tuple[float, ...]]) -> CapacityTrace:
    times = [row[0] * 1000.0 for row in rows]
    last_step = times[-1] - times[-2] if len(times) > 1 else 1000.0
    return CapacityTrace(tuple(times), tuple(row[1] for row in rows), times[-1] + last_step)


def _from_mahimahi(rows: list[tuple[float, ...]]) -> CapacityTrace:
    bins = int(rows[-1][0] // MAHIMAHI_BIN_MS) + 1
    if bins > MAHIMAHI_MAX_BINS:
        raise SottovoceError("The capacity trace is longer than an hour; cut it.")
    if any(b[0] < a[0] for a, b in pairwise(rows)):
        raise SottovoceError("The times of a capacity trace must rise; sort its lines.")
    bits = [0.0] * bins
    for row in rows:
        bits[int(row[0] // MAHIMAHI_BIN_MS)] += MAHIMAHI_PACKET_BITS
    times = tuple(MAHIMAHI_BIN_MS * i for i in range(bins))
    rates = tuple(value * 1000.0 / MAHIMAHI_BIN_MS for value in bits)
    return CapacityTrace(times, rates, MAHIMAHI_BIN_MS * bins)
