"""``sottovoce call``: a call without a window, for terminals, scripts and servers.

The two codes pass through standard output and standard input, one line each, so that a script
can carry them; everything else is said on standard error. Ctrl-C hangs up.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TextIO

from app.audio import AudioPort, FilePort, NullPort, SplitPort
from app.call import Call
from app.call_state import CallState
from app.options import HeadlessOptions
from app.settings import Settings, load_settings
from app.stats import CallStats
from app.wavfile import read_wav
from engine.errors import SottovoceError
from engine.events import Pcm

CODE_S = 30.0  # for making a code; addresses are gathered meanwhile
CONNECT_S = 90.0  # models load meanwhile
TAIL_S = 2.0  # after a file ended: for its last words to arrive
LINE_S = 5.0
STEP_S = 0.05
MAX_CODE = 8192  # characters of a code that are read
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".w64")


def is_file(name: str) -> bool:
    """Whether ``name`` means a sound file rather than a device."""
    return Path(name).suffix.lower() in SOUND_SUFFIXES or Path(name).is_file()


def _device(name: str, way: str) -> str:
    """The device's full name, '' for the default. Raises SottovoceError with those there are."""
    from app.devices import list_devices

    names = [device.name for device in list_devices("input" if way == "--mic" else "output")]
    what = "microphone" if way == "--mic" else "loudspeaker"
    if not names:
        example = "talk.wav" if way == "--mic" else "heard.wav"
        raise SottovoceError(f"There is no {what} here: give {way} {example} or {way} none.")
    if name == "device":
        return ""
    matching = [known for known in names if name.lower() in known.lower()]
    if not matching:
        raise SottovoceError(f"No {what} is called {name!r}. There are: {', '.join(names)}.")
    return matching[0]


def open_ports(options: HeadlessOptions) -> tuple[AudioPort, FilePort | None]:
    """The call's port, and the file behind its microphone if it is one.

    Raises SottovoceError for a file that cannot be read or written and a device that is not there.
    """
    out: Path | None = None
    if options.loudspeaker not in ("device", "none") and is_file(options.loudspeaker):
        out = Path(options.loudspeaker)
        if not out.parent.is_dir():
            raise SottovoceError(f"The folder {out.parent} does not exist: create it first.")
    speech: Pcm | None = None
    if options.microphone not in ("device", "none") and is_file(options.microphone):
        speech = read_wav(options.microphone)
    microphone = loudspeaker = None
    if speech is None and options.microphone != "none":
        microphone = _device(options.microphone, "--mic")
    if out is None and options.loudspeaker != "none":
        loudspeaker = _device(options.loudspeaker, "--out")

    ears: AudioPort
    mouth: AudioPort
    file = None
    if speech is not None:
        ears = file = FilePort(speech, out, name=Path(options.microphone).name, held=True)
    elif microphone is not None:
        from app.devices import open_port

        port = open_port(microphone, loudspeaker or "")
        if loudspeaker is not None:
            return port, None
        ears = port
    else:
        ears = NullPort()
    if out is not None:
        if file is not None:
            return file, file
        import numpy as np

        mouth = FilePort(np.zeros(0, np.float32), out, name="")
    elif loudspeaker is not None:
        from app.devices import open_port

        mouth = open_port("", loudspeaker)
    else:
        return ears, file
    return SplitPort(ears, mouth), file


def status_line(stats: CallStats) -> str:
    """One line about a call: who, how fast, how well."""
    sent, received = stats.rates[stats.arm]
    heard = stats.intelligibility.get(stats.arm)
    parts = [
        f"{stats.seconds:5.0f} s",
        stats.state.value,
        f"{stats.arm}: sent {sent.payload_bps:.0f} (wire {sent.wire_bps:.0f}) bit/s",
        f"received {received.payload_bps:.0f} (wire {received.wire_bps:.0f}) bit/s",
        f"loss {100 * stats.loss.get(stats.arm, 0.0):.0f} %",
        f"delay {stats.mouth_to_ear_ms:.0f} ms",
    ]
    if heard is not None:
        parts.append(f"intelligibility {100 * heard:.0f} %")
    return "  ".join(parts)


