"""Events ↔ packet payloads: the last events in every packet, new ones with all their layers.

A packet leaves when its oldest new event has waited as long as the policy allows, not by a timer:
that bounds the delay with the fewest headers. A payload's anchor (``transport.payload``) is the oldest
event not sent before; a payload without a block says only which event is the newest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from engine.bitstream import encode_block
from engine.events import TICK_MS, PhonemeEvent
from transport.depacketizer import Depacketizer
from transport.payload import MAX_PACKET_EVENTS, PayloadHeader, timestamp_of
from transport.policy import (
    DEFAULT_CEILING_BPS,
    RECOGNISER_LAG_MS,
    PacketPlan,
    plan_packets,
)
from transport.reports import UNKNOWN_LOSS, ReceiverReport

__all__ = ["Depacketizer", "Packetizer"]

COMFORT_INTERVAL_MS: Final = 1000.0
MAX_NEW_EVENTS: Final = 16  # a packet leaves early rather than carry more
HISTORY_EVENTS: Final = 64
PENDING_EVENTS: Final = 512
REPORT_WEIGHT: Final = 0.15  # of a new report: the receiver's window sees some forty packets
BURST_WEIGHT: Final = 0.2  # it sees ten runs of lost packets at most
EARLY_REPORTS: Final = 12  # they cannot tell bursts from chance
OVERDUE: Final = 1.3  # copies do not wait longer than so many intervals for new events to age
SUDDEN_WEIGHT: Final = 0.7
FIRST_REPORTS: Final = 4  # each knows much more than the one before
WINDOW_PACKETS: Final = 40.0
SUDDEN: Final = (0.05, 2.5)  # a rise by that much and that many deviations is more than chance
CLOCK_WINDOW_EVENTS: Final = 128
MAX_LAG_SPREAD_MS: Final = 120.0
PAUSE_PATIENCE_MS: Final = 400.0


@dataclass(slots=True)
class _Sent:
    event: PhonemeEvent
    first_sent_ms: float
    copies: int = 1
    coded: int = 0
    """Sendings that carried codes."""


class Packetizer:
    """Decides when a packet leaves and which events ride in it.

    Call ``push`` as events come, ``poll`` at least every 20 ms. ``ceiling_bps`` bounds the wire
    rate, headers included.
    """

    def __init__(self, ceiling_bps: float = DEFAULT_CEILING_BPS) -> None:
        self._ceiling_bps = ceiling_bps
        self._report: ReceiverReport | None = None
        self._reports = 0
        self._plan = plan_packets(None, ceiling_bps, early=True)
        self._interval_ms = self._plan.interval_ms  # at which reports were measured
        self._usual_loss = UNKNOWN_LOSS
        self._pending: deque[PhonemeEvent] = deque(maxlen=PENDING_EVENTS)  # drops the oldest
        self._history: deque[_Sent] = deque(maxlen=HISTORY_EVENTS)  # drops the oldest
        # (known at ms - end of event ms): the least of them is the recogniser's shortest lag
        self._lags_ms: deque[float] = deque(maxlen=CLOCK_WINDOW_EVENTS)  # drops the oldest
        self._seen_index = -1
        self._far = False
        """Whether the next packet repeats events from as far back as the plan reaches."""
        self._acked_index = -1
        self._last_sent_ms: float | None = None

    @property
    def plan(self) -> PacketPlan:
        return self._plan

    def set_ceiling(self, ceiling_bps: float) -> None:
        """Change the wire-rate ceiling; holds from the next packet on."""
        self._ceiling_bps = ceiling_bps
        self._choose()

    def push(self, events: Iterable[PhonemeEvent]) -> None:
        """Take new events, in order of index."""
        self._pending.extend(events)

    def on_report(self, report: ReceiverReport) -> None:
        """Follow the far end's report: slowly, unless the link suddenly got worse."""
        known = self._report or replace(report, burst_ms=0.0)
        self._reports += 1
        sudden = self._reports <= FIRST_REPORTS or self._sudden(known, report)
        weight = SUDDEN_WEIGHT if sudden else REPORT_WEIGHT
        burst_weight = max(BURST_WEIGHT, 1.0 / (self._reports + 2))
        burst_ms = report.burst_ms or known.burst_ms  # without loss nothing is known about runs
        self._report = replace(
            report,
            fraction_lost=_blend(known.fraction_lost, report.fraction_lost, weight),
            burst_ms=_blend(known.burst_ms, burst_ms, burst_weight),
        )
        # Blended alike, the three tell how many packets long the runs were, and chance makes them.
        self._usual_loss = _blend(self._usual_loss, report.fraction_lost, BURST_WEIGHT)
        self._interval_ms = _blend(self._interval_ms, self._plan.interval_ms, BURST_WEIGHT)
        self._acked_index = max(self._acked_index, min(report.acked_index, self._newest_sent()))
        self._choose()

    def _sudden(self, known: ReceiverReport, report: ReceiverReport) -> bool:
        """Whether more is lost than chance explains; packets lost in runs are fewer chances."""
        lost = min(max(known.fraction_lost, 0.02), 0.98)
        run = min(max(known.burst_ms / self._interval_ms, 1.0 / (1.0 - lost)), 10.0)
        deviation = math.sqrt(lost * (1.0 - lost) * run / WINDOW_PACKETS)
        return report.fraction_lost > known.fraction_lost + SUDDEN[0] + SUDDEN[1] * deviation

    def _choose(self) -> None:
        # The shortest lag is taken for RECOGNISER_LAG_MS; what the others exceed it by is known.
        lags_ms = self._lags_ms
        spread_ms = sum(lags_ms) / len(lags_ms) - min(lags_ms) if lags_ms else 0.0
        lag_ms = RECOGNISER_LAG_MS + min(spread_ms, MAX_LAG_SPREAD_MS)
        early = self._reports < EARLY_REPORTS
        self._plan = plan_packets(
            self._report, self._ceiling_bps, self._interval_ms, lag_ms, self._usual_loss, early
        )

    def poll(self, now_ms: float) -> list[tuple[int, bytes]]:
        """Packets that leave now, as (RTP timestamp, payload). Never more than a few."""
        self._watch_clock(now_ms)
        packets = []
        while self._pending and (
            len(self._pending) > MAX_NEW_EVENTS
            or self._age_ms(now_ms) >= self._plan.age_ms
            or self._overdue(now_ms)
        ):
            packets.append(self._packet(now_ms))
            self._last_sent_ms = now_ms
        if not packets:
            packets += self._repeat(now_ms)
        if packets:
            self._last_sent_ms = now_ms
            self._far = not self._far
        return packets

    def _overdue(self, now_ms: float) -> bool:
        """Whether copies are due that nothing else carries yet: a pause that is pending may last."""
        waited_ms = self._waited_ms(now_ms)
        return waited_ms >= OVERDUE * self._plan.interval_ms and bool(self._wanted(now_ms))

    def _waited_ms(self, now_ms: float) -> float:
        """Since the last packet; 0 before the first."""
        return 0.0 if self._last_sent_ms is None else now_ms - self._last_sent_ms

    def _watch_clock(self, now_ms: float) -> None:
        for event in self._pending:
            if event.index > self._seen_index:
                self._seen_index = event.index
                if event.is_silence:  # pauses are known late: they say nothing about the rest
                    continue
                self._lags_ms.append(now_ms - event.end_tick * TICK_MS)

    def _age_ms(self, now_ms: float) -> float:
        """How long ago the oldest pending event began, on the talker's own time line. A pause
        hurries nobody: it waits for what follows, but not for ever."""
        oldest = next((e for e in self._pending if not e.is_silence), None)
        patience_ms = 0.0 if oldest else PAUSE_PATIENCE_MS
        begin_ms = (oldest or self._pending[0]).start_tick * TICK_MS
        shortest_ms = min(self._lags_ms) if self._lags_ms else RECOGNISER_LAG_MS
        return now_ms - begin_ms - shortest_ms + RECOGNISER_LAG_MS - patience_ms

    def _newest_sent(self) -> int:
        return self._history[-1].event.index if self._history else -1

    def _wanted(self, now_ms: float) -> list[_Sent]:
        """Sent events whose copies are due, oldest first, without holes in the indices."""
        plan = self._plan
        far = self._far or self._waited_ms(now_ms) >= 2.0 * plan.interval_ms
        reach_ms = plan.reach_ms if far else 0.0
        first = len(self._history)
        for place in range(len(self._history) - 1, -1, -1):
            sent = self._history[place]
            if sent.event.index <= self._acked_index:
                break
            if sent.copies < plan.copies or now_ms - sent.first_sent_ms < reach_ms:
                first = place
        return list(self._history)[first:]

    def _packet(self, now_ms: float) -> tuple[int, bytes]:
        new = [self._pending.popleft() for _ in range(min(MAX_NEW_EVENTS, len(self._pending)))]
        older = self._wanted(now_ms)[-(MAX_PACKET_EVENTS - len(new)) :]
        if older and older[-1].event.index + 1 != new[0].index:
            older = []
        for sent in older:
            sent.copies += 1
        fresh = [_Sent(event, now_ms) for event in new]
        self._history.extend(fresh)
        sending = older + fresh
        layers = [self._layers(sent) for sent in sending]
        return _pack([sent.event for sent in sending], len(older), layers)

    def _repeat(self, now_ms: float) -> list[tuple[int, bytes]]:
        """Copies that are still due when nothing new comes, and the comfort update."""
        if self._last_sent_ms is None:
            return []
        waited_ms = self._waited_ms(now_ms)
        if self._pending or waited_ms < self._plan.interval_ms:
            return []
        due = self._wanted(now_ms)[-MAX_PACKET_EVENTS:]
        if not due and waited_ms < COMFORT_INTERVAL_MS:
            return []
        if not due:  # the header is paid anyway: repeat what nobody acknowledged yet
            due = [s for s in self._history if s.event.index > self._acked_index][-8:]
        if not due:
            newest = self._history[-1].event
            return [(timestamp_of(newest.end_tick), PayloadHeader(0, newest.index).to_bytes())]
        layers = [self._layers(sent) for sent in due]
        for sent in due:
            sent.copies += 1
        events = [sent.event for sent in due]
        return [_pack(events, len(events) - 1, layers)]

    def _layers(self, sent: _Sent) -> int:
        """How many codes this sending of an event carries; it is counted."""
        layers = min(self._plan.layers_after(sent.coded), len(sent.event.codes))
        sent.coded += layers > 0
        return layers


def _pack(events: list[PhonemeEvent], anchor: int, layers: list[int]) -> tuple[int, bytes]:
    header = PayloadHeader(anchor, events[anchor].index).to_bytes()
    return timestamp_of(events[anchor].start_tick), header + encode_block(events, layers)


def _blend(old: float, new: float, weight: float) -> float:
    return old + weight * (new - old)
