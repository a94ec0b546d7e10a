"""How two descriptions find each other before there is a connection.

``Signaling`` is the seam: copying and pasting codes is one way, a rendezvous server and LAN
discovery are others. Whatever carries a description, the connection is pinned to the certificate
in it, so a way that can be read is enough, but one that can be altered is not.
"""

from __future__ import annotations

from typing import Protocol

from transport.description import PeerDescription, Role
from transport.invite import decode_invite, encode_invite


class Signaling(Protocol):
    """One end's way to the other for one call. Neither method blocks."""

    def publish(self, description: PeerDescription) -> None:
        """Make this end's description known to the other end."""
        ...

    def poll(self) -> PeerDescription | None:
        """The other end's description once it is there."""
        ...

    def close(self) -> None: ...


class CopyPasteSignaling:
    """People carry the codes: show ``code``, and give what comes back to ``paste``."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._mine: PeerDescription | None = None
        self._theirs: PeerDescription | None = None

    @property
    def code(self) -> str | None:
        """What to show, once there is something."""
        return None if self._mine is None else encode_invite(self._mine)

    def publish(self, description: PeerDescription) -> None:
        self._mine = description

    def paste(self, text: str) -> PeerDescription:
        """Take the other end's code. Raises InviteError; the earlier one stays then."""
        if self._role is Role.CALLER:
            tag = None if self._mine is None else self._mine.tag
            self._theirs = decode_invite(text, Role.CALLEE, reply_to=tag)
        else:
            self._theirs = decode_invite(text, Role.CALLER)
        return self._theirs

    def poll(self) -> PeerDescription | None:
        return self._theirs

    def close(self) -> None:
        self._mine = self._theirs = None
