"""What models made of the training clips, kept in the cache: some rows of whole numbers a clip.

One ``.npz`` file holds all clips, written under another name and renamed, so a run that
is killed leaves the file before. A name carries the fingerprint of the weights that made it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.weights import MODELS_DIR

Rows = NDArray[np.int32]
"""[E, columns] of one clip."""


def weights_fingerprint(name: str, directory: Path = MODELS_DIR) -> str:
    """Twelve hex digits that change with the weights. Raises OSError when there are none."""
    data = (directory / f"{name}.safetensors").read_bytes()
    return hashlib.sha256(data).hexdigest()[:12]


def load_rows(path: Path) -> dict[str, Rows]:
    """Clip id → rows, in the order they were made; {} when there is no such file."""
    if not path.is_file():
        return {}
    with np.load(path) as file:
        ends = np.cumsum(file["lengths"])[:-1]
        return dict(zip(file["ids"].tolist(), np.split(file["rows"], ends), strict=True))


def save_rows(path: Path, known: Mapping[str, Rows]) -> None:
    """Write what ``load_rows`` reads; ``known`` must not be empty."""
    partial = path.with_suffix(".partial.npz")
    lengths = [len(rows) for rows in known.values()]
    np.savez(partial, ids=list(known), lengths=lengths, rows=np.concatenate(list(known.values())))
    os.replace(partial, path)
