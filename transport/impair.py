"""The bad link everyone is measured on: loss, delay, jitter, copies, bottleneck, drift, traces.

Packets go in with the time they are sent, and come out with the time they arrive, or not at all.
Everything follows from the settings, the seed and those times: the same run gives the same link,
and nothing here reads a clock.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import TypeVar

from engine.errors import SottovoceError
from transport.trace import CapacityTrace

Packet = TypeVar("Packet")

_LIMITS: dict[str, tuple[float, float]] = {
    "loss": (0.0, 1.0),
    "burst_ms": (0.0, 10_000.0),
    "delay_ms": (0.0, 10_000.0),
    "jitter_ms": (0.0, 5_000.0),
    "duplicate": (0.0, 1.0),
    "rate_bps": (0.0, 1e9),
    "queue_ms": (1.0, 60_000.0),
    "drift_ppm": (-2_000.0, 2_000.0),
}


@dataclass(frozen=True, slots=True)
class ImpairmentSettings:
    """How bad the link is, in one direction. Raises SottovoceError where a value cannot be."""

    loss: float = 0.0
    """Share of packets lost, 0 ... 1."""
    burst_ms: float = 0.0
    """0: each packet is lost by itself. Otherwise the mean length of an outage (Gilbert–Elliott
    with nothing lost in the good state and everything in the bad one)."""
    delay_ms: float = 0.0
    """One way."""
    jitter_ms: float = 0.0
    """Each packet's delay is uniform in delay ± jitter, never below 0, as netem does it."""
    reorder: bool = False
    """Whether jitter may let packets overtake each other."""
    duplicate: float = 0.0
    """Share of packets that arrive twice."""
    rate_bps: float = 0.0
    """Bottleneck in wire bits a second; 0: none."""
    queue_ms: float = 1_000.0
    """A packet that would wait longer than this before the bottleneck is dropped."""
    shared_bottleneck: bool = False
    """False: each arm has the bottleneck for itself, so that two arms can be compared while
    they run side by side. True: they push each other out."""
    drift_ppm: float = 0.0
    """How much slower the sender's clock runs than the receiver's."""
    trace: CapacityTrace | None = None
    """Replaces ``rate_bps`` by a recorded capacity over time."""

    def __post_init__(self) -> None:
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not low <= value <= high:
                raise SottovoceError(
                    f"The link's {name} must be between {low:g} and {high:g}, not {value!r}."
                )
        if self.burst_ms > 0.0 and self.loss > 0.95:
            raise SottovoceError("Lost bursts need a loss of at most 0.95; lower it.")


PRESETS: dict[str, ImpairmentSettings] = {
    "perfect": ImpairmentSettings(),
    "good Wi-Fi": ImpairmentSettings(loss=0.005, delay_ms=15, jitter_ms=5),
    "train": ImpairmentSettings(
        loss=0.12, burst_ms=400, delay_ms=70, jitter_ms=50, duplicate=0.01, rate_bps=64_000
    ),
    "satellite": ImpairmentSettings(loss=0.02, delay_ms=300, jitter_ms=15, rate_bps=9_600),
    "barely there": ImpairmentSettings(
        loss=0.45, delay_ms=120, jitter_ms=60, reorder=True, rate_bps=8_000, queue_ms=1_500
    ),
}


def preset(name: str) -> ImpairmentSettings:
    """A named link. Raises SottovoceError that lists the names."""
    if name not in PRESETS:
        raise SottovoceError(f"No link is called {name!r}; choose one of: {', '.join(PRESETS)}.")
    return PRESETS[name]


