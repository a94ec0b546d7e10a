"""Speech for training: one cache on disk, memory-mapped, and random 3 s batches drawn from it.

``prepare`` reads the manifest's audio once and writes PCM, log-mel, f0, power and voice vectors;
``Corpus`` opens that cache. Clips of the ``dev`` split are there for scoring and are never drawn.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.mel import HOP, SAMPLE_RATE_HZ, log_mel
from engine.phonemes import PHONEMES
from engine.training.events import pieces, read_alignments, tick_power
from engine.training.kept import load_rows, weights_fingerprint

F32 = NDArray[np.float32]
Item = TypeVar("Item")
F0_FLOOR_HZ = 65.0
F0_CEIL_HZ = 500.0
CACHE_FILES = ("pcm.npy", "mel.npy", "f0.npy", "len.npy", "ids.txt")
SOURCE_SHARES: Mapping[str, float] = {
    "librispeech": 0.40, "speechocean": 0.30, "kathleen": 0.12, "storybooks": 0.13, "asterisk": 0.05,
}  # fmt: skip
VALIDATION_CLIPS = 25  # the last training readers of LibriSpeech: settings are tuned on them
MIN_ALIGN_SCORE = -0.4  # below, transcript and audio disagree
MIN_OWN_SCORE = -2.0  # the same for ours, which counts every frame of a phoneme, not its spike


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of the manifest and where its frames lie in the cache."""

    id: str
    path: str
    source: str
    speaker: str
    group: str
    split: str
    text: str
    align_score: float
    first_frame: int = 0
    frames: int = 0


def tuning_clips(native: Sequence[Item], otherwise: Sequence[Item] | None = None) -> list[Item]:
    """Those of LibriSpeech's training clips on which all trainers tune, and learn nothing from.

    ``native`` in the manifest's order. Where there are no more than VALIDATION_CLIPS of them,
    ``otherwise``; when that is None, all.
    """
    if otherwise is None or len(native) > VALIDATION_CLIPS:
        otherwise = native[-VALIDATION_CLIPS:]
    return list(otherwise)


def own_alignment_path(cache_dir: Path) -> Path:
    """Where ``engine.training.align`` keeps what the shipped recogniser made of the clips."""
    return cache_dir / f"aligned-{weights_fingerprint('recognizer')}.npz"


