"""Count the bitstream's probability tables: what frames a block, codes, and neighbours.

Training clips as the live encoder hears them, alignments and read text go in, the tables and their
card in ``assets/models`` come out. Articulation codes are those of the codec in ``assets/models``: run
``--only-codes`` again whenever it was trained. With ``--flat-codes`` all codes are equally likely,
which is right for any codec and costs 8 bits each.

    python -m engine.training.tables --data ../shared/speech --cache .cache/training
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.events import CODE_LEVELS, MAX_EVENT_TICKS, MAX_LAYERS, PhonemeEvent
from engine.probability import (
    HOLE_EXPONENTS,
    MAX_BLOCK_EVENTS,
    NO_CLASS,
    NO_LAYERS,
    NO_PHONEME,
    PHONEME_CLASS,
    RATES,
    SHAPES,
    costs_of_probabilities,
    weights_of_costs,
)
from engine.training.codes import CodedStream, codec_hash, coded_streams
from engine.training.datasets import Clip, Corpus
from engine.training.events import Alignment, measure, pieces, read_alignments, to_events
from engine.training.heard import Stream, heard_streams
from engine.training.sentences import phoneme_sentences
from engine.weights import MODELS_DIR, WeightsError, load_weights, save_weights

MIN_ALIGN_SCORE = -0.5  # mean log-probability a frame below which an alignment is not believed
TEXT_WEIGHT = 0.3
SAME_LAYERS = 0.995  # probability that an event carries as many layers as the one before
LONGEST_MINUTES = 30.0
CODE_SMOOTHING = 60.0  # events of a phoneme that weigh as much as all phonemes together
DATA = (
    "training split (LibriSpeech, African Storybook and speechocean762 CC-BY-4.0; Kathleen CC0-1.0; "
    "Asterisk prompts CC-BY-SA-3.0) and LibriSpeech texts (public domain)"
)
ENOUGH = 0.8  # of the events that the shipped tables were counted on
FLAT_SHARE = 0.02  # of every code's probability, in case the codec meets other voices


def within(alignment: Alignment, end_tick: int) -> list[tuple[str, int, int]]:
    """Segments that begin before ``end_tick``, cut there."""
    return [(p, a, min(d, end_tick - a)) for p, a, d in alignment if a < end_tick and d > 0]


def without_long_pauses(events: Iterable[PhonemeEvent]) -> Stream:
    """Of a pause only the first piece is sent; the rest is a hole."""
    kept: Stream = []
    silent = False
    for event in events:
        if not (silent and event.is_silence):
            kept.append(replace(event, index=len(kept)))
        silent = event.is_silence
    return kept


def load_streams(corpus: Corpus, split: str, source: str = "") -> list[Stream]:
    """Every aligned clip of ``split`` (and ``source``) as events."""
    alignments = dict(read_alignments(corpus.data_dir))
    streams = []
    for clip in corpus.clips:
        if clip.split != split or clip.align_score < MIN_ALIGN_SCORE or clip.id not in alignments:
            continue
        if source and clip.source != source:
            continue
        frames = slice(clip.first_frame, clip.first_frame + clip.frames)
        alignment = within(alignments[clip.id], clip.frames)
        if alignment:
            columns = measure(*pieces(alignment), corpus.f0[frames], corpus.power[frames])
            streams.append(without_long_pauses(to_events(columns)))
    return streams


class Tally:
    """Counts of values by context, in the tables' shapes."""

    def __init__(self) -> None:
        self.counts = {name: np.zeros(shape) for name, shape in SHAPES.items()}

    def add_stream(self, stream: Stream) -> None:
        """Holes, durations, voicing and phonemes of one clip's events."""
        phoneme = before = NO_PHONEME
        manner, rate = NO_CLASS, 0
        previous: PhonemeEvent | None = None
        for event in stream:
            if previous is not None:
                hole_ticks = event.start_tick - previous.end_tick
                longest = int(previous.duration_ticks == MAX_EVENT_TICKS)
                self.counts["hole"][int(previous.is_silence), longest, int(hole_ticks > 0)] += 1
                if hole_ticks > 0:
                    exponent = max(1, hole_ticks // 2).bit_length() - 1
                    self.counts["hole_exponent"][min(exponent, HOLE_EXPONENTS - 1)] += 1
            self.counts["phoneme"][before, phoneme, event.phoneme] += 1
            self.counts["duration"][manner, rate, event.phoneme, event.duration_ticks - 1] += 1
            self.counts["voiced"][event.phoneme, int(event.voiced)] += 1
            before, phoneme, previous = phoneme, event.phoneme, event
            manner = PHONEME_CLASS[phoneme]
            rate = min(RATES - 1, (event.duration_ticks + 4) // 5)

    def add_sentences(self, sentences: Iterable[Sequence[int]]) -> None:
        """Count the phonemes of read text, TEXT_WEIGHT each: it has ten times as many as speech."""
        for sentence in sentences:
            ids = np.array([NO_PHONEME, NO_PHONEME, *sentence])
            np.add.at(self.counts["phoneme"], (ids[:-2], ids[1:-1], ids[2:]), TEXT_WEIGHT)

    def add_codes(self, streams: Iterable[CodedStream]) -> None:
        for phonemes, codes in streams:
            for layer in range(MAX_LAYERS):
                np.add.at(self.counts["code"][layer], (phonemes, codes[:, layer]), 1)


def _smooth(
    counts: NDArray[np.float64], prior: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Posterior mean under a Dirichlet prior of ``weight`` observations; [..., S] → [..., S]."""
    return np.asarray((counts + weight * prior) / (counts.sum(axis=-1, keepdims=True) + weight))


def _back_off(counts: NDArray[np.float64], weight: float = 20.0) -> NDArray[np.float64]:
    """Smooth a table with the same table summed over its first context, and so on down."""
    if counts.ndim == 1:
        return _smooth(counts, np.full(len(counts), 1 / len(counts)), 1.0)
    return _smooth(counts, _back_off(counts.sum(axis=0), weight)[None], weight)


def fit(tally: Tally) -> dict[str, NDArray[np.float64]]:
    """Counts → probabilities of every value in every context, none of them zero."""
    counts = tally.counts
    probabilities = {n: _back_off(counts[n]) for n in ("phoneme", "duration", "voiced", "hole")}
    probabilities["grid"] = np.array([0.1, 0.9])  # whatever is spoken live is on the coarser one
    length = np.arange(1, MAX_BLOCK_EVENTS + 1)
    usual = np.exp(-((np.log(length) - np.log(8)) ** 2))  # packets are short, files fill blocks
    usual[-1] = usual.sum() / 2
    probabilities["count"] = usual
    exponents = np.arange(HOLE_EXPONENTS)
    usual = 1.0 / (1.0 + np.abs(exponents - 5.0)) ** 3
    usual /= usual.sum()
    probabilities["hole_exponent"] = 0.95 * _smooth(counts["hole_exponent"], usual, 50.0)
    probabilities["hole_exponent"] += 0.05 * usual
    probabilities["layers"] = _layers()
    codes = np.stack([_smooth(c, _back_off(c.sum(0)), CODE_SMOOTHING) for c in counts["code"]])
    probabilities["code"] = (1 - FLAT_SHARE) * codes + FLAT_SHARE / CODE_LEVELS
    return probabilities


def _layers() -> NDArray[np.float64]:
    """Silence carries none; else as many as the event before, which the sender decides."""
    table = np.full(SHAPES["layers"], (1 - SAME_LAYERS) / MAX_LAYERS)
    same = np.arange(MAX_LAYERS + 1)
    table[0, same, same] = SAME_LAYERS
    # At first: copies and base streams, or everything.
    table[0, NO_LAYERS] = 0.2 / (MAX_LAYERS - 1)
    table[0, NO_LAYERS, [0, MAX_LAYERS]] = 0.4
    table[1] = 0.003 / MAX_LAYERS
    table[1, 0] = 0.997
    return table


def count_everything(
    corpus: Corpus, heard: Sequence[tuple[Clip, Stream]], tally: Tally
) -> dict[str, int]:
    """All but codes, into ``tally``; returns how many events of each kind there were."""
    aligned = load_streams(corpus, "train")
    for stream in [*(stream for _, stream in heard), *aligned]:
        tally.add_stream(stream)
    tally.add_sentences(phoneme_sentences(corpus.data_dir, corpus.cache_dir))
    return {"heard": sum(len(s) for _, s in heard), "aligned": sum(map(len, aligned))}


def too_few(events: int) -> str:
    """Why ``events`` heard ones are no reason to count again; "" when they are."""
    try:
        counted = json.loads(load_weights("tables")[1]["events"])["heard"]
    except (WeightsError, KeyError, ValueError):
        return ""
    if events >= counted * ENOUGH:
        return ""
    return f"{events} events were heard, the shipped tables count {counted}: they stay"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, default=Path(".cache/training"))
    parser.add_argument("--out", type=Path, default=MODELS_DIR)
    parser.add_argument(
        "--minutes",
        type=float,
        default=LONGEST_MINUTES,
        help="at most, to hear clips and to encode them",
    )
    codes = parser.add_mutually_exclusive_group()
    codes.add_argument("--flat-codes", action="store_true", help="all codes equally likely")
    codes.add_argument("--only-codes", action="store_true", help="keep the other shipped tables")
    arguments = parser.parse_args()

    corpus = Corpus(arguments.data, arguments.cache)
    begin = time.monotonic()
    heard = heard_streams(corpus, arguments.minutes / 2)
    tally = Tally()
    codec = "" if arguments.flat_codes else codec_hash()
    if not arguments.flat_codes and (fewer := too_few(sum(len(s) for _, s in heard))):
        print(fewer)
        if load_weights("tables")[1]["codec"] == codec:
            return
        arguments.only_codes = True
    if codec:
        left = arguments.minutes - (time.monotonic() - begin) / 60
        tally.add_codes(coded_streams(corpus, heard, left))
    if arguments.only_codes:
        tensors, known = load_weights("tables")
        counted = json.loads(known["events"])
        fitted = fit(tally)
        for name in ("code", "layers"):
            tensors[name] = torch.from_numpy(costs_of_probabilities(fitted[name]))
    else:
        counted = count_everything(corpus, heard, tally)
        costs = {name: costs_of_probabilities(p) for name, p in fit(tally).items()}
        tensors = {name: torch.from_numpy(table) for name, table in costs.items()}
        tensors["weights"] = torch.from_numpy(weights_of_costs())
    path = save_weights(
        "tables", tensors, {"events": counted, "codec": codec or "none"}, arguments.out
    )
    write_card(path.with_suffix(".md"), counted, codec)


def write_card(path: Path, counted: dict[str, int], codec: str) -> None:
    """The model card: data, licence, command."""
    told = f"those of the articulation encoder {codec[:12]}"
    codes = told if codec else "not counted: all equally likely"
    flag = "" if codec else " --flat-codes"
    on = (
        f"{counted['heard']} events of training clips as the live encoder hears them, "
        f"{counted['aligned']} aligned ones, read sentences; no held-out reader"
    )
    text = f"""# tables.safetensors

Counts as bytes: what frames a block of events, which articulation codes go with a phoneme, and the
statistics of neighbours that concealment guesses with. What the events themselves cost is told by
`event_odds.safetensors`. Integers only; both ends of a call must hold the same file.

| | |
|---|---|
| Counted on | {on} |
| Codes | {codes} |
| Data | {DATA} |
| Licence | Apache-2.0; counts hold no voices and no sentences |
| Command | `python -m engine.training.tables --data ../shared/speech --cache CACHE{flag}` |
"""
    partial = path.with_suffix(".md.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    main()
