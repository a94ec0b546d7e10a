"""What a window or a terminal may ask of a call: the public face of ``app.call.Call``.

Every method may be called from any thread and returns at once; work that takes time comes back
as a ``concurrent.futures.Future`` whose exception, if any, is a ``SottovoceError`` to show.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from app.audio import AudioPort
from app.stats import Arm, CallStats, ChatLine, EventMark
from engine.events import Pcm
from transport.impair import ImpairmentSettings
from transport.ticket import ResumeTicket


class CallControls(Protocol):
    """``Call(settings, audio: AudioPort, on_change=None)``; ``on_change()`` comes from another
    thread after a change of state or notice and must return at once (a Qt signal's ``emit``)."""

    def create_invite(self) -> Future[str]: ...

    def accept_invite(self, code: str) -> Future[str]:
        """The other side's invite → our answer, to be carried back to them."""

    def accept_answer(self, code: str) -> Future[None]: ...

    def resume(self, ticket: ResumeTicket) -> Future[str]:
        """Go on with a call that this program was killed in; nobody has to do anything."""

    def hang_up(self) -> Future[None]:
        """Say bye, stop the threads, wipe both voices. Safe to call twice."""

    def set_muted(self, muted: bool) -> None: ...

    def set_push_to_talk(self, enabled: bool) -> None:
        """While enabled the microphone is open only while ``set_talk_key(True)`` holds."""

    def set_talk_key(self, held: bool) -> None: ...

    def set_volume(self, volume: float) -> None:
        """0 ... 2, linear."""

    def set_arm(self, arm: Arm) -> None:
        """Which arm is heard: a 20 ms crossfade at matched loudness, without a gap."""

    def set_aligned(self, aligned: bool) -> None:
        """Hear Opus as late as the phonemes are now: in a blind test time must not tell."""

    def set_opus(self, rate_bps: int, frame_ms: int) -> None: ...

    def set_impairment(self, settings: ImpairmentSettings | None) -> None:
        """Impair what we send on both arms alike; None leaves the link alone."""

    def impairment(self) -> ImpairmentSettings | None: ...

    def set_processing(self, echo: bool, noise: bool, gain: bool) -> None: ...

    def set_audio(self, audio: AudioPort) -> None:
        """Change devices during the call."""

    def request_recording(self) -> None:
        """Ask the peer; recording starts when both agreed (also: agree to the peer's request)."""

    def refuse_recording(self) -> None: ...

    def stop_recording(self) -> None:
        """Either side may, at any time."""

    def set_recordings_folder(self, folder: Path) -> None:
        """From the next recording on."""

    def send_chat(self, text: str) -> None: ...

    def chat(self) -> tuple[ChatLine, ...]: ...

    def stats(self) -> CallStats: ...

    def near_events(self) -> tuple[EventMark, ...]:
        """The last ones, oldest first; at most 200."""

    def far_events(self) -> tuple[EventMark, ...]: ...

    def heard(self, since_sample: int) -> tuple[int, Pcm]:
        """What was played (16 kHz, the arm heard) after ``since_sample``: (next position, PCM).
        At most the last two seconds."""
