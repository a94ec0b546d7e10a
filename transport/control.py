"""The control messages of a call: hello, consent, voice descriptor, receiver report, chat, bye.

Frozen values go in, at most ``MAX_CONTROL_BYTES`` come out, and back. The first byte carries the
version and the kind. ``parse_control`` returns a message or None and never raises: every byte may
come from an attacker.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from engine.events import VoiceDescriptor
from transport.reports import ReceiverReport

CONTROL_VERSION = 1
MAX_CONTROL_BYTES = 512
MAX_NAME_BYTES = 64
MAX_CHAT_BYTES = 500

_HELLO, _CONSENT, _VOICE, _REPORT, _CHAT, _BYE, _MEDIA = range(1, 8)

_REPORT_BODY = struct.Struct("!BBBIH")
_BURST_STEP_MS = 10.0
_JITTER_STEP_MS = 2.0
_NO_INDEX = 0xFFFFFFFF
_NO_ROUND_TRIP = 0xFFFF


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message each way."""

    name: str
    """What the talker calls themselves, at most MAX_NAME_BYTES of UTF-8. Not verified."""
    version: int = 1
    """Of the speech stream; peers with different ones cannot talk."""
    inventory: int = 0
    """Low 32 bits of a hash of the models both ends must share; 0 = unknown."""


class ConsentAction(Enum):
    REQUEST = 0
    GRANT = 1
    DENY = 2
    STOP = 3


@dataclass(frozen=True, slots=True)
class Consent:
    """Recording needs both sides: one asks, the other grants or denies, either stops."""

    action: ConsentAction


@dataclass(frozen=True, slots=True)
class VoiceUpdate:
    """Who is speaking, or a better description of it."""

    descriptor: VoiceDescriptor


@dataclass(frozen=True, slots=True)
class MediaState:
    """What the sender does now, for the far end's window."""

    muted: bool
    opus: bool = False
    """Whether the Opus arm is sent too."""


@dataclass(frozen=True, slots=True)
class Chat:
    text: str


class ByeReason(Enum):
    HANG_UP = 0
    VERSION = 1
    BUSY = 2


@dataclass(frozen=True, slots=True)
class Bye:
    """The talker hung up; do not reconnect."""

    reason: ByeReason = ByeReason.HANG_UP


ControlMessage = Hello | Consent | VoiceUpdate | ReceiverReport | MediaState | Chat | Bye


def _clip_utf8(text: str, limit: int) -> bytes:
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore").encode("utf-8")


def _level(value: float, step: float, top: int) -> int:
    return max(0, min(round(value / step), top))


def encode_control(message: ControlMessage) -> bytes:
    """A message → at most MAX_CONTROL_BYTES. Long names and chats are cut, numbers clipped."""
    if isinstance(message, ReceiverReport):
        round_trip = message.round_trip_ms
        kind, body = (
            _REPORT,
            _REPORT_BODY.pack(
                _level(message.fraction_lost, 1 / 255, 255),
                _level(message.burst_ms, _BURST_STEP_MS, 255),
                _level(message.jitter_ms, _JITTER_STEP_MS, 255),
                message.acked_index if 0 <= message.acked_index < _NO_INDEX else _NO_INDEX,
                _NO_ROUND_TRIP if round_trip is None else _level(round_trip, 1.0, 0xFFFE),
            ),
        )
    elif isinstance(message, VoiceUpdate):
        kind, body = _VOICE, message.descriptor.to_bytes()
    elif isinstance(message, Hello):
        kind = _HELLO
        body = struct.pack("!BI", message.version & 0xFF, message.inventory & 0xFFFFFFFF)
        body += _clip_utf8(message.name, MAX_NAME_BYTES)
    elif isinstance(message, Consent):
        kind, body = _CONSENT, bytes((message.action.value,))
    elif isinstance(message, MediaState):
        kind, body = _MEDIA, bytes((message.muted | message.opus << 1,))
    elif isinstance(message, Chat):
        kind, body = _CHAT, _clip_utf8(message.text, MAX_CHAT_BYTES)
    else:
        kind, body = _BYE, bytes((message.reason.value,))
    return bytes((CONTROL_VERSION << 4 | kind,)) + body


def _text(data: bytes, limit: int) -> str | None:
    """UTF-8 without control characters, so that a name cannot repaint a terminal."""
    if len(data) > limit:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _parse_hello(body: bytes) -> Hello | None:
    if len(body) < 5:
        return None
    version, inventory = struct.unpack_from("!BI", body)
    name = _text(body[5:], MAX_NAME_BYTES)
    return None if name is None else Hello(name, version, inventory)


def _parse_report(body: bytes) -> ReceiverReport | None:
    if len(body) != _REPORT_BODY.size:
        return None
    lost, burst, jitter, index, round_trip = _REPORT_BODY.unpack(body)
    return ReceiverReport(
        fraction_lost=lost / 255,
        burst_ms=burst * _BURST_STEP_MS,
        jitter_ms=jitter * _JITTER_STEP_MS,
        acked_index=-1 if index == _NO_INDEX else index,
        round_trip_ms=None if round_trip == _NO_ROUND_TRIP else float(round_trip),
    )


def _parse_voice(body: bytes) -> VoiceUpdate | None:
    descriptor = VoiceDescriptor.from_bytes(body)
    return None if descriptor is None else VoiceUpdate(descriptor)


def _parse_chat(body: bytes) -> Chat | None:
    text = _text(body, MAX_CHAT_BYTES)
    return Chat(text) if text else None


def is_report(data: bytes) -> bool:
    """Whether these bytes claim to be a receiver report, which may travel unreliably."""
    return len(data) == 1 + _REPORT_BODY.size and data[0] == CONTROL_VERSION << 4 | _REPORT


def parse_control(data: bytes) -> ControlMessage | None:
    """Bytes from the network → a message, or None for anything that is not exactly one."""
    if not 2 <= len(data) <= MAX_CONTROL_BYTES or data[0] >> 4 != CONTROL_VERSION:
        return None
    kind, body = data[0] & 0x0F, bytes(data[1:])
    if kind == _REPORT:
        return _parse_report(body)
    if kind == _VOICE:
        return _parse_voice(body)
    if kind == _HELLO:
        return _parse_hello(body)
    if kind == _CHAT:
        return _parse_chat(body)
    if len(body) != 1:
        return None
    value = body[0]
    if kind == _CONSENT and value <= ConsentAction.STOP.value:
        return Consent(ConsentAction(value))
    if kind == _BYE and value <= ByeReason.BUSY.value:
        return Bye(ByeReason(value))
    if kind == _MEDIA and value <= 3:
        return MediaState(bool(value & 1), bool(value & 2))
    return None
