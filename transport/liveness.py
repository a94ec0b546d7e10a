"""Whether a connection still lives, by when something authentic was heard on it.

Numbers in, answers out; time is an argument. A far end that has nothing to say answers probes, so
that silence means a dead network, a dead far end, or very much bad luck.
"""

from __future__ import annotations

from dataclasses import dataclass

LOST_AFTER_MS = 5_000.0  # with probes four times a second since 2 s: 50 % loss is not an end
FIRST_HEARD_MS = 15_000.0  # at 4 kb/s the far end's handshake lasts that much longer than ours
EARLY_MS = 4_000.0  # until then nobody has measured the loss
LOSSY = 0.05


@dataclass(frozen=True, slots=True)
class Liveness:
    """Of one connection."""

    since_ms: float
    """When it was made."""

    def lost(self, heard_ms: float, now_ms: float) -> bool:
        """``heard_ms``: when anything was heard last; ``since_ms`` when nothing was yet."""
        patience_ms = FIRST_HEARD_MS if heard_ms <= self.since_ms else LOST_AFTER_MS
        return now_ms - heard_ms > patience_ms

    def lossy(self, fraction_lost: float, now_ms: float) -> bool:
        """Whether what must arrive should be sent twice."""
        return now_ms - self.since_ms < EARLY_MS or fraction_lost > LOSSY
