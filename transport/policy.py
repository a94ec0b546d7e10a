"""How the phoneme stream is cut into packets: a pure function of what the receiver reports.

Loss, burst length and the user's rate ceiling go in; how long an event may wait, how many copies of it
are sent over how long, and how many articulation layers ride along come out. No state, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from transport.reports import ReceiverReport

HEADER_BYTES: Final = 44
"""IPv4 20 + UDP 8 + RTP 12 + SRTP tag 4, paid for every packet."""
PACKET_BYTES: Final = 5.0  # payload header 3, and what a block costs beyond its events
EVENTS_PER_S: Final = 11.5
EVENT_BITS: Final = 13.5
LAYER_BITS: Final = 8.0
RECOGNISER_LAG_MS: Final = 140.0
"""The least that passes between an event's end and its being known, capture included."""
BATCH_MS: Final = 80.0
"""Events become known in batches: the recogniser thinks that often."""
BEGUN_MS: Final = 10.0
"""The oldest event a packet leaves behind had begun that long before what was known, net of the
batch that a deadline waits for. Measured by ``benchmarks.packet_policy``."""

CLEAN_BUDGET_BPS: Final = 3_000.0
BURST_BUDGET_BPS: Final = 3_800.0
BURST_AS_LOSS: Final = 0.1  # in bursts packets leave no more often than at this loss
DEFAULT_CEILING_BPS: Final = 6_000.0
SAFETY: Final = 0.96
"""Copies without holes in their numbers cost a little more than ``PacketPlan.wire_bps`` expects."""
MISSING_TARGET: Final = 0.004
"""Share of events of which no copy may arrive: half of what the product promises."""
MAX_COPIES: Final = 9
CODED_SENDINGS: Final = 3
"""The first code repairs a quarter of the misheard words: worth more than one chance to arrive."""
CODE_PATIENCE_MS: Final = 60.0
"""How much longer an event may wait so that its first code still fits the budget."""
MAX_SPREAD_MS: Final = 1500.0
MIN_BURST_SPREAD_MS: Final = 750.0
BURSTY: Final = ((0.25, 1.2), (1.0, 1.5))
"""(loss below, times): runs of lost packets that many times as long as independent losses make
are bursts. Where much is lost, taking chance for bursts would cost delay."""


@dataclass(frozen=True, slots=True)
class PacketPlan:
    """What the packetizer does until the next report."""

    age_ms: float
    """A packet leaves when the oldest event not yet sent began this long ago."""
    copies: int
    """How often each event is sent, the first time included."""
    spread_ms: float
    """Copies go on until this long after the first, even when ``copies`` were sent."""
    layers: int
    """Articulation codes of new events, 0 ... 3. The first code goes into the first
    ``CODED_SENDINGS`` sendings of an event, the others into the first alone."""
    lag_ms: float = RECOGNISER_LAG_MS + BATCH_MS / 2
    """From an event's end to its being known, on average."""

    @property
    def interval_ms(self) -> float:
        """About how far apart packets leave while someone talks."""
        return max(40.0, self.age_ms - self.lag_ms - BEGUN_MS)

    @property
    def wire_bps(self) -> float:
        """Expected rate while someone talks, headers included."""
        packets = 1000.0 / self.interval_ms
        copies = max(self.copies, 1 + math.ceil(self.spread_ms / self.interval_ms - 0.5))
        codes = self.layers + min(self.layers, 1) * (min(copies, CODED_SENDINGS) - 1)
        event_bits = copies * EVENT_BITS + codes * LAYER_BITS
        return packets * 8.0 * (HEADER_BYTES + PACKET_BYTES) + EVENTS_PER_S * event_bits


_INTERVALS_MS: Final = (
    (0.0, 235.0), (0.01, 185.0), (0.05, 170.0), (0.15, 140.0), (0.2, 115.0), (0.26, 77.0), (0.45, 80.0),
)  # fmt: skip
"""(loss, interval): more packets a second when many are lost, because a copy then comes sooner."""


def _age_ms(loss: float, lag_ms: float) -> float:
    """The wait that makes the interval wanted. Linear between the points of ``_INTERVALS_MS``, so
    that a noisy report changes little."""
    interval_ms = _INTERVALS_MS[-1][1]
    for (low, most_ms), (high, least_ms) in zip(_INTERVALS_MS, _INTERVALS_MS[1:], strict=False):
        if loss < high:
            interval_ms = most_ms + (least_ms - most_ms) * (loss - low) / (high - low)
            break
    return interval_ms + lag_ms + BEGUN_MS


