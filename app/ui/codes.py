"""Codes as the window handles them before a call exists: links, and what lies on the clipboard."""

from __future__ import annotations

from engine.errors import SottovoceError


def code_link(code: str) -> str:
    from transport.invite import invite_link

    return invite_link(code)


def looks_like_invite(text: str) -> bool:
    """Whether ``text`` is a whole, undamaged invite. Bounded work on anything."""
    if not 20 <= len(text.strip()) <= 2000:
        return False
    from transport.description import Role
    from transport.invite import decode_invite

    try:
        decode_invite(text, Role.CALLER)
    except SottovoceError:
        return False
    return True
