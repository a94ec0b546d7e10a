"""What the packet policy chooses over loss and bursts, and what that choice delivers.

No audio: events are drawn from the bitstream's own odds, or with ``--clips`` are those
that the live encoder finds in recordings, when it finds them. They cross a simulated link and are
played out on a virtual clock. Prints a Markdown table and writes a plot. Run
``python -m benchmarks.packet_policy --help``.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from engine.bitstream import BlockModel, walk_block
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS, TICK_MS, PhonemeEvent
from engine.playout import Playout, PlayoutAction
from engine.probability import MAX_BLOCK_EVENTS, Odds
from transport.depacketizer import Depacketizer
from transport.impair import Impairment, ImpairmentSettings
from transport.link import MediaPacket
from transport.packetizer import Packetizer
from transport.policy import (
    BATCH_MS,
    DEFAULT_CEILING_BPS,
    HEADER_BYTES,
    RECOGNISER_LAG_MS,
    PacketPlan,
    plan_packets,
)
from transport.reports import REPORT_INTERVAL_MS, ReceiverReport, ReceptionMeter

RESULTS = Path(__file__).resolve().parent / "results"
STEP_MS = 10.0  # how often either end looks: the loops of a call turn that fast
SYNTHESIS_MS = 50.0  # vocoder look-ahead 20, PCM waiting for the loudspeaker 20, device 10
REPORT_BYTES = 16  # header extension that carries a report
QUIET_MS = 400.0  # a pause longer than that does not count as talking


class TalkerSampler:
    """A field coder that draws symbols: events with exactly the statistics of the odds."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def code(self, field: str, odds: Odds, symbol: int) -> int:
        if field == "count":
            return MAX_BLOCK_EVENTS - 1
        if field == "grid":
            return 1  # as all that is spoken live
        if field == "layers":
            return MAX_LAYERS
        if field == "hole_exponent":
            return int(self._rng.integers(2, 6))  # 80 ms ... 1.3 s between sentences
        return int(self._rng.choice(len(odds.weights), p=odds.probabilities))

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        return int(self._rng.integers(levels))


def talk(seconds: float, seed: int, model: BlockModel | None = None) -> list[PhonemeEvent]:
    """At least ``seconds`` of events, indices from 0."""
    sampler = TalkerSampler(seed)
    events: list[PhonemeEvent] = []
    tick = 0
    while tick * TICK_MS < seconds * 1000.0:
        events += walk_block(sampler, len(events), tick, (), model, events)
        tick = events[-1].end_tick
    return events


@dataclass(frozen=True)
class Outcome:
    missing: float
    """Share of events of which no copy arrived."""
    late: float
    """Share of events that were not there when due (missing ones included)."""
    coded: float
    """Share of phonemes spoken with their first code at least."""
    whole: float
    """Share of phonemes spoken with all their codes."""
    delay_p50_ms: float
    delay_p95_ms: float
    """Mouth to ear: from an event's start at the microphone to its start at the loudspeaker."""
    talking_bps: float
    """Wire rate in seconds in which somebody talks."""
    mean_bps: float


