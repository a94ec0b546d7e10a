"""Invites and answers as people pass them on: a code to paste, a link to click or to scan.

The code is base32, because chat programs eat the underscores and asterisks of denser alphabets
and people retype it in capitals. Reading one is strict and bounded; what is wrong with it is said
in words that tell the reader what to do.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

from engine.errors import SottovoceError
from transport.description import PeerDescription, Role, pack_description, unpack_description

LINK_SCHEME = "sottovoce:"
MAX_CODE_CHARACTERS = 400
_IGNORED = str.maketrans("", "", " \t\r\n-\u200b\u00ad\u2060\ufeff")


class InviteError(SottovoceError):
    """An invite or answer that cannot be used; the message says what to do."""


def encode_invite(description: PeerDescription) -> str:
    """The code: lower-case base32 without padding, some 90 characters."""
    return base64.b32encode(pack_description(description)).decode().rstrip("=").lower()


def invite_link(code: str) -> str:
    """A link that the desktop opens this program with."""
    return LINK_SCHEME + code


class _Refusal(NamedTuple):
    too_long: str
    nothing: str
    rubbish: str


_REFUSALS: Final = {
    Role.CALLER: _Refusal(
        "This is too long to be an invite; paste the code alone.",
        "There is no invite here; paste the code you were sent.",
        "This is not an invite; paste the whole code and nothing else.",
    ),
    Role.CALLEE: _Refusal(
        "This is too long to be an answer; paste the code alone.",
        "There is no answer here; paste the code you were sent.",
        "This is not an answer; paste the whole code and nothing else.",
    ),
}


def decode_invite(text: str, expect: Role, reply_to: bytes | None = None) -> PeerDescription:
    """A pasted code or link → the other end.

    ``expect`` is the role the writer must have; ``reply_to`` the tag of the invite that an answer
    must answer. Raises InviteError.
    """
    refusal = _REFUSALS[expect]
    if len(text) > 4 * MAX_CODE_CHARACTERS:
        raise InviteError(refusal.too_long)
    code = text.translate(_IGNORED).strip("<>\"'.,;").lower()
    code = code.removeprefix(LINK_SCHEME).removeprefix("//").upper()
    if not code:
        raise InviteError(refusal.nothing)
    if len(code) > MAX_CODE_CHARACTERS or not code.isascii() or not code.isalnum():
        raise InviteError(refusal.rubbish)
    try:
        data = base64.b32decode(code + "=" * (-len(code) % 8))
    except binascii.Error:
        raise InviteError(
            "A part of the code is missing or mistyped; copy it once more, from start to end."
        ) from None
    if data[:1] and data[0] >> 4 != 1:
        raise InviteError(
            "This code is damaged or comes from another version of Sottovoce; "
            "copy it once more, and update both ends if that does not help."
        )
    description = unpack_description(data)
    if description is None:
        raise InviteError(
            "The code is damaged, a character of it is missing or wrong; copy it once more."
        )
    if description.role is not expect:
        raise InviteError(
            "This is an answer; an invite is wanted here. Ask the caller for the invite."
            if expect is Role.CALLER
            else "This is an invite; the answer to yours is wanted here. Ask for the answer."
        )
    if reply_to is not None and description.reply_to != reply_to:
        raise InviteError(
            "This answer belongs to another invite; send this call's invite and ask for its answer."
        )
    if not description.candidates:
        raise InviteError(
            "The invite names no address; its sender has no network, or needs a TURN server."
        )
    return description