def read_manifest(data_dir: Path) -> list[dict[str, str]]:
    """Rows of ``manifest.tsv``. Raises SottovoceError when it is missing."""
    path = data_dir / "manifest.tsv"
    if not path.is_file():
        raise SottovoceError(f"{path} is missing: point --data at the speech folder.")
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def load_audio(path: Path) -> F32:
    """Any file soundfile reads → mono float32 [N] at 16 kHz, whole ticks."""
    import soundfile

    pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    pcm = pcm.mean(axis=1)
    if rate != SAMPLE_RATE_HZ:
        import soxr

        pcm = soxr.resample(pcm, rate, SAMPLE_RATE_HZ)
    return np.asarray(pcm[: len(pcm) // HOP * HOP], np.float32)


def track_f0(pcm: F32) -> F32:
    """DIO + StoneMask (WORLD) f0 at 100 Hz, 0 = unvoiced. Returns [N // HOP] float32."""
    import pyworld

    wave = pcm.astype(np.float64)
    coarse, times = pyworld.dio(
        wave, SAMPLE_RATE_HZ, f0_floor=F0_FLOOR_HZ, f0_ceil=F0_CEIL_HZ, frame_period=10.0
    )
    return np.asarray(
        pyworld.stonemask(wave, coarse, times, SAMPLE_RATE_HZ)[: len(pcm) // HOP], np.float32
    )


def _features(path: str) -> tuple[NDArray[np.int16], NDArray[np.float16], F32]:
    pcm = load_audio(Path(path))
    ints = (np.clip(pcm, -1, 1) * 32767).astype(np.int16)
    return ints, log_mel(pcm).astype(np.float16), track_f0(pcm)


def _save(path: Path, array: NDArray[Any]) -> None:
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array)
    os.replace(partial, path)


def prepare(data_dir: Path, cache_dir: Path, workers: int = 2) -> None:
    """Fill ``cache_dir`` with what is missing there. Finished files are kept, none is half written."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    if not all((cache_dir / name).is_file() for name in CACHE_FILES):
        rows = read_manifest(data_dir)
        pcm, mel, f0 = [], [], []
        with get_context("spawn").Pool(workers) as pool:
            paths = [str(data_dir / row["path"]) for row in rows]
            for done, (a, b, c) in enumerate(pool.imap(_features, paths, chunksize=16), 1):
                pcm.append(a)
                mel.append(b)
                f0.append(c)
                if done % 1000 == 0:
                    print(f"features: {done} of {len(rows)} clips", flush=True)
        _save(cache_dir / "pcm.npy", np.concatenate(pcm))
        _save(cache_dir / "mel.npy", np.concatenate(mel))
        _save(cache_dir / "f0.npy", np.concatenate(f0))
        _save(cache_dir / "len.npy", np.array([len(m) for m in mel]))
        (cache_dir / "ids.txt").write_text("\n".join(row["id"] for row in rows))
    if not (cache_dir / "power.npy").is_file():
        samples = np.load(cache_dir / "pcm.npy", mmap_mode="r")
        chunk = 6000 * HOP
        parts = [
            tick_power(np.asarray(samples[i : i + chunk], np.float32) / 32767)
            for i in range(0, len(samples), chunk)
        ]
        _save(cache_dir / "power.npy", np.concatenate(parts))
    if not (cache_dir / "dvec.npy").is_file():
        _save(cache_dir / "dvec.npy", _dvectors(cache_dir))
    if not (cache_dir / "balance.npy").is_file():
        _save(cache_dir / "balance.npy", _balances(cache_dir))


def _dvectors(cache_dir: Path) -> F32:
    """One Resemblyzer d-vector a clip, [clips, 256]. Long: about 2 clips per 50 ms."""
    from engine.dvector import embed

    samples = np.load(cache_dir / "pcm.npy", mmap_mode="r")
    ends = np.cumsum(np.load(cache_dir / "len.npy")) * HOP
    starts = np.concatenate([[0], ends[:-1]])
    vectors = []
    for done, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        pcm = np.asarray(samples[start:end] / 32767, np.float32)
        vectors.append(embed(pcm, rate=0.7))
        if done % 1000 == 0:
            print(f"d-vectors: {done} of {len(ends)} clips", flush=True)
    return np.stack(vectors).astype(np.float32)


def _balances(cache_dir: Path) -> F32:
    """Spectral balance of every clip's speech, [clips, 80]."""
    from engine.voice import spectral_balance

    mel = np.load(cache_dir / "mel.npy", mmap_mode="r")
    power = np.load(cache_dir / "power.npy")
    ends = np.cumsum(np.load(cache_dir / "len.npy"))
    starts = np.concatenate([[0], ends[:-1]])
    return np.stack(
        [
            spectral_balance(np.asarray(mel[a:b], np.float32), power[a:b])
            for a, b in zip(starts, ends, strict=True)
        ]
    )


@dataclass
class Corpus:
    """The cache, opened. Arrays are concatenated over clips; ``clips`` says where each lies."""

    data_dir: Path
    cache_dir: Path
    own_alignments: bool = False
    """Take the boundaries of ``engine.training.align`` for the clips it has done."""
    clips: list[Clip] = field(init=False)
    mel: NDArray[np.float16] = field(init=False)
    f0: F32 = field(init=False)
    power: F32 = field(init=False)
    dvec: F32 = field(init=False)
    balance: F32 = field(init=False)
    events: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = field(init=False)
    """Clip id → (phonemes [E], boundaries [E + 1])."""

    def __post_init__(self) -> None:
        prepare(self.data_dir, self.cache_dir)
        lengths = np.load(self.cache_dir / "len.npy")
        ids = (self.cache_dir / "ids.txt").read_text().split("\n")
        rows = {row["id"]: row for row in read_manifest(self.data_dir)}
        if len(ids) != len(lengths) or any(i not in rows for i in ids):
            raise SottovoceError(f"{self.cache_dir} is not of this data: delete it and run again.")
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.clips = [
            Clip(
                id=i, path=rows[i]["path"], source=rows[i]["source"], speaker=rows[i]["speaker"],
                group=rows[i]["group"], split=rows[i]["split"], text=rows[i]["text"],
                align_score=float(rows[i]["align_score"] or "-9"),
                first_frame=int(start), frames=int(frames),
            )
            for i, start, frames in zip(ids, starts, lengths, strict=True)
        ]  # fmt: skip
        self.mel = np.load(self.cache_dir / "mel.npy", mmap_mode="r")
        self.f0 = np.load(self.cache_dir / "f0.npy", mmap_mode="r")
        self.power = np.load(self.cache_dir / "power.npy", mmap_mode="r")
        self.dvec = np.load(self.cache_dir / "dvec.npy")
        self.balance = np.load(self.cache_dir / "balance.npy")
        self.events = {i: pieces(entry) for i, entry in read_alignments(self.data_dir)}
        if self.own_alignments:
            self._take_own()

    def _take_own(self) -> None:
        path = own_alignment_path(self.cache_dir)
        known = load_rows(path)
        if not known:
            raise SottovoceError(f"{path} is missing: run engine.training.align first.")
        for n, clip in enumerate(self.clips):
            rows = known.get(clip.id)
            if rows is None or not len(rows):
                continue
            self.events[clip.id] = pieces([(PHONEMES[p], s, d) for p, s, d, _ in rows.tolist()])
            score = float(np.average(rows[:, 3], weights=rows[:, 2])) / 1000
            if score < MIN_OWN_SCORE:
                self.clips[n] = replace(clip, align_score=score)

    def select(self, split: str, sources: tuple[str, ...] | None = None) -> list[int]:
        """Indices of aligned clips of one split, without doubtful transcripts."""
        return [
            n
            for n, clip in enumerate(self.clips)
            if clip.split == split
            and clip.id in self.events
            and clip.align_score >= MIN_ALIGN_SCORE
            and (sources is None or clip.source in sources)
        ]

    def tuning(self, otherwise: Sequence[int] | None = None) -> list[int]:
        """Indices of the ``tuning_clips`` among the aligned ones."""
        return tuning_clips(self.select("train", ("librispeech",)), otherwise)

    def training(self, tuning: Sequence[int]) -> list[int]:
        """Indices of the aligned training clips that are not held out for tuning."""
        held_out = set(tuning)
        return [n for n in self.select("train") if n not in held_out]

    def draw_weights(self, indices: list[int]) -> NDArray[np.float64]:
        """Probability of every clip: SOURCE_SHARES, by length within, children at a third."""
        weights = np.zeros(len(indices))
        for k, n in enumerate(indices):
            clip = self.clips[n]
            weights[k] = clip.frames * (1 / 3 if clip.group == "child" else 1.0)
        for source in {self.clips[n].source for n in indices}:
            mine = np.array([self.clips[n].source == source for n in indices])
            weights[mine] *= SOURCE_SHARES.get(source, 0.0) / weights[mine].sum()
        if weights.sum() == 0:
            raise SottovoceError(
                "No aligned training speech found: point --data at the speech folder."
            )
        return np.asarray(weights / weights.sum())
