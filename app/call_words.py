"""What the two programs say to each other in a call, apart from speech.

Hello and version check, voice updates, receiver reports, clock pings, delays, chat, consent and
bye. Only the engine worker calls in here, except ``chat_lines`` and ``send_chat``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.call_recording import CallRecording
from app.delays import ClockOffset
from app.network import STREAM_VERSION, Network, inventory
from app.settings import clean_name
from app.side_messages import Ping, Pong, Timing, encode_side, parse_side
from app.stats import ChatLine
from engine.errors import SottovoceError
from engine.events import VoiceDescriptor
from transport.control import (
    Bye,
    ByeReason,
    Chat,
    Consent,
    ControlMessage,
    Hello,
    MediaState,
    VoiceUpdate,
    parse_control,
)
from transport.reports import REPORT_INTERVAL_MS, ReceiverReport

if TYPE_CHECKING:  # both load torch, which a window does not wait for
    from app.far_end import FarEnd
    from app.near_end import NearEnd

FIRST_PINGS = 12
FIRST_PING_MS = 250.0
PING_MS = 20_000.0  # each costs some 150 bytes on the wire with its answer
FIRST_TIMINGS = 3
FIRST_TIMING_MS = 4_000.0
CLOCK_STEP_MS = 25.0  # after a stall the talker's ticks start elsewhere: told at once
TIMING_MS = 20_000.0
VOICE_MS = 2500.0  # between two updates


class CallWords:
    """``on_hello(name, version)`` and ``on_bye(reason)`` tell the call."""

    def __init__(
        self,
        network: Network,
        recording: CallRecording,
        on_hello: Callable[[str, int, bool], None],
        on_bye: Callable[[ByeReason], None],
    ) -> None:
        self.offset = ClockOffset()
        self.peer_muted = False
        self.updates_sent = self.bits_sent = 0
        self.updates_received = self.bits_received = 0
        self.peer_voice: VoiceDescriptor | None = None
        self._network = network
        self._recording = recording
        self._on_hello = on_hello
        self._on_bye = on_bye
        self._chat: deque[ChatLine] = deque(maxlen=200)  # drops the oldest
        self._unsent: deque[str] = deque(maxlen=20)  # while there is no link; drops the oldest
        self._sent_voice: VoiceDescriptor | None = None
        self._voice_ms = float("-inf")
        self._report_ms = 0.0
        self._ping_ms = 0.0
        self._pings = 0
        self._timing: Timing | None = None
        self._timing_ms = self._timing_due_ms = 0.0
        self._timings = 0

    def begin(self, name: str, muted: bool, anew: bool, now_ms: float) -> None:
        """After every connect: what a new connection has to be told. ``anew``: another one went
        before it, in this program or in one that was killed."""
        if anew:
            self._recording.again()
        self._network.say_hello(name)
        if muted or anew:
            self.say_media(muted)
        while self._unsent:
            self._network.say(Chat(self._unsent.popleft()))
        self._sent_voice = None
        self._voice_ms = float("-inf")
        self._pings = self._timings = 0
        self._ping_ms = now_ms
        self._timing = None
        self._timing_ms = now_ms + 500.0

    def forget(self) -> None:
        """Wipe both voices."""
        self.peer_voice = self._sent_voice = None

    def say_media(self, muted: bool) -> None:
        self._network.say(MediaState(muted, opus=True))

    def send_chat(self, text: str, at_ms: float) -> None:
        text = "".join(c if c.isprintable() else " " for c in text).strip()[:500]
        if text:
            if self._network.connected:
                self._network.say(Chat(text))
            else:
                self._unsent.append(text)
            self._chat.append(ChatLine(True, text, at_ms))

    def chat_lines(self) -> tuple[ChatLine, ...]:
        return tuple(self._chat)

    def hear(
        self, messages: Sequence[bytes], near: NearEnd, far: FarEnd, now_ms: float, at_ms: float
    ) -> None:
        """Control messages that arrived."""
        for data in messages:
            side = parse_side(data)
            if isinstance(side, Ping):
                self._network.say_bytes(encode_side(Pong(side.sent_ms, now_ms)))
            elif isinstance(side, Pong):
                self.offset.on_pong(side, now_ms)
            elif isinstance(side, Timing):
                far.delays.timing = side
            else:
                message = parse_control(data)
                if message is not None:
                    self._take(message, near, far, at_ms)

    def _take(self, message: ControlMessage, near: NearEnd, far: FarEnd, at_ms: float) -> None:
        if isinstance(message, ReceiverReport):
            near.on_report(message)
        elif isinstance(message, Hello):
            known = message.inventory in (0, inventory()) or inventory() == 0
            self._on_hello(clean_name(message.name), message.version, known)
        elif isinstance(message, VoiceUpdate):
            self._take_voice(message.descriptor, far)
        elif isinstance(message, Consent):
            self._recording.heard(message)
        elif isinstance(message, Chat):
            self._chat.append(ChatLine(False, message.text, at_ms))
        elif isinstance(message, MediaState):
            self.peer_muted = message.muted
        elif isinstance(message, Bye):
            self._on_bye(message.reason)

    def _take_voice(self, descriptor: VoiceDescriptor, far: FarEnd) -> None:
        try:
            far.set_voice(descriptor)
        except SottovoceError:
            return
        self.peer_voice = descriptor
        self.updates_received += 1
        self.bits_received += 8 * len(descriptor.to_bytes())

    def speak(
        self, near: NearEnd, far: FarEnd, voice: VoiceDescriptor | None, now_ms: float
    ) -> None:
        """Send what is due. Call at every step of an active call."""
        if voice is not None and voice != self._sent_voice and now_ms >= self._voice_ms:
            self._network.say(VoiceUpdate(voice))
            self._sent_voice = voice
            self._voice_ms = now_ms + VOICE_MS
            self.updates_sent += 1
            self.bits_sent += 8 * len(voice.to_bytes())
        if now_ms >= self._report_ms:
            self._report_ms = now_ms + REPORT_INTERVAL_MS
            acked = far.depacketizer.acked_index
            self._network.say(far.reception.report(now_ms, acked, self.offset.round_trip_ms))
        if now_ms >= self._ping_ms:
            self._pings += 1
            self._ping_ms = now_ms + (FIRST_PING_MS if self._pings < FIRST_PINGS else PING_MS)
            self._network.say_bytes(encode_side(Ping(now_ms)))
        timing = near.delays.timing()
        if timing is not None and now_ms >= self._timing_ms:
            told = self._timing
            moved = told is None or abs(timing.tick_zero_ms - told.tick_zero_ms) > CLOCK_STEP_MS
            if moved or now_ms >= self._timing_due_ms:
                self._network.say_bytes(encode_side(timing))
                self._timing = timing
                self._timings += 1
                settled = self._timings > FIRST_TIMINGS
                self._timing_due_ms = now_ms + (TIMING_MS if settled else FIRST_TIMING_MS)
            self._timing_ms = now_ms + 1000.0


def version_notice(name: str, version: int) -> str:
    """For a peer whose speech stream is another one."""
    older = "the other side" if version < STREAM_VERSION else "this one"
    return (
        f"{name or 'The other side'} speaks version {version} of the speech stream, this program "
        f"version {STREAM_VERSION}: update {older}, then call again."
    )
