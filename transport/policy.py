"""How the phoneme stream is cut into packets: a pure function of what the receiver reports.

Loss, burst length and the user's rate ceiling go in; how long an event may wait, how many copies of it
are sent over how long, and how many articulation layers ride along come out. No state, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from engine.events import MAX_LAYERS
from transport.reports import UNKNOWN_LOSS, ReceiverReport

HEADER_BYTES: Final = 44
"""IPv4 20 + UDP 8 + RTP 12 + SRTP tag 4, paid for every packet."""
PACKET_BYTES: Final = 5.5  # payload header 3, and what a block costs beyond its events
EVENTS_PER_S: Final = 12.0
EVENT_BITS: Final = 12.5
CODE_BITS: Final = 7.5
RECOGNISER_LAG_MS: Final = 140.0
"""The least that passes between an event's end and its being known, capture included."""
BATCH_MS: Final = 60.0
"""Events become known in batches: the recogniser thinks that often."""
BEGUN_MS: Final = 10.0
"""The oldest event a packet leaves behind had begun that long before what was known, net of the
batch that a deadline waits for. Measured by ``benchmarks.packet_policy``."""

CLEAN_BUDGET_BPS: Final = 2_500.0
HEAVY_BUDGET_BPS: Final = 5_370.0
BURST_BUDGET_BPS: Final = 3_300.0
"""All three without the reports that come back, which cost some 300 bit/s."""
BURST_INTERVAL_MS: Final = 250.0
"""In bursts more packets do not help: the wire goes to what they carry."""
DEFAULT_CEILING_BPS: Final = 6_000.0
MISSING_TARGET: Final = 0.0018
"""Share of events of which no copy may arrive: the product promises 1 %, and reports are guesses."""
MAX_COPIES: Final = 12
CODE_GAINS: Final = (2.9, 0.9, 0.65, 0.45)
"""Word errors in a hundred that each articulation code repairs, after the ones before it: the five
that all four repair, shared out as they raise ESTOI (the words of one code are too few to count). A
code beyond those counted is taken to be worth as much as the last."""
NO_CODES: Final = (0,) * MAX_LAYERS
LEAST_GAIN: Final = 0.02
"""A sending of a code that repairs less is not worth its bits."""
FIRST_SENDINGS: Final = 3
CODE_PATIENCE_MS: Final = 60.0
"""How much longer an event may wait so that ``FIRST_SENDINGS`` of its first code fit the budget."""
BURST_COPIES: Final = 4
BURST_REACH_MS: Final = 1400.0
"""In bursts at least four packets in a row carry an event and then every other one, as long as it
may still come in time to be spoken: an outage is outlasted at half the price."""
EARLY_REACH_MS: Final = 1200.0
"""The same before enough was heard to tell bursts from chance: losses at the start are bursts too."""
CHANCE: Final = (0.08, 0.2)
"""By how much likelier a packet is lost after a lost one: below the first that may be chance, from
the second on it is bursts."""


@dataclass(frozen=True, slots=True)
class PacketPlan:
    """What the packetizer does until the next report."""

    age_ms: float
    """A packet leaves when the oldest event not yet sent began this long ago."""
    copies: int
    """How often each event is sent, the first time included."""
    reach_ms: float = 0.0
    """Every other packet repeats what was first sent up to this long ago."""
    code_sendings: tuple[int, ...] = NO_CODES
    """How many sendings of an event carry its first, its second … code; never rising."""
    lag_ms: float = RECOGNISER_LAG_MS + BATCH_MS / 2
    """From an event's end to its being known, on average."""

    @property
    def layers(self) -> int:
        """Articulation codes of new events, 0 ... MAX_LAYERS."""
        return sum(count > 0 for count in self.code_sendings)

    def layers_after(self, sendings: int) -> int:
        """Codes of an event's next copy when that many carried codes already."""
        return sum(count > sendings for count in self.code_sendings)

    @property
    def interval_ms(self) -> float:
        """About how far apart packets leave while someone talks."""
        return max(40.0, self.age_ms - self.lag_ms - BEGUN_MS)

    @property
    def sendings(self) -> int:
        """How many packets carry an event, on average."""
        beyond = self.reach_ms / self.interval_ms - self.copies + 0.5
        return self.copies + max(0, round(beyond / 2))

    @property
    def wire_bps(self) -> float:
        """Expected rate while someone talks, headers included."""
        packets = 1000.0 / self.interval_ms
        event_bits = self.sendings * EVENT_BITS + sum(self.code_sendings) * CODE_BITS
        return packets * 8.0 * (HEADER_BYTES + PACKET_BYTES) + EVENTS_PER_S * event_bits