class HeadlessCall:
    """One call driven from a terminal. ``run`` returns the exit code."""

    def __init__(
        self,
        options: HeadlessOptions,
        settings: Settings,
        codes_in: TextIO,
        codes_out: TextIO,
        notes: TextIO,
    ) -> None:
        self._options = options
        self._in, self._out, self._notes = codes_in, codes_out, notes
        port, self._file = open_ports(options)
        self._told = ""
        self._home = tempfile.TemporaryDirectory(prefix="sottovoce-")
        self._settings = dataclasses.replace(
            settings,
            name=options.name or settings.name,
            layers=options.layers,
            opus_rate_bps=options.opus_rate_bps,
            opus_frame_ms=options.opus_frame_ms,
            opus_library=options.opus_library,
            opus_deep_plc=options.opus_deep_plc,
            wire_bps=options.wire_bps,
            # A file is played as it is: nothing to clean, no echo to cancel.
            echo_cancellation=settings.echo_cancellation and self._file is None,
            noise_suppression=settings.noise_suppression and self._file is None,
            gain_control=settings.gain_control and self._file is None,
            recordings=self._home.name if options.record else settings.recordings,
        )
        self._call = Call(self._settings, port)

    def run(self) -> int:
        """Exchange the codes, talk, hang up. Raises SottovoceError when it does not come to a call."""
        call = self._call
        try:
            self._exchange()
            self._until_active()
            call.set_arm("opus" if self._options.arm == "opus" else "phonemes")
            if self._options.record:
                call.request_recording()
            if self._file is not None:
                self._file.release()
            self._talk()
        except KeyboardInterrupt:
            self._say("Hanging up.")
        finally:
            call.close()
            try:
                self._export()
            finally:
                self._home.cleanup()
        return 0

    def _exchange(self) -> None:
        call = self._call
        if self._options.listen:
            self._print(self._result(call.create_invite()))
            self._say("Send this invite to the other side and paste the answer here:")
            call.accept_answer(self._read("answer")).result(CODE_S)
        else:
            given = self._options.invite or ""
            invite = self._read("invite") if given == "-" else given
            self._print(self._result(call.accept_invite(invite)))
            self._say("Send this answer back to the other side.")

    def _result(self, code: Future[str]) -> str:
        try:
            return code.result(CODE_S)
        except FutureTimeout as error:
            raise SottovoceError("No code could be made: is there a network?") from error

    def _read(self, what: str) -> str:
        line = self._in.readline(MAX_CODE).strip()
        if not line:
            raise SottovoceError(f"No {what} came: paste the code the other side sent.")
        return line

    def _until_active(self) -> None:
        deadline_s = time.monotonic() + CONNECT_S
        while self._call.state is not CallState.ACTIVE:
            self._heed()
            if self._call.state is CallState.ENDED:
                raise SottovoceError(self._call.stats().notice or "The call ended early.")
            if time.monotonic() > deadline_s:
                raise SottovoceError(
                    "The other side was not reached: check the code, or add a TURN server."
                )
            time.sleep(STEP_S)
        self._say(f"Connected to {self._call.stats().peer_name or 'somebody'}.")

    def _talk(self) -> None:
        limit_s = self._options.seconds
        began_s = line_s = time.monotonic()
        finished_s: float | None = None
        while self._call.state is not CallState.ENDED:
            now_s = time.monotonic()
            if limit_s is not None and now_s - began_s >= limit_s:
                return
            if limit_s is None and self._file is not None and self._file.finished:
                finished_s = finished_s or now_s
                if now_s - finished_s >= TAIL_S:
                    return
            if now_s - line_s >= LINE_S:
                line_s = now_s
                self._say(status_line(self._call.stats()))
            self._heed()
            time.sleep(STEP_S)

    def _heed(self) -> None:
        """Say new notices, answer a wish to record."""
        stats = self._call.stats()
        if stats.notice and stats.notice != self._told:
            self._told = stats.notice
            self._say(stats.notice)
        if stats.recording == "asked":
            if self._options.record:
                self._call.request_recording()
            else:
                self._call.refuse_recording()
                self._say("The other side wants to record; refused (give --record to agree).")

    def _export(self) -> None:
        target = self._options.record
        if target is None:
            return
        folder = self._call.recording.folder
        if folder is None:
            self._say("Nothing was recorded: the other side did not agree.")
            return
        from app.export import export_bundle
        from app.recorder import load_bundle

        export_bundle(load_bundle(folder, self._call.recording.summary), target)
        self._say(f"Bundle: {target}")

    def _print(self, code: str) -> None:
        print(code, file=self._out, flush=True)

    def _say(self, text: str) -> None:
        print(text, file=self._notes, flush=True)


def run_call(options: HeadlessOptions) -> int:
    """Make one call as ``options`` say. Returns the exit code. Raises SottovoceError."""
    call = HeadlessCall(options, load_settings(), sys.stdin, sys.stdout, sys.stderr)
    return call.run()
