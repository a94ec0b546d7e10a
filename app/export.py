"""The evaluation bundle: one folder with everything a call or a simulation left behind.

WAVs of each arm, ``events.jsonl``, ``packets.csv``, ``stats.csv``, ``phonemes.TextGrid``,
``manifest.json`` and a self-contained ``report.html``. The folder appears whole or not at all,
and the same bundle always gives the same bytes. A voice descriptor is never part of it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from app.watermark import SYNTHETIC_COMMENT, watermark, watermark_available
from app.wavfile import WavError, read_wav, write_wav
from engine.errors import SottovoceError
from engine.events import TICK_MS, Pcm, PhonemeEvent
from engine.phonemes import PHONEMES

FORMAT_VERSION = 1
SYNTHETIC = "phonemes"  # a sound with this in its name was spoken by a machine
TWO_TALKERS = "talkers"  # in a manifest: near and far are not the same words
VERSIONED = ("torch", "numpy", "aiortc", "constriction", "Resemblyzer", "soundfile")

Status = Literal["sent", "played", "concealed", "lost"]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of ``events.jsonl``: a phoneme as sent (near) or as spoken (far)."""

    side: Literal["near", "far"]
    event: PhonemeEvent
    status: Status
    play_tick: int | None = None
    """When it was spoken, 10 ms ticks on the recording's clock; None for events only sent."""
    play_ticks: int | None = None
    """How long it was spoken: playout stretches and shrinks."""


class PacketRow(NamedTuple):
    """One line of ``packets.csv``."""

    arm: str
    direction: str
    """``out`` (media) or ``back`` (reports); a call uses ``sent`` and ``received``."""
    sequence_number: int
    sent_ms: float
    arrival_ms: float | None
    """None: lost."""
    payload_bytes: int
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is exported. Sounds are 16 kHz mono arrays, or WAV files that were written already."""

    title: str
    sounds: Mapping[str, Pcm | Path]
    """Name without suffix (``near``, ``far_phonemes``, ``far_opus``) → sound."""
    events: Sequence[EventRow] = ()
    packets: Sequence[PacketRow] = ()
    stats: Sequence[Mapping[str, Any]] = ()
    """One mapping a second, all with the same keys, ``second`` first."""
    summary: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """For each arm the figures of the report's table."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Seeds, link model, consent, …; versions are added here."""


def load() -> None:
    """Load everything that ``export_bundle`` needs: in a call that would hold up all threads."""
    import praatio.textgrid  # noqa: F401

    import app.report  # noqa: F401

    watermark_available()


def versions() -> dict[str, str]:
    """Versions of the program and of what shapes its output."""
    found = {"python": platform.python_version()}
    for name in ("sottovoce", *VERSIONED):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def event_line(row: EventRow) -> dict[str, Any]:
    """The JSON object of one event. Codes are counted, not shown: they carry the voice."""
    event = row.event
    line: dict[str, Any] = {
        "side": row.side,
        "index": event.index,
        "phoneme": event.ipa,
        "start_s": round(event.start_tick * TICK_MS / 1000, 2),
        "duration_s": round(event.duration_ticks * TICK_MS / 1000, 2),
        "voiced": event.voiced,
        "pitch_semitones": list(event.pitch) if event.voiced else None,
        "energy_db": event.energy_db,
        "layers": len(event.codes),
        "status": row.status,
    }
    if row.play_tick is not None:
        line["played_s"] = round(row.play_tick * TICK_MS / 1000, 2)
    if row.play_ticks is not None:
        line["played_for_s"] = round(row.play_ticks * TICK_MS / 1000, 2)
    return line


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file's text; None is an empty field, a float has three places."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(
            ["" if v is None else f"{v:.3f}" if isinstance(v, float) else v for v in row]
        )
    return text.getvalue()


def _intervals(rows: Iterable[EventRow], far: bool, end_s: float) -> list[tuple[float, float, str]]:
    """Non-overlapping (start, end, IPA) within 0 … ``end_s``, as TextGrid wants them."""
    spans = []
    for row in rows:
        start = row.play_tick if far else row.event.start_tick
        ticks = row.play_ticks if far and row.play_ticks else row.event.duration_ticks
        if start is None or row.status == "lost":
            continue
        label = PHONEMES[row.event.phoneme] + ("*" if row.status == "concealed" else "")
        spans.append((start * TICK_MS / 1000, (start + ticks) * TICK_MS / 1000, label))
    spans.sort()
    out: list[tuple[float, float, str]] = []
    for begin, end, label in spans:
        begin = max(begin, out[-1][1]) if out else max(begin, 0.0)
        end = min(end, end_s)
        if end - begin > 1e-6:
            out.append((round(begin, 4), round(end, 4), label))
    return out