_INTERVALS_MS: Final = (
    (0.0, 220.0), (0.01, 195.0), (0.05, 180.0), (0.15, 150.0), (0.2, 125.0), (0.3, 97.0), (0.5, 140.0),
)  # fmt: skip
"""(loss, interval): more packets a second when many are lost, because a copy then comes sooner; but
not beyond what leaves room for codes."""


def _interval_ms(loss: float) -> float:
    """Linear between the points of ``_INTERVALS_MS``, so that a noisy report changes little."""
    for (low, most_ms), (high, least_ms) in zip(_INTERVALS_MS, _INTERVALS_MS[1:], strict=False):
        if loss < high:
            return most_ms + (least_ms - most_ms) * (loss - low) / (high - low)
    return _INTERVALS_MS[-1][1]


def plan_packets(
    report: ReceiverReport | None,
    ceiling_bps: float = DEFAULT_CEILING_BPS,
    interval_ms: float | None = None,
    lag_ms: float = RECOGNISER_LAG_MS + BATCH_MS / 2,
    usual_loss: float | None = None,
    early: bool = False,
) -> PacketPlan:
    """Choose the plan for what the receiver reports; None before the first report.

    ``interval_ms``: how far apart packets were while the report was measured; by default what the
    plan for this loss would make it. Runs of lost packets are judged against it. ``lag_ms``: how
    long after their end events become known, on average; it bounds how far apart packets can be.
    ``usual_loss``: the loss over as long a time as ``burst_ms`` is the mean of; by default the same.
    ``early``: too little was heard so far to tell bursts from chance.

    ===================  ======  ======  ========  =======  =========
    link                 age ms  copies  reach ms  codes    wire kb/s
    ===================  ======  ======  ========  =======  =========
    unknown (at start)   290     5       1200      2 2 1 1  5.3
    clean (no loss)      400     1       0         1 1 1 1  2.3
    5 % random           360     3       0         2 2 2 2  3.4
    10 % random          345     3       0         3 2 2 2  3.7
    20 %, 250 ms bursts  430     4       1400      4 2 2 2  3.2
    20 % random          305     4       0         4 3 3 2  4.8
    30 % random          275     6       0         2 1 1 0  5.3
    50 % random          320     10      0         4 3 2 2  5.3
    ===================  ======  ======  ========  =======  =========

    The runs of lost packets that a receiver reports for 250 ms outages are about 400 ms long. The
    budget is ``CLEAN_BUDGET_BPS`` on a clean link and grows with the loss to ``HEAVY_BUDGET_BPS``,
    bounded by ``ceiling_bps``, the user's setting. What headers and copies leave of it goes to the
    codes, each sending to the code that repairs most. Over budget, codes are dropped first, then
    packets leave less often (``age_ms`` grows), and only then copies go; events themselves are
    never dropped.
    """
    loss = UNKNOWN_LOSS if report is None else min(max(report.fraction_lost, 0.0), 0.9)
    burst_ms = 0.0 if report is None else max(report.burst_ms, 0.0)
    apart_ms = _interval_ms(loss)
    usual_loss = loss if usual_loss is None else usual_loss
    again, bursty = _again(usual_loss, burst_ms, interval_ms or apart_ms)
    again = max(loss, again)
    if bursty:
        # An outage outlasts two intervals with the square of the chance to outlast one.
        known_ms, apart_ms = interval_ms or apart_ms, _blend(apart_ms, BURST_INTERVAL_MS, bursty)
        again = max(loss, again ** (apart_ms / known_ms))
    copies = 1
    if loss >= 0.01:
        copies = 1 + math.ceil(math.log(MISSING_TARGET / loss) / math.log(loss))
        copies = min(MAX_COPIES, max(2, copies))
    reach_ms = EARLY_REACH_MS if early and copies > 1 else 0.0
    if bursty:
        copies, reach_ms = max(copies, BURST_COPIES), BURST_REACH_MS
    plan = PacketPlan(apart_ms + lag_ms + BEGUN_MS, copies, reach_ms, lag_ms=lag_ms)
    budget_bps = _budget_bps(loss)
    if bursty:
        budget_bps = _blend(budget_bps, max(BURST_BUDGET_BPS, _budget_bps(loss - 0.17)), bursty)
    budget_bps = min(ceiling_bps, budget_bps)
    plan = _within(plan, budget_bps)
    room_bits = (budget_bps - plan.wire_bps) / EVENTS_PER_S
    return replace(plan, code_sendings=_code_sendings(room_bits, plan.sendings, loss, again))