def plan_packets(
    report: ReceiverReport | None,
    ceiling_bps: float = DEFAULT_CEILING_BPS,
    interval_ms: float | None = None,
    lag_ms: float = RECOGNISER_LAG_MS + BATCH_MS / 2,
) -> PacketPlan:
    """Choose the plan for what the receiver reports; None before the first report.

    ``interval_ms``: how far apart packets were while the report was measured; by default what the
    plan for this loss would make it. Runs of lost packets are judged against it. ``lag_ms``: how
    long after their end events become known, on average; it bounds how far apart packets can be.

    ===================  ======  ======  =========  ======  =========
    link                 age ms  copies  spread ms  layers  wire kb/s
    ===================  ======  ======  =========  ======  =========
    unknown (at start)   360     2       0          3       3.3
    clean (no loss)      425     1       0          3       2.3
    5 % random           360     2       0          3       3.3
    10 % random          345     3       0          3       3.8
    20 %, 250 ms bursts  405     2       1500       1       3.6
    20 % random          305     4       0          3       4.9
    30 % random          288     5       0          1       5.6
    50 % random          300     8       0          1       5.5
    ===================  ======  ======  =========  ======  =========

    The runs of lost packets that a receiver reports for 250 ms outages are about 400 ms long. The
    budget is ``CLEAN_BUDGET_BPS`` on a clean link and grows with the loss to 6 kb/s, bounded by
    ``ceiling_bps``, the user's setting. Over budget, fine layers are dropped first, then the first
    one, then packets leave less often (``age_ms`` grows), and only then copies go; events
    themselves are never dropped.
    """
    loss = 0.05 if report is None else min(max(report.fraction_lost, 0.0), 0.9)
    burst_ms = 0.0 if report is None else max(report.burst_ms, 0.0)
    age_ms = _age_ms(loss, lag_ms)
    copies = 1
    if loss >= 0.01:
        copies = min(MAX_COPIES, max(2, math.ceil(math.log(MISSING_TARGET) / math.log(loss))))
    plan = PacketPlan(age_ms, copies, 0.0, 3, lag_ms)
    budget_bps = _budget_bps(loss)
    usual_ms = (interval_ms or plan.interval_ms) / (1.0 - loss)
    bursty = next(times for below, times in BURSTY if loss < below)
    if loss >= 0.01 and burst_ms > bursty * usual_ms:
        # Bursts of mean length b last longer than s with probability exp(-s / b): more packets do
        # not help, more time between the first and the last copy does.
        outlast_ms = burst_ms * math.log(max(loss / MISSING_TARGET, 1.0))
        spread_ms = min(max(outlast_ms, MIN_BURST_SPREAD_MS), MAX_SPREAD_MS)
        plan = PacketPlan(max(age_ms, _age_ms(BURST_AS_LOSS, lag_ms)), 2, spread_ms, 3, lag_ms)
        budget_bps = max(BURST_BUDGET_BPS, _budget_bps(loss - 0.15))
    return _within(plan, SAFETY * min(ceiling_bps, budget_bps))


def _budget_bps(loss: float) -> float:
    """What the loss warrants, before the user's ceiling: from 3 kb/s, 6 kb/s at 24 % and more."""
    share = min(max(loss, 0.0) / 0.24, 1.0)
    return CLEAN_BUDGET_BPS + share * (DEFAULT_CEILING_BPS - CLEAN_BUDGET_BPS)


def _within(plan: PacketPlan, budget_bps: float) -> PacketPlan:
    """The nearest plan that fits the budget: fine layers go first, then a little time, then the first
    layer, then packets, then copies."""
    patient_ms = plan.age_ms + CODE_PATIENCE_MS
    while plan.wire_bps > budget_bps:
        age_ms, copies, spread_ms, layers = plan.age_ms, plan.copies, plan.spread_ms, plan.layers
        if layers > 1:
            layers -= 1
        elif layers and age_ms < patient_ms:
            age_ms += 10.0
        elif layers:
            layers, age_ms = 0, patient_ms - CODE_PATIENCE_MS
        elif age_ms < 500.0:
            age_ms += 10.0
        elif copies > 1 or spread_ms > 0:
            copies, spread_ms = max(1, copies - 1), max(0.0, spread_ms - 250.0)
        elif age_ms < 1000.0:
            age_ms += 10.0
        else:
            break
        plan = PacketPlan(age_ms, copies, spread_ms, layers, plan.lag_ms)
    return plan