def write_textgrid(path: Path, rows: Sequence[EventRow], seconds: float) -> None:
    """Praat TextGrid: tier ``near`` as said, tier ``far`` as spoken (``*``: concealed)."""
    from praatio import textgrid
    from praatio.data_classes.interval_tier import IntervalTier

    end_s = max(
        [seconds, 0.01]
        + [(row.event.end_tick) * TICK_MS / 1000 for row in rows if row.side == "near"]
    )
    grid = textgrid.Textgrid()
    for side in ("near", "far"):
        spans = _intervals([row for row in rows if row.side == side], side == "far", end_s)
        grid.addTier(IntervalTier(side, spans, 0, end_s))
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)


def _write_sounds(bundle: Bundle, folder: Path, marked: bool) -> dict[str, Pcm]:
    written: dict[str, Pcm] = {}
    for name, sound in bundle.sounds.items():
        synthetic = SYNTHETIC in name
        path = folder / f"{name}.wav"
        if isinstance(sound, Path):
            try:
                pcm = read_wav(sound)
            except WavError:  # a call that ended before anything was heard
                continue
        else:
            pcm = sound
        if synthetic and marked:
            pcm = watermark(pcm)
        write_wav(path, pcm, comment=SYNTHETIC_COMMENT if synthetic else "")
        written[name] = pcm
    return written


def _fill(bundle: Bundle, folder: Path, marked: bool, extra: Mapping[str, str]) -> None:
    from app.report import render_report

    sounds = _write_sounds(bundle, folder, marked)
    seconds = max((len(pcm) / 16_000 for pcm in sounds.values()), default=0.0)
    texts = dict(extra)
    texts["events.jsonl"] = "".join(
        json.dumps(event_line(row), ensure_ascii=False) + "\n" for row in bundle.events
    )
    texts["packets.csv"] = csv_text(PacketRow._fields, bundle.packets)
    keys = list(bundle.stats[0]) if bundle.stats else ["second"]
    texts["stats.csv"] = csv_text(keys, ([row.get(k) for k in keys] for row in bundle.stats))
    manifest = {
        "format": FORMAT_VERSION,
        "title": bundle.title,
        "seconds": round(seconds, 3),
        "sounds": {
            name: {
                "file": f"{name}.wav",
                "synthetic": SYNTHETIC in name,
                "watermark": (
                    "resemble-perth"
                    if SYNTHETIC in name and marked and watermark_available()
                    else None
                ),
            }
            for name in sounds
        },
        "versions": versions(),
        **bundle.manifest,
    }
    texts["manifest.json"] = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    texts["report.html"] = render_report(bundle, sounds, manifest)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    write_textgrid(folder / "phonemes.TextGrid", bundle.events, seconds)


def _move_in(partial: Path, folder: Path) -> None:
    if not folder.exists():
        os.rename(partial, folder)
        return
    for path in sorted(partial.iterdir()):
        os.replace(path, folder / path.name)


def _zip(partial: Path, target: Path) -> None:
    """Pack a folder with fixed times and order, so that the same bundle is the same file."""
    archive = target.with_name(f".{target.name}.{os.getpid()}.packing")
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
            for path in sorted(partial.iterdir()):
                info = zipfile.ZipInfo(f"{target.stem}/{path.name}", (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                pack.writestr(info, path.read_bytes())
        os.replace(archive, target)
    finally:
        archive.unlink(missing_ok=True)


def export_bundle(
    bundle: Bundle,
    target: Path,
    marked: bool = True,
    extra: Mapping[str, str] | None = None,
) -> Path:
    """Write the bundle to the folder ``target``, or to one file when it ends in ``.zip``.

    ``marked`` puts an inaudible watermark into synthetic speech; ``extra`` adds text files.
    Returns ``target``. Raises SottovoceError when it cannot be written; then nothing is.
    """
    target = Path(os.path.abspath(target))
    zipped = target.suffix == ".zip"
    if target.exists() and target.is_dir() == zipped:
        raise SottovoceError(f"{target} is in the way: choose another name for the bundle.")
    partial = target.with_name(f".{target.name or 'bundle'}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _fill(bundle, partial, marked, extra or {})
        if zipped:
            _zip(partial, target)
        else:
            _move_in(partial, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SottovoceError(
            f"The bundle cannot be written to {target} ({reason}): free space or choose another "
            "place."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
