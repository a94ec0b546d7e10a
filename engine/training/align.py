"""Align the training speech anew, with the project's own recogniser.

The given boundaries come from another recogniser's spikes and are good to 30 ms; ours are found by
Viterbi on the streaming network's frame posteriors (``engine.word_recognizer.force_align``), with
its durations and pauses where there are any, then moved to where the spectrum changes. Clips without
a transcript get the phonemes the beam search hears. Results are kept in the cache; training uses
them where it opens ``Corpus(..., own_alignments=True)``.

    python -m engine.training.align --data ../shared/speech --cache cache --minutes 10
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from engine.errors import SottovoceError
from engine.g2p import texts_to_words
from engine.mel import HOP
from engine.phonemes import N_PHONEMES, PHONEME_ID, SILENCE, VOWELS
from engine.recognizer import TICKS_PER_FRAME, RecognizerModel, load_model
from engine.training.datasets import (
    MIN_ALIGN_SCORE,
    MIN_OWN_SCORE,
    Clip,
    Corpus,
    own_alignment_path,
)
from engine.training.events import I64, Alignment, read_alignments
from engine.training.kept import Rows, load_rows, save_rows
from engine.training.recognized import (
    Events,
    load_recognised,
    log_posteriors,
    recognised_path,
    save_recognised,
    search,
)
from engine.training.recognizer_data import feature_path, kept_features
from engine.word_recognizer import force_align

F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
KEEP_EVERY = 200  # clips
MILLINATS = 1000
REACH_TICKS = 2
VOICED = np.zeros(N_PHONEMES, np.int64)
"""[43] 1: always voiced, -1: never, 0: it depends."""
VOICED[[*VOWELS, *(PHONEME_ID[ipa] for ipa in "l m n ŋ ɹ w j".split())]] = 1
VOICED[[SILENCE, *(PHONEME_ID[ipa] for ipa in "f h k p s t tʃ ʃ θ".split())]] = -1


def sharpen(mel: NDArray[np.float16], bounds: I64) -> I64:
    """Move inner boundaries by up to REACH_TICKS to where the spectrum changes most.

    A frame of the recogniser is two ticks long and hears 120 ms ahead; log-mel knows the tick.
    The best place leaves the least variance in the two segments it parts. mel: [T, 80];
    bounds: [S + 1] ticks within 0 … T, rising.
    """
    total = np.concatenate([np.zeros((1, mel.shape[1])), np.cumsum(mel, axis=0, dtype=np.float64)])
    moved = bounds.copy()
    for n in range(1, len(bounds) - 1):
        low, high = moved[n - 1], bounds[n + 1]
        first = max(low + 1, bounds[n] - REACH_TICKS)
        places = np.arange(first, min(high - 1, bounds[n] + REACH_TICKS) + 1)
        if len(places):
            before, after = total[places] - total[low], total[high] - total[places]
            explained = (before**2).sum(1) / (places - low) + (after**2).sum(1) / (high - places)
            moved[n] = places[np.argmax(explained)]
    return moved


def to_rows(logs: F32, phonemes: I64, found: I64, bounds: I64) -> Rows:
    """Segments → [S, 4]: phoneme, first tick, ticks, mean log posterior in thousandths of a nat.

    logs: [T, N_PHONEMES]; found: [S + 1] ticks, boundaries the posteriors asked for, which the
    score is of; bounds: [S + 1] where they lie.
    """
    frames = np.minimum(np.arange(found[-1]) // TICKS_PER_FRAME, len(logs) - 1)
    table = np.zeros((len(phonemes), 4), np.int32)
    table[:, 0], table[:, 1], table[:, 2] = phonemes, bounds[:-1], np.diff(bounds)
    for row, start, end in zip(table, found, found[1:], strict=False):
        row[3] = round(MILLINATS * float(logs[frames[start:end], row[0]].mean()))
    return table


def voicing_agreement(phonemes: I64, bounds: I64, f0_hz: F32) -> float:
    """Share of ticks whose measured voicing (f0 > 0) is that of their phoneme.

    Neither alignment looked at f0, so it judges both. Voiced stops and fricatives do not count:
    they are voiced or not as it pleases. bounds: [S + 1] ticks.
    """
    voiced = np.repeat(VOICED[phonemes], np.diff(np.minimum(bounds, len(f0_hz))))
    measured = f0_hz[bounds[0] : bounds[0] + len(voiced)] > 0
    clear = voiced != 0
    return float((measured == (voiced > 0))[clear].mean()) if clear.any() else float("nan")


class Aligner:
    """Aligns clips of a corpus one by one."""

    def __init__(self, corpus: Corpus, model: RecognizerModel | None = None) -> None:
        self._corpus = corpus
        self._model = model or load_model()
        self.given = dict(read_alignments(corpus.data_dir))
        self._pcm = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
        try:
            words = texts_to_words([clip.text for clip in corpus.clips])
        except SottovoceError as error:
            print(f"{error} Pauses stay where the given alignments have them.", flush=True)
            words = [[] for _ in corpus.clips]
        self._words = {c.id: w for c, w in zip(corpus.clips, words, strict=True)}

    def words(self, clip: Clip) -> list[list[int]]:
        """Phonemes of the transcript, word by word; [] when it is not known.

        Without a g2p, or where it says otherwise than the given alignment (which was made for
        this clip), what was spoken between two given pauses counts as a word.
        """
        told = self._words[clip.id]
        given = [PHONEME_ID[ipa] for ipa, _, _ in self.given.get(clip.id, ())]
        spoken = [phoneme for phoneme in given if phoneme != SILENCE]
        if not clip.text or not spoken or spoken == [p for word in told for p in word]:
            return told
        runs: list[list[int]] = [[]]
        for phoneme in given:
            if phoneme == SILENCE:
                runs.append([])
            else:
                runs[-1].append(phoneme)
        return [run for run in runs if run]

    def features(self, clip: Clip) -> F16:
        """From the cache, or computed (a tenth of real time) and put there."""
        path = feature_path(self._corpus.cache_dir, clip)
        if path.is_file():
            return np.asarray(np.load(path))
        sound = self._pcm[clip.first_frame * HOP : (clip.first_frame + clip.frames) * HOP]
        made = kept_features(np.asarray(sound / 32767, np.float32))
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, made)
        os.replace(partial, path)
        return made

    def align(self, clip: Clip) -> tuple[Rows, Events]:
        """Rows [S, 4] as ``to_rows``, contiguous from tick 0 to the clip's end; and what the
        recogniser hears without knowing the words."""
        rows = log_posteriors(self.features(clip), self._model)
        phonemes, bounds = heard = search(rows, self._model)
        if not len(rows):
            return np.zeros((0, 4), np.int32), heard
        if words := self.words(clip):
            phonemes, first = force_align(rows, words, self._model.log_stay)
            bounds = np.append(first * TICKS_PER_FRAME, clip.frames)
        else:
            bounds = np.append(bounds[:-1], clip.frames)
        mel = self._corpus.mel[clip.first_frame : clip.first_frame + clip.frames]
        return to_rows(rows, phonemes, bounds, sharpen(mel, bounds)), heard


def clip_score(rows: Rows) -> float:
    """Mean log posterior a tick; -inf without rows."""
    ticks = rows[:, 2].sum()
    return float((rows[:, 2] * rows[:, 3]).sum() / ticks / MILLINATS) if ticks else -np.inf


def median_move(rows: Rows, given: Alignment) -> float | None:
    """Median distance in ms between our beginnings of phonemes and the given ones, where both
    have the same phonemes; None otherwise."""
    ours = [(p, start) for p, start, _, _ in rows.tolist() if p != SILENCE]
    theirs = [(PHONEME_ID[ipa], int(start)) for ipa, start, _ in given]
    theirs = [(p, start) for p, start in theirs if p != SILENCE]
    if not ours or [p for p, _ in ours] != [p for p, _ in theirs]:
        return None
    return 10.0 * float(
        np.median([abs(a - b) for (_, a), (_, b) in zip(ours, theirs, strict=True)])
    )


def align_corpus(corpus: Corpus, minutes: float) -> dict[str, Rows]:
    """Clip id → rows, after at most ``minutes``; those with features first.

    What was heard in training clips is kept for the codec's training on the way.
    """
    known = load_rows(own_alignment_path(corpus.cache_dir))
    heard = load_recognised(recognised_path(corpus.cache_dir))
    begin, end = time.monotonic(), time.monotonic() + 60 * minutes
    aligner, unsaved = Aligner(corpus), 0
    missing = [clip for clip in corpus.clips if clip.id not in known]
    missing.sort(
        key=lambda c: (not feature_path(corpus.cache_dir, c).is_file(), c.source != "librispeech")
    )
    for clip in tqdm(missing, desc="aligning", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        known[clip.id], events = aligner.align(clip)
        if clip.split == "train":
            heard[clip.id] = events
        unsaved += 1
        if unsaved == KEEP_EVERY:
            _keep(corpus, known, heard)
            unsaved = 0
    if unsaved:
        _keep(corpus, known, heard)
    print(f"{len(known)} of {len(corpus.clips)} clips, {time.monotonic() - begin:.0f} s")
    return known


def _keep(corpus: Corpus, known: Mapping[str, Rows], heard: Mapping[str, Events]) -> None:
    save_rows(own_alignment_path(corpus.cache_dir), known)
    if heard:
        save_recognised(recognised_path(corpus.cache_dir), heard)


def report(corpus: Corpus, known: dict[str, Rows]) -> dict[str, dict[str, float]]:
    """Scores by source, of the clips aligned so far. Voicing is judged on the same clips
    both ways."""
    given = dict(read_alignments(corpus.data_dir))
    lines: dict[str, dict[str, float]] = {}
    for source in sorted({clip.source for clip in corpus.clips}):
        clips = [c for c in corpus.clips if c.source == source and len(known.get(c.id, ()))]
        scores = np.array([clip_score(known[c.id]) for c in clips])
        moves, ours, theirs = [], [], []
        for clip in clips:
            rows, before = known[clip.id], given.get(clip.id, ())
            move = median_move(rows, before)
            if move is not None:
                moves.append(move)
                f0_hz = corpus.f0[clip.first_frame : clip.first_frame + clip.frames]
                ours.append(voicing_agreement(*_columns(rows[:, :3].tolist()), f0_hz))
                ids = [(PHONEME_ID[ipa], start, ticks) for ipa, start, ticks in before]
                theirs.append(voicing_agreement(*_columns(ids), f0_hz))
        if clips:
            lines[source] = {
                "clips": len(clips),
                "log posterior": float(scores.mean()),
                f"below {MIN_ALIGN_SCORE}": float((scores < MIN_ALIGN_SCORE).mean()),
                f"below {MIN_OWN_SCORE}": float((scores < MIN_OWN_SCORE).mean()),
                "moved ms": _mean(moves),
                "voicing right, given": _mean(theirs),
                "voicing right, own": _mean(ours),
            }
    return lines


def _columns(segments: Sequence[Sequence[int]]) -> tuple[I64, I64]:
    """(phoneme, start, ticks) each → phonemes [S] and bounds [S + 1]."""
    phonemes, starts, ticks = np.array(segments, np.int64).T
    return phonemes, np.append(starts, starts[-1] + ticks[-1])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech manifest")
    parser.add_argument("--cache", type=Path, required=True, help="where alignments are kept")
    parser.add_argument("--minutes", type=float, default=10.0, help="at most; goes on next time")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        corpus = Corpus(options.data, options.cache)
        lines = report(corpus, align_corpus(corpus, options.minutes))
    except SottovoceError as error:
        raise SystemExit(str(error)) from error
    for source, line in lines.items():
        print(f"{source}:", ", ".join(f"{name} {value:.3g}" for name, value in line.items()))


if __name__ == "__main__":
    main()
