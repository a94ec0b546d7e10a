"""Sentences that come from below the window (the call, the network, files), in the user's language.

Those layers know no Qt and write English. Each sentence that a window may show stands here once as
a template; what is shown is matched against them, and what matches none is shown as it came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

CONTEXT: Final = "Outside"
_MARKED = (
    # the call
    QT_TRANSLATE_NOOP("Outside", "The connection was lost; trying to get it back."),
    QT_TRANSLATE_NOOP("Outside", "The other side has other models; voices may sound odd."),
    QT_TRANSLATE_NOOP("Outside", "The other side hung up."),
    QT_TRANSLATE_NOOP("Outside", "The other side has another version; update both and call again."),
    QT_TRANSLATE_NOOP("Outside", "The other side is in another call."),
    QT_TRANSLATE_NOOP("Outside", "The connection failed."),
    QT_TRANSLATE_NOOP("Outside", "The call cannot go on ({0}): call again; the log says more."),
    QT_TRANSLATE_NOOP(
        "Outside",
        "{0} speaks version {1} of the speech stream, this program version {2}: "
        "update the other side, then call again.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "{0} speaks version {1} of the speech stream, this program version {2}: "
        "update this one, then call again.",
    ),
    QT_TRANSLATE_NOOP("Outside", "The recording stopped ({0}); the call goes on."),
    QT_TRANSLATE_NOOP("Outside", "The other side stopped the recording."),
    QT_TRANSLATE_NOOP("Outside", "The other side did not agree to a recording."),
    QT_TRANSLATE_NOOP(
        "Outside", "The recording cannot be written to {0} ({1}): choose another folder."
    ),
    QT_TRANSLATE_NOOP(
        "Outside", "The sound device {0} cannot be opened ({1}): choose another one."
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "The microphone {0} gives no sound at all: switch it on, or allow this program to use it.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "Sound devices need PortAudio: install libportaudio2, or call with --mic FILE.wav.",
    ),
    # the network
    QT_TRANSLATE_NOOP("Outside", "There is no invite to answer: create one first."),
    QT_TRANSLATE_NOOP("Outside", "This call was started already: hang up first."),
    QT_TRANSLATE_NOOP("Outside", "This machine has no network address: connect it to a network."),
    QT_TRANSLATE_NOOP("Outside", "The call was ended before it began."),
    QT_TRANSLATE_NOOP("Outside", "The network cannot be used ({0}): check the connection."),
    QT_TRANSLATE_NOOP(
        "Outside", "The other end cannot be reached; check both networks, or set a TURN server."
    ),
    QT_TRANSLATE_NOOP("Outside", "The connection was lost and did not come back; call again."),
    QT_TRANSLATE_NOOP(
        "Outside",
        "The other end is not the one the invite was made by: its certificate does not match. "
        "Do not trust this connection; make a new invite.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside", "{0} is not a server address; write it like {1}:example.org:3478."
    ),
    # codes
    QT_TRANSLATE_NOOP("Outside", "This is too long to be an invite; paste the code alone."),
    QT_TRANSLATE_NOOP("Outside", "There is no invite here; paste the code you were sent."),
    QT_TRANSLATE_NOOP("Outside", "This is not an invite; paste the whole code and nothing else."),
    QT_TRANSLATE_NOOP("Outside", "This is too long to be an answer; paste the code alone."),
    QT_TRANSLATE_NOOP("Outside", "There is no answer here; paste the code you were sent."),
    QT_TRANSLATE_NOOP("Outside", "This is not an answer; paste the whole code and nothing else."),
    QT_TRANSLATE_NOOP(
        "Outside",
        "A part of the code is missing or mistyped; copy it once more, from start to end.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "This code is damaged or comes from another version of Sottovoce; copy it once more, "
        "and update both ends if that does not help.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "The code is damaged, a character of it is missing or wrong; copy it once more.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside", "This is an answer; an invite is wanted here. Ask the caller for the invite."
    ),
    QT_TRANSLATE_NOOP(
        "Outside", "This is an invite; the answer to yours is wanted here. Ask for the answer."
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "This answer belongs to another invite; send this call's invite and ask for its answer.",
    ),
    QT_TRANSLATE_NOOP(
        "Outside",
        "The invite names no address; its sender has no network, or needs a TURN server.",
    ),
    # files
    QT_TRANSLATE_NOOP(
        "Outside", "Settings cannot be saved to {0} ({1}): check the folder's permissions."
    ),
    QT_TRANSLATE_NOOP("Outside", "Cannot read {0} ({1}): choose a .sotto file."),
    QT_TRANSLATE_NOOP(
        "Outside", "This is no .sotto file: choose one that `sottovoce encode` wrote."
    ),
    QT_TRANSLATE_NOOP(
        "Outside", "This .sotto file is damaged: get a fresh copy or encode it again."
    ),
    QT_TRANSLATE_NOOP("Outside", "{0} cannot be written ({1}): choose another place."),
    QT_TRANSLATE_NOOP("Outside", "The folder {0} does not exist: create it first."),
    # the link model
    QT_TRANSLATE_NOOP("Outside", "{0} % loss"),
    QT_TRANSLATE_NOOP("Outside", "{0} % loss in bursts of {1} ms"),
    QT_TRANSLATE_NOOP("Outside", "reordering"),
)
TEMPLATES: Final[tuple[str, ...]] = tuple(str(text) for text in _MARKED)


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(re.sub(r"\\\{\d\\\}", "(.{1,300}?)", re.escape(text)), re.DOTALL), text)
        for text in TEMPLATES
    )


def _one(text: str) -> str | None:
    for pattern, template in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return QCoreApplication.translate(CONTEXT, template).format(*found.groups())
    return None


def _row(text: str) -> str | None:
    """Known sentences, one after the other; None when a part of ``text`` is none."""
    for end in re.finditer(r"(?<=\.) (?=[A-Z])", text):
        first = _one(text[: end.start()])
        rest = None if first is None else _row(text[end.end() :])
        if first is not None and rest is not None:
            return f"{first} {rest}"
    return _one(text)


def in_user_language(text: str) -> str:
    """``text`` of a notice, an error or a link model; several may stand in a row."""
    if not text or len(text) > 2_000:
        return text
    sentences = _row(text)
    if sentences is not None:
        return sentences
    return ", ".join(_one(part) or part for part in text.split(", "))
