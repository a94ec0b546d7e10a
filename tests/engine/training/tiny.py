"""A corpus of a few seconds of real speech, built from nothing in a test's folder.

Boundaries are made up (a phoneme every 80 ms): enough to see that training code does its work,
not to train anything.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import soundfile

from engine.mel import HOP, SAMPLE_RATE_HZ
from engine.phonemes import N_PHONEMES, PHONEMES
from engine.training.datasets import Corpus
from tests.speech import any_speech

CLIPS, SECONDS, EVENT_TICKS = 4, 2, 8
FIELDS = "id path source speaker group sex seconds rate licence text split aligned align_score"


def tiny_corpus(folder: Path) -> Corpus:
    """Three clips to train on and one ``dev`` clip."""
    pcm = any_speech(float(CLIPS * SECONDS))
    rows, lines = [FIELDS.replace(" ", "\t")], []
    for n in range(CLIPS):
        part = pcm[n * SECONDS * SAMPLE_RATE_HZ : (n + 1) * SECONDS * SAMPLE_RATE_HZ]
        soundfile.write(folder / f"{n}.wav", part, SAMPLE_RATE_HZ)
        split = "dev" if n == CLIPS - 1 else "train"
        rows.append(
            f"c{n}\t{n}.wav\tlibrispeech\ts{n}\tadult\tf\t{SECONDS}\t16000\tCC0-1.0\tno text\t"
            f"{split}\ttext\t-0.1"
        )
        ticks = len(part) // HOP // EVENT_TICKS * EVENT_TICKS
        events = [
            [PHONEMES[(n + k) % N_PHONEMES], start, EVENT_TICKS]
            for k, start in enumerate(range(0, ticks, EVENT_TICKS))
        ]
        lines.append(json.dumps({"id": f"c{n}", "source": "librispeech", "events": events}))
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with gzip.open(folder / "alignments.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return Corpus(folder, folder / "cache")
