"""Bit rates and losses of the last seconds, from counters that only ever grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from app.stats import ARMS, Rate, WayRates
from transport.link import ArmStats, LinkStats

WINDOW_MS = 2000.0
LOSS_WINDOW_MS = 8000.0
SAMPLE_MS = 200.0


class _Sample(NamedTuple):
    at_ms: float
    arm: ArmStats


def _rate(new: _Sample, old: _Sample, field: str) -> float:
    span_s = (new.at_ms - old.at_ms) / 1000.0
    if span_s <= 0.0:
        return 0.0
    return max(0.0, 8.0 * (getattr(new.arm, field) - getattr(old.arm, field)) / span_s)


class RateMeter:
    """Call ``sample`` as often as you like; it looks every SAMPLE_MS."""

    def __init__(self) -> None:
        size = int(LOSS_WINDOW_MS / SAMPLE_MS) + 1
        self._samples: dict[str, deque[_Sample]] = {  # drops the oldest
            arm: deque(maxlen=size) for arm in ARMS
        }
        self._next_ms = float("-inf")

    def sample(self, stats: LinkStats, now_ms: float) -> None:
        if now_ms < self._next_ms:
            return
        self._next_ms = now_ms + SAMPLE_MS
        for arm in ARMS:
            self._samples[arm].append(_Sample(now_ms, getattr(stats, arm)))

    def _ends(self, arm: str, window_ms: float) -> tuple[_Sample, _Sample] | None:
        samples = self._samples[arm]
        if len(samples) < 2:
            return None
        new = samples[-1]
        old = next(s for s in samples if new.at_ms - s.at_ms <= window_ms)
        return new, old

    def rates(self) -> Mapping[str, WayRates]:
        found: dict[str, WayRates] = {}
        for arm in ARMS:
            ends = self._ends(arm, WINDOW_MS)
            if ends is None:
                found[arm] = WayRates()
                continue
            sent = Rate(_rate(*ends, "payload_bytes_sent"), _rate(*ends, "wire_bytes_sent"))
            received = Rate(
                _rate(*ends, "payload_bytes_received"), _rate(*ends, "wire_bytes_received")
            )
            found[arm] = WayRates(sent, received)
        return MappingProxyType(found)

    def losses(self) -> Mapping[str, float]:
        """Fraction of packets lost towards here in the last LOSS_WINDOW_MS."""
        found: dict[str, float] = {}
        for arm in ARMS:
            ends = self._ends(arm, LOSS_WINDOW_MS)
            if ends is None:
                continue
            new, old = ends[0].arm, ends[1].arm
            lost = max(0, new.packets_lost - old.packets_lost)
            total = lost + new.packets_received - old.packets_received
            found[arm] = lost / total if total > 0 else 0.0
        return MappingProxyType(found)
