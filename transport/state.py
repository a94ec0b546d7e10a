"""What a real link is doing, and the settings it was made with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from transport.ice import IceSettings


class LinkState(Enum):
    NEW = "new"
    READY = "ready"
    """Addresses are gathered; waits for the far end's description."""
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
    """By either end, on purpose."""
    FAILED = "failed"
    """``RtcLink.failure`` says why."""


@dataclass(frozen=True, slots=True)
class RtcSettings:
    ice: IceSettings = field(default_factory=IceSettings)
    connect_for_s: float = 600.0
    """How long to try to connect at first."""
    reconnect_for_s: float = 180.0
    """How long to try to get a lost connection back."""
