"""What one arm's crossing left behind, and the figures and sounds that are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from app.export import EventRow, PacketRow
from app.near_line import SAMPLES_A_MS, HeardSpan, on_near_line
from engine.events import Pcm
from transport.link import ArmStats


@dataclass
class ArmRun:
    """Filled while the call passes; ask for figures and sounds when it is over."""

    sound: list[Pcm] = field(default_factory=list)
    spans: list[HeardSpan] = field(default_factory=list)
    """What was heard when, in the order in which it was heard."""
    events: list[EventRow] = field(default_factory=list)
    packets: list[PacketRow] = field(default_factory=list)
    events_sent: int = 0
    events_lost: int = 0
    events_concealed: int = 0
    extra_wire_bytes: int = 0
    """Control messages of this arm, with headers."""
    descriptor_bits: int = 0
    feedback_bytes: int = 0
    """Reports on the way back, with headers."""
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    stats: ArmStats = field(default_factory=ArmStats)

    @property
    def packets_lost(self) -> int:
        return sum(row.arrival_ms is None for row in self.packets)

    @cached_property
    def delays(self) -> list[tuple[float, float]]:
        """(ms when it was heard, mouth-to-ear delay in ms) of all speech that was received."""
        return [(span.heard_ms, span.delay_ms) for span in self.spans if span.kind == "speech"]

    @cached_property
    def heard(self) -> Pcm:
        """The loudspeaker's sound from the call's start, as long as anybody listened."""
        return np.concatenate([np.zeros(0, np.float32), *self.sound])

    @property
    def delay_ms_median(self) -> float:
        return round(float(np.median(self._waits)), 1)

    @property
    def _waits(self) -> list[float]:
        return [delay for _, delay in self.delays] or [0.0]

    def figures(self, seconds: float) -> dict[str, Any]:
        """This arm's part of ``report.json``; rates are over the near end's ``seconds``."""
        waits = self._waits
        wire = self.stats.wire_bytes_sent + self.extra_wire_bytes + self.feedback_bytes
        return {
            "payload_bps": round(8.0 * self.stats.payload_bytes_sent / seconds, 2),
            "wire_bps": round(8.0 * wire / seconds, 2),
            "packets_sent": len(self.packets),
            "packets_lost": self.packets_lost,
            "events_sent": self.events_sent,
            "events_lost": self.events_lost,
            "events_concealed": self.events_concealed,
            "delay_ms_median": self.delay_ms_median,
            "delay_ms_p95": round(float(np.percentile(waits, 95)), 1),
            "delay_ms_min": round(min(waits), 1),
            "delay_ms_max": round(max(waits), 1),
            "descriptor_bits": self.descriptor_bits,
            "feedback_bps": round(8.0 * self.feedback_bytes / seconds, 2),
            "rtf_encode": round(self.encode_seconds / seconds, 4),
            "rtf_decode": round(self.decode_seconds / seconds, 4),
        }

    def as_heard(self, near_samples: int) -> Pcm:
        """The loudspeaker's sound, long enough to hold all of the near end's speech."""
        wanted = near_samples + round(max(self._waits) * SAMPLES_A_MS)
        heard = self.heard[:wanted]
        return np.pad(heard, (0, wanted - len(heard))).astype(np.float32)

    def aligned(self, near_samples: int) -> Pcm:
        """[near_samples]: what was heard, each sound at the time at which it was said."""
        return on_near_line(self.heard, self.spans, near_samples)

    def far(self, near_samples: int) -> Pcm:
        """``aligned`` behind one constant delay, the median."""
        late = np.zeros(round(self.delay_ms_median * SAMPLES_A_MS), np.float32)
        return np.concatenate([late, self.aligned(near_samples)])

    def seconds_rows(self, count: int) -> list[dict[str, float | None]]:
        """One row of figures for each second of the call."""
        rows: list[dict[str, float | None]] = []
        for second in range(count):
            begin, end = 1000.0 * second, 1000.0 * (second + 1)
            sent = [row for row in self.packets if begin <= row.sent_ms < end]
            waits = [delay for at_ms, delay in self.delays if begin <= at_ms < end]
            lost = sum(row.arrival_ms is None for row in sent)
            rows.append(
                {
                    "payload_bps": 8.0 * sum(row.payload_bytes for row in sent),
                    "wire_bps": 8.0 * sum(row.wire_bytes for row in sent),
                    "loss_percent": 100.0 * lost / len(sent) if sent else None,
                    "delay_ms": round(float(np.median(waits)), 1) if waits else None,
                }
            )
        return rows
