"""How the phoneme stream is cut into packets: a pure function of what the receiver reports.

Loss, burst length and the user's rate ceiling go in; how long an event may wait, how many copies of it
are sent over how long, and how many articulation layers ride along come out. No state, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from transport.reports import ReceiverReport

HEADER_BYTES: Final = 50
"""IPv4 20 + UDP 8 + RTP 12 + SRTP tag 10, paid for every packet."""
PACKET_BYTES: Final = 5.0  # payload header 3, and what a block costs beyond its events
EVENTS_PER_S: Final = 11.5
EVENT_BITS: Final = 13.5
LAYER_BITS: Final = 8.0
RECOGNISER_LAG_MS: Final = 120.0
"""What passes between an event's end and its being known, capture blocks included."""
HALF_EVENT_MS: Final = 45.0
"""The event being spoken when a packet leaves has begun that long before, on average."""

CLEAN_BUDGET_BPS: Final = 3_000.0
LOSSY_BUDGET_BPS: Final = 4_000.0
DEFAULT_CEILING_BPS: Final = 6_000.0
MISSING_TARGET: Final = 0.004
"""Share of events of which no copy may arrive: half of what the product promises."""
MAX_COPIES: Final = 9
MAX_SPREAD_MS: Final = 1500.0
MIN_BURST_SPREAD_MS: Final = 750.0
BURSTY: Final = 1.6
"""Runs of lost packets this many times as long as independent losses would make are bursts."""


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
    """Articulation codes of new events, 0 ... 3; copies carry none."""

    @property
    def interval_ms(self) -> float:
        """About how far apart packets leave while someone talks."""
        return max(40.0, self.age_ms - RECOGNISER_LAG_MS - HALF_EVENT_MS)

    @property
    def wire_bps(self) -> float:
        """Expected rate while someone talks, headers included."""
        packets = 1000.0 / self.interval_ms
        copies = max(self.copies, 1 + math.ceil(self.spread_ms / self.interval_ms - 0.5))
        event_bits = copies * EVENT_BITS + self.layers * LAYER_BITS
        return packets * 8.0 * (HEADER_BYTES + PACKET_BYTES) + EVENTS_PER_S * event_bits


_AGES_MS: Final = ((0.01, 375.0), (0.12, 330.0), (0.24, 300.0), (1.01, 265.0))
"""Loss below → age. More packets a second when many are lost: a copy then comes sooner."""


def plan_packets(
    report: ReceiverReport | None, ceiling_bps: float = DEFAULT_CEILING_BPS
) -> PacketPlan:
    """Choose the plan for what the receiver reports; None before the first report.

    ==================  ======  =======  ==========  ======  =========
    link                age ms  copies   spread ms   layers  wire kb/s
    ==================  ======  =======  ==========  ======  =========
    unknown (at start)  330     2        0           3       3.2
    clean (loss < 1 %)  375     1        0           3       2.5
    5 % random          330     2        0           2       3.1
    20 %, 250 ms bursts 330     2        980         1       3.8
    20 % random         300     4        0           2       4.0
    30 % random         265     5        0           3       5.4
    50 % random         265     8        0           1       5.7
    ==================  ======  =======  ==========  ======  =========

    The budget is ``CLEAN_BUDGET_BPS`` on a clean link and grows with the loss up to
    ``ceiling_bps``, the user's setting. Over budget, layers are dropped first, then packets are
    sent less often (``age_ms`` grows), and only then copies; events themselves are never dropped.
    """
    loss = 0.05 if report is None else min(max(report.fraction_lost, 0.0), 0.9)
    burst_ms = 0.0 if report is None else max(report.burst_ms, 0.0)
    age_ms = next(age for below, age in _AGES_MS if loss < below)
    copies = 1
    if loss >= 0.01:
        copies = min(MAX_COPIES, max(2, math.ceil(math.log(MISSING_TARGET) / math.log(loss))))
    plan = PacketPlan(age_ms, copies, 0.0, 3)
    if loss >= 0.01 and burst_ms > BURSTY * plan.interval_ms / (1.0 - loss):
        # Bursts of mean length b last longer than s with probability exp(-s / b): more packets do
        # not help, more time between the first and the last copy does.
        outlast_ms = burst_ms * math.log(max(loss / (2 * MISSING_TARGET), 1.0))
        spread_ms = min(max(outlast_ms, MIN_BURST_SPREAD_MS), MAX_SPREAD_MS)
        plan = PacketPlan(max(age_ms, 330.0), 2, spread_ms, 3)
    budget_bps = min(ceiling_bps, _budget_bps(loss))
    return _within(plan, budget_bps)


def _budget_bps(loss: float) -> float:
    """What the loss warrants, before the user's ceiling."""
    if loss < 0.12:
        return CLEAN_BUDGET_BPS + loss * 5_000.0
    return LOSSY_BUDGET_BPS if loss < 0.24 else DEFAULT_CEILING_BPS


def _within(plan: PacketPlan, budget_bps: float) -> PacketPlan:
    """The nearest plan that fits the budget: layers go first, then packets, then copies."""
    while plan.wire_bps > budget_bps:
        age_ms, copies, spread_ms, layers = plan.age_ms, plan.copies, plan.spread_ms, plan.layers
        if layers > 0:
            layers -= 1
        elif age_ms < 500.0:
            age_ms += 10.0
        elif copies > 1 or spread_ms > 0:
            copies, spread_ms = max(1, copies - 1), max(0.0, spread_ms - 250.0)
        elif age_ms < 1000.0:
            age_ms += 10.0
        else:
            break
        plan = PacketPlan(age_ms, copies, spread_ms, layers)
    return plan
