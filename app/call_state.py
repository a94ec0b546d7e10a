"""The states of a call and the moves between them that make sense.

Plain strings, so that they print, serialise and compare without ceremony. ``Call`` refuses a
move that is not in ``MOVES``; nothing else decides what may follow what.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class CallState(StrEnum):
    IDLE = "idle"
    """Nothing has been asked for yet."""
    INVITING = "inviting"
    """An invite code was made; the other side has not answered."""
    CONNECTING = "connecting"
    """Both descriptions are known; ICE and DTLS are at work."""
    VERIFYING = "verifying"
    """Bytes flow; waiting for the peer's hello, which says its version and name."""
    ACTIVE = "active"
    RECONNECTING = "reconnecting"
    """The link was lost; a new one is being made inside the same call."""
    ENDED = "ended"


MOVES: Final[dict[CallState, frozenset[CallState]]] = {
    CallState.IDLE: frozenset({CallState.INVITING, CallState.CONNECTING, CallState.ENDED}),
    CallState.INVITING: frozenset({CallState.CONNECTING, CallState.ENDED}),
    CallState.CONNECTING: frozenset({CallState.VERIFYING, CallState.ENDED}),
    CallState.VERIFYING: frozenset({CallState.ACTIVE, CallState.RECONNECTING, CallState.ENDED}),
    CallState.ACTIVE: frozenset({CallState.RECONNECTING, CallState.ENDED}),
    CallState.RECONNECTING: frozenset({CallState.ACTIVE, CallState.ENDED}),
    CallState.ENDED: frozenset(),
}


def may_move(old: CallState, new: CallState) -> bool:
    """Whether a call in ``old`` may go to ``new``."""
    return new in MOVES[old]