class _Outages:
    """Gilbert–Elliott in continuous time: when the link is down is fixed by the seed alone."""

    KEEP = 4096  # past outages that a late question may still be about; drops the oldest

    def __init__(self, seed: str, loss: float, burst_ms: float) -> None:
        self._random = random.Random(seed)
        self._bad_rate = 1.0 / burst_ms
        self._good_rate = loss / (burst_ms * (1.0 - loss)) if loss else 0.0
        self._ends_ms = 0.0
        self._past: deque[tuple[float, float]] = deque(maxlen=self.KEEP)

    def down(self, now_ms: float) -> bool:
        if self._good_rate == 0.0:
            return False
        while self._ends_ms <= now_ms:
            begins_ms = self._ends_ms + self._random.expovariate(self._good_rate)
            self._ends_ms = begins_ms + self._random.expovariate(self._bad_rate)
            self._past.append((begins_ms, self._ends_ms))
        for begins_ms, ends_ms in reversed(self._past):
            if ends_ms <= now_ms:
                return False
            if begins_ms <= now_ms:
                return True
        return False


class _Lane:
    """One arm's own dice and its place in the queue."""

    def __init__(self, seed: str) -> None:
        self.loss = random.Random(seed + "/loss")
        self.jitter = random.Random(seed + "/jitter")
        self.copies = random.Random(seed + "/copies")
        self.free_ms = 0.0  # when the bottleneck has sent everything before
        self.last_ms = 0.0  # the newest arrival, where packets keep their order


class Impairment:
    """One direction of one link.

    Each lane (``phonemes``, ``opus``, anything else) draws from its own seeded dice, so that one
    arm's losses do not depend on how many packets the other sends; outages fall at the same
    moments for all lanes.
    """

    def __init__(self, settings: ImpairmentSettings | None = None, seed: int = 1) -> None:
        self.settings = settings or ImpairmentSettings()
        self._seed = seed
        self._lanes: dict[str, _Lane] = {}
        self._outages = (
            _Outages(f"{seed}/outages", self.settings.loss, self.settings.burst_ms)
            if self.settings.burst_ms > 0.0
            else None
        )
        self.submitted: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(f"{self._seed}/{name}")
        return lane

    def submit(
        self, packet: Packet, now_ms: float, lane: str = "phonemes", wire_bytes: int = 0
    ) -> list[tuple[float, Packet]]:
        """Send one packet of ``wire_bytes`` (headers included) at ``now_ms``.

        Returns its arrivals, ``(deliver_at_ms, packet)``: none when lost, two when copied. Times
        are on the receiver's clock and never before ``now_ms`` while the drift is 0.
        """
        settings = self.settings
        dice = self._lane(lane)
        self.submitted[lane] += 1
        # the dice roll for every packet, so that one setting does not reshuffle another
        alone = dice.loss.random() < settings.loss
        jitter_ms = dice.jitter.uniform(-settings.jitter_ms, settings.jitter_ms)
        copied = dice.copies.random() < settings.duplicate
        copy_jitter_ms = dice.copies.uniform(0.0, settings.jitter_ms + 1.0)
        if self._outages.down(now_ms) if self._outages is not None else alone:
            self.dropped[lane] += 1
            return []
        leaves_ms = self._bottleneck(dice, now_ms, wire_bytes)
        if leaves_ms is None:
            self.dropped[lane] += 1
            return []
        arrives_ms = leaves_ms + max(settings.delay_ms + jitter_ms, 0.0)
        if not settings.reorder:
            arrives_ms = max(arrives_ms, dice.last_ms)
            dice.last_ms = arrives_ms
        stretch = 1.0 + settings.drift_ppm * 1e-6
        arrivals = [(arrives_ms * stretch, packet)]
        if copied:
            arrivals.append(((arrives_ms + copy_jitter_ms) * stretch, packet))
        return arrivals

    def _bottleneck(self, dice: _Lane, now_ms: float, wire_bytes: int) -> float | None:
        """When the last bit of the packet has left the queue; None when it is full."""
        settings = self.settings
        if settings.trace is None and settings.rate_bps == 0.0:
            return now_ms
        queue = self._lane("shared") if settings.shared_bottleneck else dice
        begins_ms = max(now_ms, queue.free_ms)
        if begins_ms - now_ms > settings.queue_ms:
            return None
        if settings.trace is None:
            queue.free_ms = begins_ms + wire_bytes * 8000.0 / settings.rate_bps
        else:
            queue.free_ms = settings.trace.sent_at(begins_ms, wire_bytes * 8)
        return queue.free_ms
