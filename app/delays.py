"""How long speech takes from one mouth to the other ear, stage by stage, as measured.

``ClockOffset`` compares the two ends' clocks by pings; ``Average`` smooths one stage;
``FarDelays`` splits the way of each event into the stages of ``app.stats.DELAY_STAGES``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from app.side_messages import Pong, Timing
from engine.events import TICK_MS

KEPT_PINGS = 20  # of these the fastest is believed: it waited least on the way


class Average:
    """Exponential mean whose first values count more; None before the first."""

    def __init__(self, memory: int = 20) -> None:
        self._memory = memory
        self._count = 0
        self._mean = 0.0

    def add(self, value: float) -> None:
        self._count = min(self._count + 1, self._memory)
        self._mean += (value - self._mean) / self._count

    @property
    def known(self) -> bool:
        return self._count > 0

    @property
    def value(self) -> float:
        return self._mean


class ClockOffset:
    """Their clock minus ours, from half the round trip of the fastest recent ping."""

    def __init__(self) -> None:
        self._pings: deque[tuple[float, float]] = deque(maxlen=KEPT_PINGS)  # drops the oldest

    def on_pong(self, pong: Pong, now_ms: float) -> None:
        round_trip_ms = now_ms - pong.sent_ms
        if 0.0 <= round_trip_ms < 60_000.0:
            self._pings.append((round_trip_ms, pong.answered_ms - pong.sent_ms - round_trip_ms / 2))

    @property
    def ms(self) -> float | None:
        return min(self._pings)[1] if self._pings else None

    @property
    def round_trip_ms(self) -> float | None:
        return min(self._pings)[0] if self._pings else None


class NearDelays:
    """The sender's stages: when sound was heard, recognised and sent."""

    def __init__(self) -> None:
        self._zero = Average(memory=200)
        self._capture = Average()
        self._recognise = Average()
        self._packetise = Average()
        self._waiting: deque[float] = deque(maxlen=256)  # when events came; drops the oldest

    def on_samples(self, samples: int, total: int, latency_ms: float, now_ms: float) -> None:
        """``samples`` of ``total`` so far were just read from a device that adds ``latency_ms``."""
        self._zero.add(now_ms - latency_ms - total / 16.0)
        self._capture.add(latency_ms + samples / 32.0)  # on average half the block has waited

    def on_skip(self) -> None:
        """Samples were left out: ticks count from another moment now."""
        self._zero = Average(memory=200)

    def on_event(self, start_tick: int, now_ms: float) -> None:
        whole_ms = now_ms - (self._zero.value + start_tick * TICK_MS)
        self._recognise.add(max(0.0, whole_ms - self._capture.value))
        self._waiting.append(now_ms)

    def on_packet(self, now_ms: float) -> None:
        """A packet left with everything that was waiting."""
        while self._waiting:
            self._packetise.add(now_ms - self._waiting.popleft())

    def timing(self) -> Timing | None:
        if not self._recognise.known:
            return None
        return Timing(
            self._zero.value, self._capture.value, self._recognise.value, self._packetise.value
        )


class FarDelays:
    """The receiver's view: the sender's stages as told, the rest as seen here."""

    def __init__(self) -> None:
        self.timing: Timing | None = None
        self.offset_ms: float | None = None
        """The talker's clock minus ours; applied late, because it gets better with every ping."""
        self._arrival = Average(memory=40)  # our clock minus time on the talker's tick scale
        self._playout = Average(memory=40)
        self._synthesise = Average(memory=40)
        self._opus = Average(memory=40)

    def on_arrival(self, start_tick: int, now_ms: float) -> None:
        """An event's first copy came."""
        self._arrival.add(now_ms - start_tick * TICK_MS)

    def on_spoken(self, waited_ms: float, to_ear_ms: float) -> None:
        """Playout gave an event to the voice after ``waited_ms``; it is heard ``to_ear_ms``
        later: synthesis, its look-ahead, what is queued and the loudspeaker."""
        self._playout.add(max(0.0, waited_ms))
        self._synthesise.add(max(0.0, to_ear_ms))

    def on_opus(self, media_ms: float, heard_ms: float) -> None:
        """Opus sound of media time ``media_ms`` (from tick 0) is heard at ``heard_ms``."""
        self._opus.add(heard_ms - media_ms)

    def _since_spoken(self, average: Average) -> float:
        if self.timing is None or self.offset_ms is None or not average.known:
            return 0.0
        return max(0.0, average.value - (self.timing.tick_zero_ms - self.offset_ms))

    @property
    def opus_ms(self) -> float:
        return self._since_spoken(self._opus)

    def stages(self) -> Mapping[str, float]:
        timing = self.timing or Timing(0.0, 0.0, 0.0, 0.0)
        before = timing.capture_ms + timing.recognise_ms + timing.packetise_ms
        return MappingProxyType(
            {
                "capture": timing.capture_ms,
                "recognise": timing.recognise_ms,
                "packetise": timing.packetise_ms,
                "network": max(0.0, self._since_spoken(self._arrival) - before),
                "playout": self._playout.value,
                "synthesise": self._synthesise.value,
            }
        )
