"""The given sentences of read text as phonemes: what a language sounds like without its speakers.

Sentences of held-out readers are left out. espeak takes half a minute for all of them, so they are
kept in the cache of the training features where there is one.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np

from engine import g2p
from engine.errors import SottovoceError
from engine.training.datasets import read_manifest
from engine.training.kept import load_rows, save_rows

TEXT_NAME = "librispeech_train_clean_100_text.tsv.gz"
MANY = 2000  # sentences at a time: espeak is ten times as fast as one by one


def read_sentences(data_dir: Path) -> list[str]:
    """Sentences of the given text whose reader is not in the held-out split, in lower case.

    Raises SottovoceError when manifest or text is missing.
    """
    held_out = {
        row["speaker"].rpartition("-")[2]
        for row in read_manifest(data_dir)
        if row["split"] == "dev" and row["source"] == "librispeech"
    }
    path = data_dir / TEXT_NAME
    if not path.is_file():
        raise SottovoceError(f"{path} is missing: point --data at the speech folder.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t") for line in lines][1:]
    return [text.lower() for key, text in pairs if key.split("-")[0] not in held_out]


def phoneme_sentences(data_dir: Path, cache_dir: Path | None = None) -> list[list[int]]:
    """Phoneme ids of every sentence, without silence. Raises SottovoceError without espeak-ng."""
    if cache_dir is None:
        return _phonemes(read_sentences(data_dir))
    spelling = hashlib.sha256(Path(g2p.__file__).read_bytes()).hexdigest()[:12]
    path = cache_dir / f"sentences-{spelling}.npz"
    known = load_rows(path)
    if not known:
        made = _phonemes(read_sentences(data_dir))
        known = {str(n): np.array(ids, np.int32)[:, None] for n, ids in enumerate(made)}
        cache_dir.mkdir(parents=True, exist_ok=True)
        save_rows(path, known)
    return [rows[:, 0].tolist() for rows in known.values()]


def _phonemes(sentences: list[str]) -> list[list[int]]:
    return [
        ids
        for start in range(0, len(sentences), MANY)
        for ids in g2p.texts_to_ids(sentences[start : start + MANY])
    ]
