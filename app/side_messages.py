"""Two control messages of the program's own: a clock to compare, and the near end's delays.

They travel in the control channel beside those of ``transport.control``, under kinds it does not
use. From pings each end learns how far apart the two clocks are, so that mouth-to-ear delay is
measured and not assumed. ``parse_side`` returns a message or None and never raises.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Final

from transport.control import CONTROL_VERSION

_PING: Final = CONTROL_VERSION << 4 | 8
_PONG: Final = CONTROL_VERSION << 4 | 9
_TIMING: Final = CONTROL_VERSION << 4 | 10
_PING_BODY: Final = struct.Struct("!Bd")
_PONG_BODY: Final = struct.Struct("!Bdd")
_TIMING_BODY: Final = struct.Struct("!BdHHH")
MAX_CLOCK_MS: Final = 1e13  # three centuries: anything beyond is not a clock


@dataclass(frozen=True, slots=True)
class Ping:
    sent_ms: float
    """On the sender's clock."""


@dataclass(frozen=True, slots=True)
class Pong:
    sent_ms: float
    """Copied from the ping."""
    answered_ms: float
    """On the answerer's clock."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The near end's own share of the mouth-to-ear delay, averages of the last seconds."""

    tick_zero_ms: float
    """When the microphone heard tick 0, on the sender's clock."""
    capture_ms: float
    recognise_ms: float
    packetise_ms: float


SideMessage = Ping | Pong | Timing


def encode_side(message: SideMessage) -> bytes:
    if isinstance(message, Ping):
        return _PING_BODY.pack(_PING, message.sent_ms)
    if isinstance(message, Pong):
        return _PONG_BODY.pack(_PONG, message.sent_ms, message.answered_ms)
    stages = (message.capture_ms, message.recognise_ms, message.packetise_ms)
    levels = (max(0, min(round(stage), 0xFFFF)) for stage in stages)
    return _TIMING_BODY.pack(_TIMING, message.tick_zero_ms, *levels)


def parse_side(data: bytes) -> SideMessage | None:
    """None for whatever ``encode_side`` cannot have written."""
    kind = data[0] if data else 0
    if kind == _PING and len(data) == _PING_BODY.size:
        clocks = _PING_BODY.unpack(data)[1:]
        return Ping(*clocks) if _sane(clocks) else None
    if kind == _PONG and len(data) == _PONG_BODY.size:
        clocks = _PONG_BODY.unpack(data)[1:]
        return Pong(*clocks) if _sane(clocks) else None
    if kind == _TIMING and len(data) == _TIMING_BODY.size:
        _, zero_ms, *stages = _TIMING_BODY.unpack(data)
        return Timing(zero_ms, *map(float, stages)) if _sane((zero_ms,)) else None
    return None


def _sane(clocks: tuple[float, ...]) -> bool:
    return all(math.isfinite(clock) and abs(clock) < MAX_CLOCK_MS for clock in clocks)
