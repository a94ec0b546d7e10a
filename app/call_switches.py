"""What the threads around a call set and its engine worker follows.

Each field is one plain value, written whole and read whole, so nothing needs a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.stats import Arm, CallStats
from engine.opus import OpusOptions
from transport.impair import ImpairmentSettings
from transport.policy import DEFAULT_CEILING_BPS


@dataclass(slots=True)
class CallSwitches:
    """The switches of one call."""

    arm: Arm
    layers: int
    volume: float
    opus_rate_bps: int
    opus_frame_ms: int
    processing: tuple[bool, bool, bool]
    tell: Callable[[str], None]
    recording_info: Callable[[CallStats], Mapping[str, Any]]
    muted: bool = False
    push_to_talk: bool = False
    talk_key: bool = False
    impairment_words: str = ""
    aligned: bool = False
    """Whether Opus waits for the phonemes, so that switching is no leap in time."""
    opus: OpusOptions = field(default_factory=OpusOptions)
    wire_bps: float = DEFAULT_CEILING_BPS

    @property
    def microphone_open(self) -> bool:
        return not self.muted and (self.talk_key or not self.push_to_talk)


def impairment_words(settings: ImpairmentSettings | None) -> str:
    """A link model for people: '20 % loss, 60 ± 30 ms'."""
    if settings is None or settings == ImpairmentSettings():
        return ""
    words = [f"{100 * settings.loss:.3g} % loss"]
    if settings.burst_ms:
        words[0] += f" in bursts of {settings.burst_ms:.0f} ms"
    if settings.delay_ms or settings.jitter_ms:
        words.append(f"{settings.delay_ms:.0f} ± {settings.jitter_ms:.0f} ms")
    if settings.rate_bps:
        words.append(f"{settings.rate_bps / 1000:.3g} kbit/s")
    if settings.reorder:
        words.append("reordering")
    return ", ".join(words)
