"""Phoneme events from forced alignments: what an ideal recogniser would have sent.

Alignments, f0 and tick power come in; quantised events go out, exactly as the live encoder makes
them. Training, the oracle rows of the benchmarks and the bitstream tables all use this module.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.events import (
    ENERGY_FLOOR_DB,
    ENERGY_LEVELS,
    ENERGY_STEP_DB,
    MAX_EVENT_TICKS,
    PITCH_LEVELS,
    PITCH_REFERENCE_HZ,
    PhonemeEvent,
)
from engine.mel import HOP
from engine.phonemes import PHONEME_ID

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Alignment = Sequence[Sequence[Any]]
"""``[[ipa, start_tick, duration_ticks], …]`` as in ``alignments.jsonl.gz``."""


def read_alignments(data_dir: Path) -> Iterator[tuple[str, Alignment]]:
    """Yield ``(clip id, alignment)`` from ``alignments.jsonl.gz``. Raises SottovoceError."""
    path = data_dir / "alignments.jsonl.gz"
    if not path.is_file():
        raise SottovoceError(f"{path} is missing: point --data at the speech folder.")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            yield entry["id"], entry["events"]


def tick_power(pcm: NDArray[Any]) -> F32:
    """Mean square of every 10 ms tick. pcm: [N] float, full scale 1. Returns [N // HOP] float32."""
    ticks = len(pcm) // HOP
    frames = np.asarray(pcm[: ticks * HOP], np.float32).reshape(ticks, HOP)
    return np.asarray(np.mean(frames * frames, axis=1), np.float32)


def pieces(alignment: Alignment) -> tuple[I64, I64]:
    """Alignment → (phoneme ids [E], boundaries [E + 1]); parts longer than 200 ms are split."""
    phonemes: list[int] = []
    bounds: list[int] = []
    end = 0
    for ipa, start, duration in alignment:
        phoneme = PHONEME_ID[ipa]
        for offset in range(0, int(duration), MAX_EVENT_TICKS):
            phonemes.append(phoneme)
            bounds.append(int(start) + offset)
        end = int(start) + int(duration)
    return np.asarray(phonemes, np.int64), np.asarray([*bounds, end], np.int64)


def jitter_bounds(bounds: I64, most: int, rng: np.random.Generator) -> I64:
    """Move inner boundaries by up to ``most`` ticks; every piece keeps 1 … MAX_EVENT_TICKS."""
    moved = bounds.copy()
    moved[1:-1] += rng.integers(-most, most + 1, len(bounds) - 2)
    lengths = np.diff(moved)
    ok = (lengths >= 1) & (lengths <= MAX_EVENT_TICKS)
    # A boundary goes back to its place when either of its sides broke; repeat until none is.
    for _ in range(4):
        if ok.all():
            return moved
        broken = np.zeros(len(moved), bool)
        broken[:-1] |= ~ok
        broken[1:] |= ~ok
        moved[broken] = bounds[broken]
        lengths = np.diff(moved)
        ok = (lengths >= 1) & (lengths <= MAX_EVENT_TICKS)
    return moved if ok.all() else bounds


@dataclass(frozen=True, slots=True)
class EventArrays:
    """Consecutive events as columns, each [E]. ``bounds`` is [E + 1] ticks."""

    phoneme: I64
    bounds: I64
    voiced: NDArray[np.bool_]
    pitch: I64
    """[E, 2] semitone indices."""
    energy: I64

    def __len__(self) -> int:
        return len(self.phoneme)


def measure(phoneme: I64, bounds: I64, f0_hz: F32, power: F32) -> EventArrays:
    """Prosody of the pieces, quantised as it travels.

    f0_hz: [T], 0 = unvoiced. power: [T] tick power. A piece is voiced when half of its ticks are;
    gaps inside it are bridged in log-f0.
    """
    count = len(phoneme)
    voiced = np.zeros(count, bool)
    pitch = np.zeros((count, 2), np.int64)
    ends = np.minimum(bounds, len(power))
    total = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    lengths = np.maximum(np.diff(ends), 1)
    rms = np.sqrt(np.maximum(np.diff(total[ends]) / lengths, 1e-12))
    level_db = 20.0 * np.log10(np.maximum(rms, 1e-6))
    energy = np.clip(np.round((level_db - ENERGY_FLOOR_DB) / ENERGY_STEP_DB), 0, ENERGY_LEVELS - 1)
    for i in range(count):
        part = f0_hz[ends[i] : ends[i + 1]]
        where = np.flatnonzero(part > 0)
        if phoneme[i] == 0 or len(where) == 0 or 2 * len(where) < len(part):
            continue
        semitones = 12.0 * np.log2(part[where] / PITCH_REFERENCE_HZ)
        points = np.interp([0.25 * len(part) - 0.5, 0.75 * len(part) - 0.5], where, semitones)
        voiced[i] = True
        pitch[i] = np.clip(np.round(points), 0, PITCH_LEVELS - 1)
    return EventArrays(phoneme, bounds, voiced, pitch, energy.astype(np.int64))


def to_events(arrays: EventArrays, first_index: int = 0) -> list[PhonemeEvent]:
    """Columns → the frozen events of ``engine.events``."""
    return [
        PhonemeEvent(
            index=first_index + i,
            phoneme=int(arrays.phoneme[i]),
            start_tick=int(arrays.bounds[i]),
            duration_ticks=int(arrays.bounds[i + 1] - arrays.bounds[i]),
            voiced=bool(arrays.voiced[i]),
            pitch=(int(arrays.pitch[i, 0]), int(arrays.pitch[i, 1])),
            energy=int(arrays.energy[i]),
        )
        for i in range(len(arrays))
    ]


def events_from_alignment(alignment: Alignment, pcm: F32, f0_hz: F32) -> list[PhonemeEvent]:
    """What an ideal recogniser would send for ``pcm`` [N] at 16 kHz; f0_hz: [N // HOP]."""
    phoneme, bounds = pieces(alignment)
    return to_events(measure(phoneme, bounds, f0_hz, tick_power(pcm)))
