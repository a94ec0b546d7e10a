"""Writes a recording while the call goes on: growing WAVs, events, packets and figures.

Everything is handed over through one bounded queue to another thread, so that a slow or full disk
never holds the call up. What is on disk is readable at every moment; ``load_bundle``
makes the evaluation bundle of it, also after a crash. Nothing here knows a voice descriptor.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from app.export import Bundle, EventRow, PacketRow
from app.helper import Helper
from app.wavfile import replacing
from app.wavstream import WavStream
from engine.errors import SottovoceError
from engine.events import Pcm, PhonemeEvent
from engine.mel import SAMPLE_RATE_HZ
from engine.phonemes import N_PHONEMES

log = logging.getLogger(__name__)

TRACKS: Final = ("near", "far_phonemes", "far_opus")
QUEUE_ITEMS: Final = 2000  # some ten seconds of a call; drops the newest
LINES: Final = ("events", "packets", "stats")
INFO_FILE: Final = "recording.json"


class Recorder:
    """One recording in a folder of its own. Every method returns at once but ``close``."""

    def __init__(self, folder: Path, info: Mapping[str, Any], writer: Helper | None = None) -> None:
        """``info``: title, link model, consent, … for the manifest. ``writer`` does the writing
        until ``close``. Makes the folder here and now.

        Raises SottovoceError when the folder cannot be written to.
        """
        self.folder = folder
        self.problem = ""
        self.dropped = 0
        self.samples = 0
        """Near samples recorded: the recording's clock."""
        self._lines: dict[str, TextIO] = {}
        self._wavs: dict[str, WavStream] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(dict(info), indent=2, ensure_ascii=False)
            with replacing(folder / INFO_FILE) as partial:
                partial.write_text(text, encoding="utf-8")
            for name in LINES:
                self._lines[name] = (folder / raw_name(name)).open("w", 1, encoding="utf-8")
            for name in TRACKS:
                self._wavs[name] = WavStream(folder / f"{name}.wav")
        except OSError as error:
            self._shut()
            raise unwritable(folder, error) from error
        except SottovoceError:
            self._shut()
            raise
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_ITEMS)
        self._over = threading.Event()
        (writer or Helper("recorder")).do(self._run)

    def sound(self, track: str, pcm: Pcm) -> None:
        if track == "near":
            self.samples += len(pcm)
        wav = self._wavs[track]
        self._put(lambda: wav.write(pcm))

    def event(self, row: EventRow) -> None:
        self._line("events", event_fields(row))

    def packet(self, row: PacketRow) -> None:
        self._line("packets", row._asdict())

    def second(self, row: Mapping[str, Any]) -> None:
        self._line("stats", dict(row))

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE_HZ

    def end(self) -> None:
        """Nothing more comes: the files are closed when what waits is written."""
        with contextlib.suppress(queue.Full):  # then ``close`` waits for room
            self._work.put_nowait(None)

    def close(self) -> None:
        """Wait until everything is written and the files are closed. Safe to call twice."""
        if self._over.is_set():
            return
        try:
            self._work.put(None, timeout=5.0)
        except queue.Full:
            return
        self._over.wait(timeout=10.0)

    def _line(self, name: str, fields: Mapping[str, Any]) -> None:
        file = self._lines[name]
        text = json.dumps(fields, ensure_ascii=False) + "\n"
        self._put(lambda: _append(file, text))

    def _put(self, job: Callable[[], None]) -> None:
        try:
            self._work.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            try:
                job()
            except OSError as error:
                self._fail(error.strerror or str(error))
            problems = [wav.problem for wav in self._wavs.values() if wav.problem]
            if problems:
                self._fail(problems[0])
        self._shut()
        self._over.set()

    def _shut(self) -> None:
        for wav in self._wavs.values():
            wav.close()
        for file in self._lines.values():
            try:
                file.close()
            except OSError as error:
                self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        if not self.problem:
            log.warning("recording stopped: %s", reason)
            self.problem = reason


def unwritable(folder: Path, error: OSError) -> SottovoceError:
    return SottovoceError(
        f"The recording cannot be written to {folder} ({error.strerror or error}): "
        "choose another folder."
    )


def raw_name(lines: str) -> str:
    """Apart from the bundle's own files, which may come to lie beside them."""
    return f"recorded-{lines}.jsonl"


def _append(file: TextIO, text: str) -> None:
    file.write(text)


def event_fields(row: EventRow) -> dict[str, Any]:
    """An event as JSON. Codes are counted, not kept: they carry the voice."""
    event = row.event
    return {
        "side": row.side,
        "status": row.status,
        "play_tick": row.play_tick,
        "play_ticks": row.play_ticks,
        "index": event.index,
        "phoneme": event.phoneme,
        "start_tick": event.start_tick,
        "duration_ticks": event.duration_ticks,
        "voiced": event.voiced,
        "pitch": list(event.pitch),
        "energy": event.energy,
        "layers": len(event.codes),
    }


def _event_row(fields: Mapping[str, Any]) -> EventRow:
    phoneme = int(fields["phoneme"])
    if not 0 <= phoneme < N_PHONEMES:
        raise ValueError("no such phoneme")
    low, high = fields["pitch"]
    event = PhonemeEvent(
        int(fields["index"]),
        phoneme,
        int(fields["start_tick"]),
        int(fields["duration_ticks"]),
        bool(fields["voiced"]),
        (int(low), int(high)),
        int(fields["energy"]),
        (0,) * int(fields["layers"]),
    )
    return EventRow(
        fields["side"], event, fields["status"], fields["play_tick"], fields["play_ticks"]
    )


def _packet_row(fields: Mapping[str, Any]) -> PacketRow:
    return PacketRow(**fields)


def _rows(path: Path, make: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Every whole line; a line that a crash cut in two is left out."""
    rows = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                rows.append(make(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                continue
    return rows


def load_bundle(
    folder: Path,
    summary: Mapping[str, Mapping[str, Any]] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Bundle:
    """A recording's folder, finished or cut short by a crash → what ``export_bundle`` takes.

    Raises SottovoceError when the folder holds no recording.
    """
    try:
        info = json.loads((folder / INFO_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SottovoceError(
            f"{folder} holds no recording: give a folder that a call recorded into."
        ) from error
    title = str(info.pop("title", "A call"))
    return Bundle(
        title=title,
        sounds={name: folder / f"{name}.wav" for name in TRACKS},
        events=_rows(folder / raw_name("events"), _event_row),
        packets=_rows(folder / raw_name("packets"), _packet_row),
        stats=_rows(folder / raw_name("stats"), dict),
        summary=summary or info.pop("summary", {}),
        manifest={**info, **(manifest or {})},
    )
