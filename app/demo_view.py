"""The demo's meters and tables in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from app.stats import ARMS, DELAY_STAGES, CallStats
from app.summary import delay_ms

ARM_NAMES = {"phonemes": "phonemes", "opus": "Opus"}


def _rate(bps: float) -> str:
    return f"{bps / 1000:.2f} k" if bps >= 1000 else f"{bps:.0f}"


def _percent(share: float | None) -> str:
    return "…" if share is None else f"{100 * share:.0f} %"


def _delay(ms: float) -> str:
    """Nothing was heard yet where it is 0."""
    return f"{ms:.0f}" if ms else "…"


def _bar(dbfs: float) -> str:
    """-60 ... 0 dBFS as one of eight heights, twelve wide."""
    filled = max(0, min(12, round((dbfs + 60) / 5)))
    return "█" * filled + "·" * (12 - filled)


def meters(stats: Sequence[CallStats], names: Sequence[str], left_s: float) -> RenderableType:
    """One table for both directions and a line for each person."""
    table = Table(title=f"Sottovoce · {left_s:.0f} s left", title_justify="left", expand=False)
    for heading in (
        "direction",
        "arm",
        "payload b/s",
        "wire b/s",
        "loss",
        "delay ms",
        "intelligible",
    ):
        table.add_column(heading, justify="left" if heading in ("direction", "arm") else "right")
    for far in (1, 0):
        heard = stats[far]
        for arm in ARMS:
            rate = heard.rates[arm].received
            table.add_row(
                f"{names[1 - far]} → {names[far]}" if arm == ARMS[0] else "",
                ARM_NAMES[arm],
                _rate(rate.payload_bps),
                _rate(rate.wire_bps),
                _percent(heard.loss.get(arm)),
                _delay(delay_ms(heard, arm)),
                _percent(heard.intelligibility[arm]),
                style="cyan" if arm == "phonemes" else "",
            )
        table.add_section()
    lines = []
    for number, one in enumerate(stats):
        stages = " + ".join(f"{stage} {one.delay_stages_ms[stage]:.0f}" for stage in DELAY_STAGES)
        like = "" if one.voice.similarity is None else f"{one.voice.similarity:.2f}"
        lines.append(
            f"{names[number]:4} says {_bar(one.near.rms_dbfs)}  hears {_bar(one.far.rms_dbfs)}  "
            f"voice sent {one.voice.bits_sent} bit {like}  events lost {one.events_lost}"
            f"/{one.events_received}\n      {stages} ms"
        )
    return Group(table, *lines)


def one_line(stats: Sequence[CallStats], names: Sequence[str]) -> str:
    """For logs and pipes: both directions in two lines."""
    lines = []
    for far in (1, 0):
        heard = stats[far]
        lines.append(f"{heard.seconds:5.1f} s {names[1 - far]} → {names[far]}: {one_way(heard)}")
    return "\n".join(lines)


def one_way(heard: CallStats) -> str:
    """What arrives here on both arms: payload/wire bit/s, loss, delay, intelligibility."""
    parts = []
    for arm in ARMS:
        rate = heard.rates[arm].received
        parts.append(
            f"{ARM_NAMES[arm]} {rate.payload_bps:.0f}/{rate.wire_bps:.0f} bit/s, "
            f"loss {_percent(heard.loss.get(arm))}, {_delay(delay_ms(heard, arm))} ms, "
            f"understood {_percent(heard.intelligibility[arm])}"
        )
    return "; ".join(parts)


ROWS = (
    ("payload_bps", "payload, bit/s", "{:.0f}"),
    ("wire_bps", "on the wire, bit/s", "{:.0f}"),
    ("packets_sent", "packets sent", "{:.0f}"),
    ("packets_lost", "packets lost", "{:.0f}"),
    ("events_sent", "phonemes sent", "{:.0f}"),
    ("events_lost", "phonemes lost after redundancy", "{:.0f}"),
    ("delay_ms_median", "mouth to ear, median ms", "{:.0f}"),
    ("delay_ms_p95", "mouth to ear, 95 % ms", "{:.0f}"),
    ("intelligibility", "intelligibility, 0–1", "{:.2f}"),
    ("descriptor_bits", "voice received, bits", "{:.0f}"),
)


def summary_table(title: str, summary: Mapping[str, Mapping[str, Any]]) -> Table:
    """Phonemes beside Opus, one direction."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for arm in ARMS:
        table.add_column(ARM_NAMES[arm], justify="right")
    for key, label, form in ROWS:
        values = [summary.get(arm, {}).get(key) for arm in ARMS]
        if any(value is not None for value in values):
            table.add_row(label, *("–" if v is None else form.format(v) for v in values))
    return table