def _again(loss: float, burst_ms: float, interval_ms: float) -> tuple[float, float]:
    """(how likely the packet after a lost one is lost as well, how surely those are bursts: 0 ... 1)."""
    run = max(burst_ms / interval_ms, 1.0)
    again = min(1.0 - 1.0 / run, 0.95)
    low, high = CHANCE
    bursty = min(max((again - loss - low) / (high - low), 0.0), 1.0) if loss >= 0.01 else 0.0
    return max(loss, _blend(loss, again, bursty)), bursty


def _blend(one: float, other: float, share: float) -> float:
    return one + (other - one) * share


def _code_sendings(room_bits: float, sendings: int, loss: float, again: float) -> tuple[int, ...]:
    """Spend ``room_bits`` of an event on its codes: each sending on the one that gains most."""
    counts = [0] * MAX_LAYERS
    while room_bits >= CODE_BITS:
        best, best_gain = -1, LEAST_GAIN
        for layer in range(MAX_LAYERS):
            gain = CODE_GAINS[min(layer, len(CODE_GAINS) - 1)]
            if counts[layer] >= (counts[layer - 1] if layer else sendings):
                continue
            if counts[layer]:
                gain *= loss * again ** (counts[layer] - 1)
            if gain > best_gain:
                best, best_gain = layer, gain
        if best < 0:
            break
        counts[best] += 1
        room_bits -= CODE_BITS
    return tuple(counts)


def _budget_bps(loss: float) -> float:
    """What the loss warrants, before the user's ceiling. The first copies cost 500 bit/s."""
    if loss < 0.01:
        return CLEAN_BUDGET_BPS
    share = min(loss / 0.24, 1.0)
    return _blend(CLEAN_BUDGET_BPS + 500.0, HEAVY_BUDGET_BPS, share)


def _within(plan: PacketPlan, budget_bps: float) -> PacketPlan:
    """The nearest plan that fits the budget, its codes still to be chosen: an event waits a little
    longer for the sake of its first code, then packets leave less often, then copies go."""
    coded = replace(plan, code_sendings=(min(plan.sendings, FIRST_SENDINGS),))
    while coded.wire_bps > budget_bps and coded.age_ms < plan.age_ms + CODE_PATIENCE_MS:
        coded = replace(coded, age_ms=coded.age_ms + 10.0)
    if coded.wire_bps <= budget_bps:
        return replace(coded, code_sendings=NO_CODES)
    while plan.wire_bps > budget_bps:
        age_ms, copies, reach_ms = plan.age_ms, plan.copies, plan.reach_ms
        if age_ms < 500.0:
            age_ms += 10.0
        elif copies > 1 or reach_ms > 0:
            copies, reach_ms = max(1, copies - 1), max(0.0, reach_ms - 250.0)
        elif age_ms < 1000.0:
            age_ms += 10.0
        else:
            break
        plan = replace(plan, age_ms=age_ms, copies=copies, reach_ms=reach_ms)
    return plan