def simulate(
    events: Sequence[PhonemeEvent],
    link: ImpairmentSettings,
    seed: int,
    ceiling_bps: float = DEFAULT_CEILING_BPS,
    lag_ms: float = RECOGNISER_LAG_MS,
    known_ms: Sequence[float] | None = None,
) -> Outcome:
    """One talker, one listener; reports cross a link as bad on their way back.

    ``lag_ms``: the least from an event's end at the microphone to its being known; the recogniser
    thinks every BATCH_MS, so it is up to that much longer; ``known_ms`` says instead when each
    event was known.
    """
    forward, backward = Impairment(link, seed), Impairment(link, seed + 1000)
    sender, parser = Packetizer(ceiling_bps), Depacketizer()
    meter, playout = ReceptionMeter(), Playout()
    tie, sequence = count(), count()
    arriving: list[tuple[float, int, MediaPacket]] = []
    reports: list[tuple[float, int, ReceiverReport]] = []
    known_ms = known_ms or [
        math.ceil((event.end_tick * TICK_MS + lag_ms) / BATCH_MS) * BATCH_MS for event in events
    ]
    sent: list[tuple[float, int]] = []
    spoken_ms: dict[int, float] = {}
    codes: dict[int, int] = {}
    arrived: set[int] = set()
    stretch = 1.0 + link.drift_ppm * 1e-6  # of the listener's clock, in which the loop runs
    coming, busy_until_ms, next_report_ms = 0, 0.0, REPORT_INTERVAL_MS
    end_ms = known_ms[-1] + 6000.0
    now_ms = 0.0
    while now_ms < end_ms:
        fresh = []
        while coming < len(events) and known_ms[coming] <= now_ms:
            fresh.append(events[coming])
            coming += 1
        sender.push(fresh)
        while reports and reports[0][0] <= now_ms:
            sender.on_report(heapq.heappop(reports)[2])
        for timestamp, payload in sender.poll(now_ms):
            size = HEADER_BYTES + len(payload)
            sent.append((now_ms, size))
            packet = MediaPacket("phonemes", next(sequence), timestamp, payload, now_ms)
            for at_ms, copy in forward.submit(packet, now_ms, "phonemes", size):
                heapq.heappush(arriving, (at_ms, next(tie), replace(copy, arrival_ms=at_ms)))
        while arriving and arriving[0][0] <= now_ms:
            packet = heapq.heappop(arriving)[2]
            meter.on_packet(packet)
            for event in parser.parse(packet) or []:
                arrived.add(event.index)
                playout.push(event, packet.arrival_ms)
        if now_ms >= next_report_ms:
            next_report_ms += REPORT_INTERVAL_MS
            report = meter.report(now_ms, parser.acked_index)
            for at_ms, _ in backward.submit(report, now_ms, "phonemes", REPORT_BYTES):
                heapq.heappush(reports, (at_ms, next(tie), report))
        while busy_until_ms <= now_ms:
            step = playout.pull(now_ms)
            if step.spoken is not None and step.action not in (
                PlayoutAction.EXPAND,
                PlayoutAction.CONCEAL,
            ):
                spoken_ms[step.spoken.event.index] = now_ms / stretch
                codes[step.spoken.event.index] = len(step.spoken.event.codes)
            busy_until_ms = max(busy_until_ms, now_ms - STEP_MS) + step.play_ticks * TICK_MS
        now_ms += STEP_MS
    return _outcome(events, sent, arrived, spoken_ms, codes)


def _outcome(
    events: Sequence[PhonemeEvent],
    sent: list[tuple[float, int]],
    arrived: set[int],
    spoken_ms: dict[int, float],
    codes: dict[int, int],
) -> Outcome:
    warm = [e for e in events if e.start_tick * TICK_MS > 10_000.0]  # the first reports are in
    delays = [
        spoken_ms[e.index] - e.start_tick * TICK_MS + SYNTHESIS_MS
        for e in warm
        if e.index in spoken_ms
    ]
    talking_ms = _talking_spans(warm)
    total_ms = sum(end - begin for begin, end in talking_ms)
    times = np.array([at for at, _ in sent])
    bits = np.array([8.0 * size for _, size in sent])
    phonemes = [e for e in warm if e.codes]
    talking_bits = sum(bits[(times >= b) & (times < e)].sum() for b, e in talking_ms)
    return Outcome(
        missing=1.0 - sum(e.index in arrived for e in warm) / len(warm),
        late=1.0 - sum(e.index in spoken_ms for e in warm) / len(warm),
        coded=sum(codes.get(e.index, 0) > 0 for e in phonemes) / max(len(phonemes), 1),
        whole=sum(codes.get(e.index, 0) == len(e.codes) for e in phonemes) / max(len(phonemes), 1),
        delay_p50_ms=float(np.percentile(delays, 50)),
        delay_p95_ms=float(np.percentile(delays, 95)),
        talking_bps=float(talking_bits / total_ms * 1000.0),
        mean_bps=float(bits.sum() / (times[-1] - times[0]) * 1000.0),
    )


def _talking_spans(events: Sequence[PhonemeEvent]) -> list[tuple[float, float]]:
    """Stretches of talk (ms on the sender's clock, shifted to when their packets leave)."""
    spans: list[tuple[float, float]] = []
    for event in events:
        begin, end = event.start_tick * TICK_MS + 300.0, event.end_tick * TICK_MS + 300.0
        if spans and begin - spans[-1][1] < QUIET_MS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans


