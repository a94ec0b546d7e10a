"""The dials and displays of a call: everything a window asks of it between hello and bye.

``Call`` adds the life of the call to this. Setters write plain values that the engine worker
follows; readers return immutable ones. Every method may be called from any thread.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.audio import AudioPort
from app.call_recording import CallRecording
from app.call_state import CallState
from app.call_switches import CallSwitches, impairment_words
from app.call_words import CallWords
from app.clock import Clock
from app.export import TWO_TALKERS
from app.helper import Helper
from app.mark_view import MarkView
from app.network import Network
from app.settings import OPUS_FRAMES_MS, OPUS_RATES_BPS, Settings
from app.stats import ARMS, Arm, CallStats, ChatLine, EventMark
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.opus import OpusOptions
from transport.impair import ImpairmentSettings

if TYPE_CHECKING:
    from app.engine_worker import EngineWorker


class CallPanel:
    """Part of ``Call``."""

    def __init__(
        self,
        settings: Settings,
        audio: AudioPort,
        clock: Clock,
        network: Network,
        recording: CallRecording,
        words: CallWords,
    ) -> None:
        self.network = network
        self.recording = recording
        self.settings = settings
        self._audio = audio
        self._clock = clock
        self._words = words
        self._state = CallState.IDLE
        self._notice = ""
        self._peer_name = self._peer_version = ""
        self._began_ms = 0.0
        self._near_marks, self._far_marks = MarkView(), MarkView()
        self._thread: threading.Thread | None = None
        self._devices = Helper("devices")
        self._worker: EngineWorker | None = None
        self._last_stats = CallStats()
        self._switches = CallSwitches(
            arm="opus" if settings.arm == "opus" else "phonemes",
            layers=settings.layers,
            volume=settings.volume,
            opus_rate_bps=settings.opus_rate_bps,
            opus_frame_ms=settings.opus_frame_ms,
            opus=OpusOptions(settings.opus_library or None, settings.opus_deep_plc),
            wire_bps=settings.wire_bps,
            processing=(
                settings.echo_cancellation,
                settings.noise_suppression,
                settings.gain_control,
            ),
            tell=self._tell,
            recording_info=self._recording_info,
            push_to_talk=settings.push_to_talk != "off",
        )

    # in the call

    def set_muted(self, muted: bool) -> None:
        self._switches.muted = muted
        self._words.say_media(muted)

    def set_push_to_talk(self, enabled: bool) -> None:
        self._switches.push_to_talk = enabled

    def set_talk_key(self, held: bool) -> None:
        self._switches.talk_key = held

    def set_volume(self, volume: float) -> None:
        self._switches.volume = float(np.clip(volume, 0.0, 2.0))

    def set_arm(self, arm: Arm) -> None:
        if arm not in ARMS:
            raise SottovoceError(f"There is no arm {arm!r}: choose phonemes or opus.")
        self._switches.arm = arm

    def set_aligned(self, aligned: bool) -> None:
        self._switches.aligned = aligned

    def set_opus(self, rate_bps: int, frame_ms: int) -> None:
        low, high = min(OPUS_RATES_BPS), max(OPUS_RATES_BPS)
        if not low <= rate_bps <= high or frame_ms not in OPUS_FRAMES_MS:
            raise SottovoceError(
                f"Opus runs at {low} to {high} bit/s with frames of 20, 40 or 60 ms here."
            )
        self._switches.opus_rate_bps, self._switches.opus_frame_ms = rate_bps, frame_ms

    def set_impairment(self, settings: ImpairmentSettings | None) -> None:
        self.network.set_impairment(settings)
        self._switches.impairment_words = impairment_words(settings)

    def impairment(self) -> ImpairmentSettings | None:
        return self.network.impairment

    def set_processing(self, echo: bool, noise: bool, gain: bool) -> None:
        self._switches.processing = (echo, noise, gain)

    def set_audio(self, audio: AudioPort) -> None:
        if self._thread is None:
            self._audio = audio
            return

        def change() -> None:
            audio.start()
            old, self._audio = self._audio, audio
            old.close()

        self._devices.do(change)

    def request_recording(self) -> None:
        if self._state is CallState.ACTIVE:
            self.recording.request()

    def refuse_recording(self) -> None:
        self.recording.refuse()

    def stop_recording(self) -> None:
        self.recording.stop()

    def set_recordings_folder(self, folder: Path) -> None:
        self.recording.use_folder(folder)

    def send_chat(self, text: str) -> None:
        self._words.send_chat(text, self._clock.now_ms() - self._began_ms)

    # looking at it

    @property
    def state(self) -> CallState:
        return self._state

    def chat(self) -> tuple[ChatLine, ...]:
        return self._words.chat_lines()

    def stats(self) -> CallStats:
        worker = self._worker
        stats = self._last_stats if worker is None else worker.stats
        switches = self._switches
        return dataclasses.replace(  # what was just set or agreed shows at once
            stats,
            arm=switches.arm,
            synthetic=switches.arm == "phonemes",
            muted=switches.muted,
            push_to_talk=switches.push_to_talk,
            volume=switches.volume,
            opus_rate_bps=switches.opus_rate_bps,
            opus_frame_ms=switches.opus_frame_ms,
            impairment=switches.impairment_words,
            recording=self.recording.state,
            state=self._state,
            notice=self._notices(),
            peer_name=self._peer_name,
            peer_version=self._peer_version,
        )

    def _notices(self) -> str:
        """What the call has to say, and in it what the devices have: neither hides the other."""
        devices = "" if self._state is CallState.ENDED else self._audio.notice
        return " ".join(filter(None, (self._notice, devices)))

    def near_events(self) -> tuple[EventMark, ...]:
        worker = self._worker
        marks = () if worker is None else worker.near.marks
        return self._near_marks.since(marks, self._began_ms)

    def far_events(self) -> tuple[EventMark, ...]:
        worker = self._worker
        marks = () if worker is None else worker.far.marks
        return self._far_marks.since(marks, self._began_ms)

    def heard(self, since_sample: int) -> tuple[int, Pcm]:
        worker = self._worker
        pieces = [] if worker is None else list(worker.heard)
        if not pieces:
            return since_sample, np.zeros(0, np.float32)
        end = pieces[-1][0] + len(pieces[-1][1])
        start = max(since_sample, end - 2 * 16_000)
        parts = [pcm[max(0, start - at) :] for at, pcm in pieces if at + len(pcm) > start]
        return end, np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _tell(self, notice: str) -> None:
        self._notice = notice
        self._changed()

    def _changed(self) -> None:
        """Tell whoever watches."""

    def _recording_info(self, stats: CallStats) -> Mapping[str, Any]:
        return {
            "title": f"Call with {self._peer_name}" if self._peer_name else "A call",
            "consent": "both sides agreed",
            TWO_TALKERS: "near is who talked here, far is what was heard of the other side",
            "link": stats.impairment or "as it was",
            "opus": {"rate_bps": stats.opus_rate_bps, "frame_ms": stats.opus_frame_ms},
            "packets": "sent_ms is media time on the talker's clock, arrival_ms the receiver's",
        }
