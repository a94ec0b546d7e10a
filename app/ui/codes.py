"""Codes as the window handles them before a call exists: links, and what lies on the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import SottovoceError

if TYPE_CHECKING:
    from transport.description import Role


def code_link(code: str) -> str:
    from transport.invite import invite_link

    return invite_link(code)


def looks_like_invite(text: str) -> bool:
    """Whether ``text`` is a whole, undamaged invite. Bounded work on anything."""
    from transport.description import Role

    return _is_code(text, Role.CALLER)


def looks_like_answer(text: str) -> bool:
    """Whether ``text`` is a whole, undamaged answer, be it to our invite or another."""
    from transport.description import Role

    return _is_code(text, Role.CALLEE)


def what_is_wrong(text: str) -> str:
    """Why ``text`` is no invite, in one line; empty when it is one."""
    from transport.description import Role
    from transport.invite import decode_invite

    try:
        decode_invite(text, Role.CALLER)
    except SottovoceError as error:
        return str(error)
    return ""


def _is_code(text: str, role: Role) -> bool:
    from transport.invite import decode_invite

    if not 20 <= len(text.strip()) <= 2000:
        return False
    try:
        decode_invite(text, role)
    except SottovoceError:
        return False
    return True
