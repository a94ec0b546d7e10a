"""Recording a call: nothing is written before both sides agreed, and either side may end it.

Keeps the consent of both ends and, while both agree, a ``Recorder`` that everything of the call
is handed to. Files are opened, written and made a bundle of on two threads that ``prepare`` starts:
neither a window nor the engine worker waits for the disk. Times in a recording count from its own
beginning.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from app import export
from app.export import EventRow, PacketRow, export_bundle
from app.helper import Helper
from app.recorder import TRACKS, Recorder, load_bundle, unwritable
from app.stats import CallStats, Recording
from app.summary import stats_row, summarise
from engine.errors import SottovoceError
from engine.events import Pcm, PhonemeEvent
from transport.control import Consent, ConsentAction

log = logging.getLogger(__name__)

MAX_BEHIND = 4800  # samples a far track may lag behind the near one before it is filled up
WORDS: Mapping[Recording, str] = {
    "on": "The other side stopped the recording.",
    "asking": "The other side did not agree to a recording.",
}
"""What the other side's no means in each state."""


class CallRecording:
    """``say`` sends a control message. Requests come from any thread, sound from the engine
    worker."""

    def __init__(self, say: Callable[[Consent], None], folder: Path, bundle: bool = False) -> None:
        """``bundle``: make the evaluation bundle in the recording's folder when it ends."""
        self._say = say
        self._parent = folder
        self._bundle = bundle
        self._writer, self._exporter = Helper("recorder"), Helper("export")
        self._lock = threading.Lock()  # never held for longer than a few assignments
        self._opening: Future[Recorder] | None = None
        self._recorder: Recorder | None = None
        self._near_origin = 0
        self._skipped = 0  # near samples that were recorded but not encoded
        self._written = dict.fromkeys(TRACKS, 0)
        self._far_origin = 0
        self._begin = False
        self.state: Recording = "off"
        self.folder: Path | None = None
        """Of the newest recording, also after it ended."""
        self.summary: Mapping[str, Mapping[str, Any]] = {}
        self._remark = ""  # for the user, with the next step
        self._first: CallStats | None = None
        self._rows: list[Mapping[str, Any]] = []

    def prepare(self) -> None:
        """Before the call: start the threads and load what a bundle needs; may take seconds."""
        self._writer.start()
        self._exporter.start()
        if self._bundle:
            export.load()

    def request(self) -> None:
        """Ask the peer, or agree to what the peer asked."""
        with self._lock:
            if self.state == "asked":
                self._say(Consent(ConsentAction.GRANT))
                self._agree()
            elif self.state == "off":
                self.state = "asking"
                self._say(Consent(ConsentAction.REQUEST))

    def refuse(self) -> None:
        with self._lock:
            if self.state == "asked":
                self._say(Consent(ConsentAction.DENY))
                self.state = "off"

    def stop(self) -> None:
        """Stop, or take a request back."""
        with self._lock:
            if self.state != "off":
                self._say(Consent(ConsentAction.STOP))
            self._end()

    def heard(self, consent: Consent) -> None:
        """The peer's word."""
        with self._lock:
            if consent.action is ConsentAction.REQUEST:
                if self.state == "asking":  # both asked at once: both agree
                    self._say(Consent(ConsentAction.GRANT))
                    self._agree()
                elif self.state == "on":  # our word was lost with a connection
                    self._say(Consent(ConsentAction.GRANT))
                else:
                    self.state = "asked"
            elif consent.action is ConsentAction.GRANT:
                if self.state == "asking":
                    self._agree()
            else:
                self._remark = WORDS.get(self.state, self._remark)
                self._end()

    def again(self) -> None:
        """On a new connection: what was said last may have been lost with the one before, and
        nobody is recorded by an end whose window shows none."""
        with self._lock:
            if self.state == "off":
                self._say(Consent(ConsentAction.STOP))
            elif self.state == "asking":
                self._say(Consent(ConsentAction.REQUEST))

    def use_folder(self, folder: Path) -> None:
        """Where the next recording goes."""
        self._parent = folder

    def close(self) -> None:
        """End the recording and wait until its files are complete."""
        with self._lock:
            self._end()
        self._writer.close(timeout_s=10.0)
        self._exporter.close(timeout_s=60.0)

    @property
    def seconds(self) -> float:
        return self._recorder.seconds if self._recorder else 0.0

    @property
    def dropped(self) -> int:
        return self._recorder.dropped if self._recorder else 0

    def _agree(self) -> None:
        self.state = "on"
        self._begin = True

    def _end(self, state: Recording = "off") -> None:
        recorder, self._recorder = self._recorder, None
        opening, self._opening = self._opening, None
        self._begin = False
        self.state = state
        if opening is not None:
            opening.add_done_callback(_abandon)
        if recorder is not None:
            recorder.end()
            self._exporter.do(lambda: self._finish(recorder))

    def _finish(self, recorder: Recorder) -> None:
        """On the thread for it: the disk may be slow, and marking speech takes a while."""
        recorder.close()
        if not self._bundle:
            return
        try:
            export_bundle(load_bundle(recorder.folder, self.summary), recorder.folder)
        except SottovoceError as error:
            log.warning("no bundle was made: %s", error)

    # engine worker

    def step(
        self, near_samples: int, far_samples: int, stats: CallStats, info: Mapping[str, Any]
    ) -> str:
        """Begin when both have agreed; notice a full disk. Returns a notice or nothing."""
        with self._lock:
            if self._begin:
                self._begin = False
                self._opening = Future()
                opening = self._opening
                self._writer.do(lambda: self._open(opening, info))
            elif self._opening is not None and self._opening.done():
                opened, self._opening = self._opening, None
                return self._start(opened, near_samples, far_samples, stats)
            recorder = self._recorder
            if recorder is not None and recorder.problem:
                self._end("failed")
                return f"The recording stopped ({recorder.problem}); the call goes on."
            remark, self._remark = self._remark, ""
        return remark

    def _open(self, opening: Future[Recorder], info: Mapping[str, Any]) -> None:
        """On the recorder's thread."""
        try:
            name = time.strftime("%Y-%m-%d %H.%M.%S")
            folder, number = self._parent / name, 2
            while folder.exists():
                folder, number = self._parent / f"{name} {number}", number + 1
            opening.set_result(Recorder(folder, info, self._writer))
        except SottovoceError as error:
            opening.set_exception(error)
        except OSError as error:
            opening.set_exception(unwritable(self._parent, error))
        except Exception as error:  # whatever it is, nobody is told that a recording goes on
            log.exception("a recording could not begin")
            opening.set_exception(unwritable(self._parent, OSError(type(error).__name__)))

    def _start(
        self, opened: Future[Recorder], near_samples: int, far_samples: int, stats: CallStats
    ) -> str:
        """What is heard from now on is recorded."""
        try:
            self._recorder = opened.result()
        except SottovoceError as error:
            self.state = "failed"
            return str(error)
        self.folder = self._recorder.folder
        self._near_origin, self._far_origin = near_samples, far_samples
        self._skipped = 0
        self._written = dict.fromkeys(TRACKS, 0)
        self._first, self._rows = stats, []
        return ""

    def sound(self, track: str, pcm: Pcm) -> None:
        """The tracks keep in step: where a stalled loudspeaker had nothing, silence is written."""
        recorder = self._recorder
        if recorder is None:
            return
        behind = recorder.samples - self._written[track]
        if track != "near" and behind - len(pcm) > MAX_BEHIND:
            recorder.sound(track, np.zeros(behind - len(pcm), np.float32))
            self._written[track] += behind - len(pcm)
        recorder.sound(track, pcm)
        self._written[track] += len(pcm)

    def skipped(self, pcm: Pcm) -> None:
        """Near sound that nobody had time to encode: recorded, and later events moved by it."""
        self.sound("near", pcm)
        if self._recorder is not None:
            self._skipped += len(pcm)

    def near_event(self, event: PhonemeEvent) -> None:
        recorder = self._recorder
        start_tick = event.start_tick - (self._near_origin - self._skipped) // 160
        if recorder is not None and start_tick >= 0:
            recorder.event(EventRow("near", replace(event, start_tick=start_tick), "sent"))

    def far_event(self, row: EventRow) -> None:
        recorder = self._recorder
        play_tick = (row.play_tick or 0) - self._far_origin // 160
        if recorder is not None and play_tick >= 0:
            recorder.event(replace(row, play_tick=play_tick))

    def packet(self, row: PacketRow) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.packet(row)

    def second(self, stats: CallStats) -> None:
        """Once a second."""
        recorder = self._recorder
        if recorder is None or self._first is None:
            return
        row = stats_row(int(recorder.seconds), stats)
        self._rows.append(row)
        recorder.second(row)
        self.summary = summarise(self._first, stats, self._rows, recorder.seconds)


def _abandon(opening: Future[Recorder]) -> None:
    """It was stopped before it began."""
    if opening.exception() is None:
        opening.result().end()
