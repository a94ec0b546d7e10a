"""What the command line asks of the demo and of the headless call: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.settings import DEFAULT_WIRE_BPS
from engine.events import MAX_LAYERS


@dataclass(frozen=True, slots=True)
class DemoOptions:
    talkers: tuple[Path, ...] = ()
    """Sound files of the two talkers; fewer than two are filled up with speech found here."""
    live: bool = False
    """The microphone is the first talker."""
    seconds: float = 30.0
    loss: float = 0.2
    burst_ms: float = 0.0
    """Mean length of a loss burst; 0 is random loss."""
    delay_ms: float = 60.0
    jitter_ms: float = 30.0
    seed: int = 1
    opus_rate_bps: int = 6_000
    opus_frame_ms: int = 60
    layers: int = MAX_LAYERS
    out: Path | None = None
    """Where the evaluation bundle goes; None is a new folder under ``runs/``."""
    window: bool | None = None
    """None: open the windows when there is a display."""


@dataclass(frozen=True, slots=True)
class HeadlessOptions:
    microphone: str = "device"
    """A sound file, a device's name, ``device`` (the default one) or ``none``."""
    loudspeaker: str = "device"
    """A WAV to write, a device's name, ``device`` or ``none``."""
    invite: str | None = None
    """Join: the other side's invite code."""
    listen: bool = False
    """Start a call: print an invite code and read the answer from standard input."""
    name: str = ""
    seconds: float | None = None
    """Hang up after this time; None is at the end of the file or on Ctrl-C."""
    arm: str = "phonemes"
    layers: int = MAX_LAYERS
    opus_rate_bps: int = 6_000
    opus_frame_ms: int = 60
    opus_library: str = ""
    """A libopus to use instead of the system's."""
    opus_deep_plc: bool = False
    wire_bps: int = DEFAULT_WIRE_BPS
    """The most that the phoneme arm may send, headers included."""
    record: Path | None = None
    """Ask the peer for consent and write the evaluation bundle here."""
