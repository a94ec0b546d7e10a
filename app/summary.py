"""A call's figures as rows and as a table: what ``stats.csv`` and the report's summary hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.stats import ARMS, CallStats


def delay_ms(stats: CallStats, arm: str) -> float:
    if arm == "opus":
        return stats.opus_delay_ms
    return float(sum(stats.delay_stages_ms.values()))


def stats_row(second: int, stats: CallStats) -> dict[str, Any]:
    """One line of ``stats.csv``: what arrives here, and what is sent."""
    row: dict[str, Any] = {"second": second}
    for arm in ARMS:
        rates = stats.rates[arm]
        score = stats.intelligibility[arm]
        row[f"{arm}_payload_bps"] = round(rates.received.payload_bps, 1)
        row[f"{arm}_wire_bps"] = round(rates.received.wire_bps, 1)
        row[f"{arm}_sent_payload_rate"] = round(rates.sent.payload_bps, 1)
        row[f"{arm}_sent_wire_rate"] = round(rates.sent.wire_bps, 1)
        row[f"{arm}_loss_percent"] = round(100 * stats.loss.get(arm, 0.0), 2)
        row[f"{arm}_delay_ms"] = round(delay_ms(stats, arm), 1)
        row[f"{arm}_intelligibility"] = None if score is None else round(100 * score, 1)
    for stage, value in stats.delay_stages_ms.items():
        row[f"stage_{stage}"] = round(value, 1)
    row["jitter"] = round(stats.jitter_ms, 1)
    row["round_trip"] = None if stats.round_trip_ms is None else round(stats.round_trip_ms, 1)
    return row


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(row[key]) for row in rows if row.get(key) not in (None, "", 0.0)]


def summarise(
    first: CallStats, last: CallStats, rows: Sequence[Mapping[str, Any]], seconds: float
) -> dict[str, dict[str, Any]]:
    """What arrived between two moments, for each arm."""
    summary: dict[str, dict[str, Any]] = {}
    for arm in ARMS:
        delays = _column(rows, f"{arm}_delay_ms")
        scores = _column(rows, f"{arm}_intelligibility")
        received = last.packets_received.get(arm, 0) - first.packets_received.get(arm, 0)
        lost = last.packets_lost.get(arm, 0) - first.packets_lost.get(arm, 0)
        payload = _column(rows, f"{arm}_payload_bps")
        wire = _column(rows, f"{arm}_wire_bps")
        count = max(1, len(rows))
        summary[arm] = {
            "payload_bps": round(sum(payload) / count, 1),
            "wire_bps": round(sum(wire) / count, 1),
            "packets_sent": received + lost,
            "packets_lost": lost,
        }
        if arm == "phonemes":
            came = last.events_received - first.events_received
            missed = last.events_lost - first.events_lost
            summary[arm] |= {
                "events_sent": came + missed,
                "events_lost": missed,
                "events_concealed": last.events_concealed - first.events_concealed,
                "descriptor_bits": last.voice.bits_received,
            }
        if delays:
            summary[arm]["delay_ms_median"] = round(float(np.median(delays)), 1)
            summary[arm]["delay_ms_p95"] = round(float(np.percentile(delays, 95)), 1)
        if scores:
            summary[arm]["intelligibility"] = round(float(np.mean(scores)) / 100, 3)
    return summary
