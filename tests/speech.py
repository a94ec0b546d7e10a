"""Where tests and benchmarks find real human speech, and how they read it.

Looks at ``SOTTOVOCE_SPEECH``, then at ``../shared/speech`` beside the repository; failing both,
Debian's Asterisk prompts stand in where any speech will do. Tests skip with ``SPEECH_REASON``.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

REPOSITORY = Path(__file__).resolve().parent.parent
ASTERISK_DIR = Path("/usr/share/asterisk/sounds/en")
SPEECH_REASON = "no speech corpus: set SOTTOVOCE_SPEECH to a folder with manifest.tsv"
ANY_SPEECH_REASON = "no speech: set SOTTOVOCE_SPEECH or install asterisk-core-sounds-en-g722"


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the corpus' manifest."""

    id: str
    path: Path
    text: str
    speaker: str
    group: str


def speech_dir() -> Path | None:
    """The corpus folder (it holds manifest.tsv), or None."""
    named = os.environ.get("SOTTOVOCE_SPEECH")
    folders = [Path(named)] if named else [REPOSITORY.parent / "shared" / "speech"]
    return next((folder for folder in folders if (folder / "manifest.tsv").is_file()), None)


def noise_dir() -> Path | None:
    """The folder of background noises beside the corpus, or None."""
    corpus = speech_dir()
    folder = corpus.parent / "noise" if corpus else None
    return folder if folder and folder.is_dir() else None


def clips(source: str, split: str = "dev") -> list[Clip]:
    """The manifest's clips of one source and split, in its order; [] without a corpus."""
    corpus = speech_dir()
    if corpus is None:
        return []
    with (corpus / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Clip(row["id"], corpus / row["path"], row["text"], row["speaker"], row["group"])
        for row in rows
        if row["source"] == source and row["split"] == split
    ]


def dev_readers() -> list[tuple[str, Path, str]]:
    """The LibriSpeech readers nobody trained on: (id, path, transcript); [] without a corpus."""
    return [(clip.id, clip.path, clip.text) for clip in clips("librispeech")]


@lru_cache(maxsize=1)
def alignments() -> dict[str, list[tuple[str, int, int]]]:
    """Clip id → (phoneme, start tick, duration in ticks); {} without a corpus."""
    corpus = speech_dir()
    if corpus is None:
        return {}
    with gzip.open(corpus / "alignments.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["id"]: [(p, int(s), int(d)) for p, s, d in row["events"]] for row in rows}


def load_pcm(path: Path) -> Pcm:
    """Any sound file (raw .g722 too) → float32 mono at 16 kHz, shape [N]."""
    if path.suffix == ".g722":
        return _load_g722(path)
    pcm, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = pcm.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), np.float32)


def _load_g722(path: Path) -> Pcm:
    import av

    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return (np.concatenate(frames) / 32768.0).astype(np.float32)


def any_speech(seconds: float = 4.0) -> Pcm:
    """At most ``seconds`` of human speech from wherever there is some, or skips the test."""
    readers = dev_readers()
    if readers:
        path = readers[1][1]
    else:
        prompts = sorted(ASTERISK_DIR.glob("*.g722"), key=lambda p: (-p.stat().st_size, p.name))
        if not prompts:
            pytest.skip(ANY_SPEECH_REASON)
        path = prompts[0]
    return load_pcm(path)[: int(seconds * SAMPLE_RATE_HZ)]