LINKS: dict[str, ImpairmentSettings] = {
    "clean": ImpairmentSettings(),
    "clean, 300 ppm drift": ImpairmentSettings(drift_ppm=300.0),
    "30 ms jitter": ImpairmentSettings(delay_ms=30.0, jitter_ms=30.0, reorder=True),
    "150 ms jitter": ImpairmentSettings(delay_ms=150.0, jitter_ms=150.0, reorder=True),
    "5 %": ImpairmentSettings(loss=0.05),
    "10 %": ImpairmentSettings(loss=0.10),
    "20 %": ImpairmentSettings(loss=0.20),
    "30 %, 30 ms jitter": ImpairmentSettings(
        loss=0.30, delay_ms=30.0, jitter_ms=30.0, reorder=True
    ),
    "50 %": ImpairmentSettings(loss=0.50),
    "20 %, 250 ms bursts": ImpairmentSettings(loss=0.20, burst_ms=250.0),
}


def recorded(clips: int, seconds: float) -> tuple[list[PhonemeEvent], list[float]]:
    """(events, when each was known) of recordings through the live encoder, one after the other."""
    from app.simulate import encode_stream
    from benchmarks.corpus import load_set
    from benchmarks.links import make_call

    stream = encode_stream(make_call(load_set("readers", clips)).pcm)
    within = [(at, event) for at, event in stream.events if at < seconds * 1000.0]
    return [event for _, event in within], [at for at, _ in within]


def table(seconds: float, seed: int, ceiling_bps: float, clips: int = 0) -> str:
    """Simulate every link of ``LINKS`` and lay the outcomes out in Markdown. Raises SottovoceError
    where ``clips`` are wanted and there are none."""
    lines = [
        "| link | events missing | not there when due | with a code | with all codes "
        "| mouth to ear p50 | p95 | wire, talking | wire, mean |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    events, known_ms = recorded(clips, seconds) if clips else (talk(seconds, seed), None)
    for name, link in LINKS.items():
        o = simulate(events, link, seed, ceiling_bps, known_ms=known_ms)
        lines.append(
            f"| {name} | {o.missing:.2%} | {o.late:.2%} | {o.coded:.1%} | {o.whole:.1%} "
            f"| {o.delay_p50_ms:.0f} ms "
            f"| {o.delay_p95_ms:.0f} ms | {o.talking_bps / 1000:.2f} kb/s "
            f"| {o.mean_bps / 1000:.2f} kb/s |"
        )
    return "\n".join(lines)


def plot(path: Path, ceiling_bps: float) -> None:
    """Age, spread, layers and rate that the policy chooses over loss × burst length."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    losses = np.linspace(0.0, 0.6, 61)
    bursts_ms = np.linspace(0.0, 1000.0, 51)
    views: dict[str, Callable[[PacketPlan], float]] = {
        "longest wait of an event (ms)": lambda p: p.age_ms,
        "from first to last copy (ms)": lambda p: max(p.reach_ms, (p.copies - 1) * p.interval_ms),
        "packets that carry an event's first code": lambda p: p.code_sendings[0],
        "wire rate while talking (kb/s)": lambda p: p.wire_bps / 1000.0,
    }
    plans = [
        [plan_packets(ReceiverReport(loss, burst), ceiling_bps) for loss in losses]
        for burst in bursts_ms
    ]
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for axis, (title, view) in zip(axes.flat, views.items(), strict=True):
        grid = np.array([[view(plan) for plan in row] for row in plans])
        image = axis.pcolormesh(losses * 100, bursts_ms, grid, shading="nearest")
        axis.set(title=title, xlabel="packets lost (%)", ylabel="mean burst (ms)")
        figure.colorbar(image, ax=axis)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=300.0, help="of talk on each link")
    parser.add_argument("--clips", type=int, default=0, help="of recorded speech; 0: drawn events")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ceiling", type=float, default=DEFAULT_CEILING_BPS, help="wire bit/s")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    try:
        text = table(arguments.seconds, arguments.seed, arguments.ceiling, arguments.clips)
    except SottovoceError as error:
        sys.exit(str(error))
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "packet_policy.md").write_text(
        f"`python -m benchmarks.packet_policy --seconds {arguments.seconds:g} "
        f"--clips {arguments.clips} --seed {arguments.seed} --ceiling {arguments.ceiling:g}`"
        f"\n\n{text}\n"
    )
    plot(arguments.out / "packet_policy.png", arguments.ceiling)


if __name__ == "__main__":
    main()
