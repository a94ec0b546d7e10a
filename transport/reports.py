"""What a receiver tells the sender about the link, and the meter that measures it.

Media packets go in, one small frozen ``ReceiverReport`` comes out about once a second; the far
end's packetizer chooses its redundancy from it. Nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from transport.link import MediaPacket

REPORT_INTERVAL_MS = 1000.0
WINDOW_MS = 6000.0  # some thirty packets at the rates speech needs: enough to see 3 % loss
WINDOW_PACKETS = 512  # bounds the window's memory when somebody floods
RESTART_S = 30  # timestamps that far back are a talker who began anew
UNKNOWN_LOSS = 0.25  # what is assumed of a link that nobody has tried
UNKNOWN_PACKETS = 20  # until so many were seen
SETTLE_MS = 250.0  # a packet that late may still only be reordered


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """How one end receives the phoneme arm. The far end adapts to it."""

    fraction_lost: float = 0.0
    """Packets lost among those expected over the last seconds, 0 ... 1, before redundancy."""
    burst_ms: float = 0.0
    """Mean duration of a run of lost packets, in ms of media time; 0 where nothing was lost."""
    jitter_ms: float = 0.0
    """Interarrival jitter after RFC 3550, section 6.4.1."""
    acked_index: int = -1
    """Every event up to and including this index was received or is no longer wanted;
    -1 before the first."""
    round_trip_ms: float | None = None
    """Round trip as this receiver measures it; None before it knows."""


class ReceptionMeter:
    """Loss, burst length and jitter of one arm, from the packets that did arrive.

    ``clock_rate`` is that of the RTP timestamps (16 kHz for phonemes, 48 kHz for Opus).
    """

    def __init__(self, clock_rate: int = 16_000) -> None:
        self._clock_rate = clock_rate
        # (sequence number, timestamp, arrival ms), by sequence number; drops the oldest
        self._window: deque[tuple[int, int, float]] = deque(maxlen=WINDOW_PACKETS)
        self._newest: MediaPacket | None = None
        self._jitter_ms = 0.0
        self._packets = 0

    @property
    def jitter_ms(self) -> float:
        return self._jitter_ms

    def on_packet(self, packet: MediaPacket) -> None:
        """Count one packet; copies and packets older than the window change nothing."""
        self._packets += 1
        self._measure_jitter(packet)
        entry = (packet.sequence_number, packet.timestamp, packet.arrival_ms)
        window = self._window
        if not window or packet.sequence_number > window[-1][0]:
            window.append(entry)
            return
        if packet.sequence_number < window[0][0]:
            return
        place = len(window)
        while window[place - 1][0] > packet.sequence_number:
            place -= 1
        if window[place - 1][0] == packet.sequence_number:
            return
        if len(window) == window.maxlen:
            window.popleft()
            place -= 1
        window.insert(place, entry)

    def _measure_jitter(self, packet: MediaPacket) -> None:
        """Over packets with newer media than any before: one of nothing but repeated events has
        an old timestamp however well it travelled."""
        newest = self._newest
        if newest is not None:
            newer = packet.timestamp - newest.timestamp & 0xFFFFFFFF
            if newer > 0x80000000 and 2**32 - newer > RESTART_S * self._clock_rate:
                self._newest = packet
                return
            if not 0 < newer < 0x80000000:
                return
            spacing_ms = packet.arrival_ms - newest.arrival_ms
            change_ms = abs(spacing_ms - newer * 1000.0 / self._clock_rate)
            self._jitter_ms += (change_ms - self._jitter_ms) / 16.0
        self._newest = packet

    def report(
        self, now_ms: float, acked_index: int = -1, round_trip_ms: float | None = None
    ) -> ReceiverReport:
        """What to tell the sender now. Holes younger than SETTLE_MS are not called lost yet."""
        window = self._window
        while len(window) > 2 and now_ms - window[0][2] > WINDOW_MS:
            window.popleft()
        received = lost = bursts = 0
        usual_ms: list[float] = []  # from one packet to the next
        previous: tuple[int, int, float] | None = None
        for entry in window:
            if previous is not None:
                hole = entry[0] - previous[0] - 1
                span_ms = (entry[1] - previous[1]) * 1000.0 / self._clock_rate
                if hole == 0:
                    usual_ms.append(span_ms)
                elif now_ms - entry[2] >= SETTLE_MS:
                    usual_ms.append(span_ms / (hole + 1))
                    lost += hole
                    bursts += 1
            received += 1
            previous = entry
        # By the usual spacing: what was lost on the edge of a pause did not last as long as it.
        apart_ms = min(max(sorted(usual_ms)[len(usual_ms) // 2], 0.0), WINDOW_MS) if lost else 0.0
        guessed = max(0, UNKNOWN_PACKETS - self._packets)
        expected = lost + received + guessed
        return ReceiverReport(
            fraction_lost=(lost + UNKNOWN_LOSS * guessed) / expected if expected else 0.0,
            burst_ms=lost / bursts * apart_ms if bursts else 0.0,
            jitter_ms=self._jitter_ms,
            acked_index=acked_index,
            round_trip_ms=round_trip_ms,
        )
