"""Train the bitstream's probability tables from aligned speech and print what each field costs.

The training cache and read text go in, ``assets/models/tables.safetensors`` and its card come out.
Every clip is counted twice, with boundaries on ticks and on the live recogniser's 20 ms grid.

    python -m engine.training.tables --data ../shared/speech --cache .cache/training
"""

from __future__ import annotations

import argparse
import gzip
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.bitstream import BitCounter, walk_block
from engine.events import MAX_LAYERS, PITCH_LEVELS, PhonemeEvent
from engine.g2p import text_to_ids
from engine.probability import (
    MAX_BLOCK_EVENTS,
    NO_PHONEME,
    NO_PITCH,
    SHAPES,
    Tables,
    costs_of_probabilities,
    weights_of_costs,
)
from engine.training.datasets import Corpus, read_manifest
from engine.training.events import Alignment, measure, pieces, read_alignments, to_events
from engine.weights import MODELS_DIR, save_weights

GRIDS_TICKS = (1, 2)
LONGEST_BLOCK_SHARE = 0.1  # a tenth of the training blocks are full ones, as in files
MIN_ALIGN_SCORE = -0.5  # mean log-probability a frame below which an alignment is not believed
TEXT_WEIGHT = 0.3
SAME_LAYERS = 0.99  # probability that an event carries as many layers as the one before

Stream = list[PhonemeEvent]


def on_grid(alignment: Alignment, grid_ticks: int, end_tick: int) -> list[tuple[str, int, int]]:
    """Segments with boundaries moved to a grid; those that vanish are left out."""
    moved = []
    for ipa, start, duration in alignment:
        first = round(start / grid_ticks) * grid_ticks
        last = min(round((start + duration) / grid_ticks), end_tick // grid_ticks) * grid_ticks
        if last > first:
            moved.append((ipa, first, last - first))
    return moved


def without_long_pauses(events: Iterable[PhonemeEvent]) -> Stream:
    """Of a pause only the first piece is sent; the rest is a hole."""
    kept: Stream = []
    silent = False
    for event in events:
        if not (silent and event.is_silence):
            kept.append(replace(event, index=len(kept)))
        silent = event.is_silence
    return kept


def load_streams(
    corpus: Corpus, split: str, grids: Sequence[int], source: str = ""
) -> list[Stream]:
    """Every aligned clip of ``split`` (and ``source``) as events, once for each grid."""
    alignments = dict(read_alignments(corpus.data_dir))
    streams = []
    for clip in corpus.clips:
        if clip.split != split or clip.align_score < MIN_ALIGN_SCORE or clip.id not in alignments:
            continue
        if source and clip.source != source:
            continue
        frames = slice(clip.first_frame, clip.first_frame + clip.frames)
        for grid in grids:
            moved = on_grid(alignments[clip.id], grid, clip.frames)
            if moved:
                columns = measure(*pieces(moved), corpus.f0[frames], corpus.power[frames])
                streams.append(without_long_pauses(to_events(columns)))
    return streams


def read_text(data: Path) -> Iterator[list[int]]:
    """Phonemes of the given sentences, without those of held-out readers."""
    held_out = {
        row["speaker"].rpartition("-")[2]
        for row in read_manifest(data)
        if row["split"] == "dev" and row["source"] == "librispeech"
    }
    with gzip.open(data / "librispeech_train_clean_100_text.tsv.gz", "rt") as lines:
        next(lines)
        for line in lines:
            key, _, text = line.rstrip("\n").partition("\t")
            if key.split("-")[0] not in held_out:
                yield text_to_ids(text.lower())


class Tally:
    """A field coder that counts symbols by context."""

    def __init__(self) -> None:
        self.counts = {name: np.zeros(shape) for name, shape in SHAPES.items()}

    def code(self, field: str, context: tuple[int, ...], symbol: int) -> int:
        self.counts[field][(*context, symbol)] += 1
        return symbol

    def code_uniform(self, field: str, levels: int, symbol: int) -> int:
        return symbol

    def add_sentences(self, sentences: Iterable[Sequence[int]]) -> None:
        """Count the phonemes of read text, TEXT_WEIGHT each: it has ten times as many as speech."""
        for sentence in sentences:
            ids = np.array([NO_PHONEME, NO_PHONEME, *sentence])
            np.add.at(self.counts["phoneme"], (ids[:-2], ids[1:-1], ids[2:]), TEXT_WEIGHT)


def cut_blocks(streams: Iterable[Stream], rng: np.random.Generator) -> Iterator[Stream]:
    """Blocks as packets (2 ... 24 events) and as files (64) carry them."""
    for stream in streams:
        start = 0
        while start < len(stream):
            full = rng.random() < LONGEST_BLOCK_SHARE
            length = MAX_BLOCK_EVENTS if full else int(rng.integers(2, 25))
            yield stream[start : start + length]
            start += length


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


def _steps(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., S, S] counts of from → to; prior of each row: how far steps go, wherever they start."""
    size = counts.shape[-1]
    distance = np.arange(size)[None, :] - np.arange(size)[:, None] + size - 1
    table = counts.reshape(-1, size * size)
    steps = np.stack([np.bincount(distance.ravel(), row, 2 * size - 1) for row in table]) + 0.2
    prior = steps[:, distance].reshape(counts.shape)
    return np.asarray(prior / prior.sum(axis=-1, keepdims=True))


def fit(tally: Tally) -> dict[str, NDArray[np.float64]]:
    """Counts → probabilities of every symbol in every context, none of them zero."""
    counts = tally.counts
    probabilities = {name: _back_off(table) for name, table in counts.items()}
    for name in ("pitch_first", "pitch_second"):
        linked = counts[name][..., :PITCH_LEVELS, :]
        probabilities[name][..., :PITCH_LEVELS, :] = _smooth(linked, _steps(linked), 60.0)
    first = np.convolve(counts["pitch_first"][:, NO_PITCH].sum(axis=0), np.ones(3) / 3, "same")
    probabilities["pitch_first"][:, NO_PITCH] = first + 1.0
    probabilities["grid"] = np.full(2, 0.5)
    length = np.arange(1, MAX_BLOCK_EVENTS + 1)
    usual = np.exp(-((np.log(length) - np.log(8)) ** 2))  # packets are short, files fill blocks
    usual[-1] = usual.sum() / 4
    probabilities["count"] = usual
    exponents = np.arange(SHAPES["hole_exponent"][0])
    usual = 1.0 / (1.0 + np.abs(exponents - 5.0)) ** 3
    learned = _smooth(counts["hole_exponent"], usual / usual.sum(), 50.0)
    probabilities["hole_exponent"] = 0.95 * learned + 0.05 * usual / usual.sum()
    layers = np.full(SHAPES["layers"], (1 - SAME_LAYERS) / MAX_LAYERS)
    layers[np.arange(MAX_LAYERS + 1), np.arange(MAX_LAYERS + 1)] = SAME_LAYERS
    layers[MAX_LAYERS + 1] = (0.4, 0.1, 0.1, 0.4)  # copies and base streams, or everything
    probabilities["layers"] = layers
    return probabilities


def measure_bits(
    streams: Iterable[Stream], tables: Tables, block_events: int
) -> tuple[dict[str, float], int]:
    """Mean bits an event by field when ``clips`` are coded in blocks; and how many events."""
    counter = BitCounter(tables)
    events = 0
    for stream in streams:
        for start in range(0, len(stream), block_events):
            block = stream[start : start + block_events]
            walk_block(counter, block[0].index, block[0].start_tick, block)
            events += len(block)
    return {name: bits / events for name, bits in counter.bits.items()}, events


def empirical_entropy(train: Iterable[Stream], held_out: Iterable[Stream]) -> dict[str, float]:
    """Conditional entropy of the fields, in bits an event of ``held_out``.

    Statistics are those of the training streams of the same grid, smoothed as the tables are, so
    this is what ideal tables without quantisation, mixtures of grids and whole bytes would cost.
    """
    tally = Tally()
    for stream in train:
        for start in range(0, len(stream), MAX_BLOCK_EVENTS):
            block = stream[start : start + MAX_BLOCK_EVENTS]
            walk_block(tally, block[0].index, block[0].start_tick, block)
    seen, events = Tally(), 0
    for stream in held_out:
        for start in range(0, len(stream), MAX_BLOCK_EVENTS):
            block = stream[start : start + MAX_BLOCK_EVENTS]
            walk_block(seen, block[0].index, block[0].start_tick, block)
            events += len(block)
    floor = {}
    for name, counts in seen.counts.items():
        own = _back_off(tally.counts[name] + counts)
        floor[name] = float(-(counts * np.log2(own)).sum() / events)
    return floor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, default=Path(".cache/training"))
    parser.add_argument("--out", type=Path, default=MODELS_DIR)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    corpus = Corpus(arguments.data, arguments.cache)
    train = load_streams(corpus, "train", GRIDS_TICKS)
    tally = Tally()
    for block in cut_blocks(train, rng):
        walk_block(tally, block[0].index, block[0].start_tick, block)
    tally.add_sentences(read_text(arguments.data))
    costs = {name: costs_of_probabilities(p) for name, p in fit(tally).items()}
    weights = weights_of_costs()
    held_out = load_streams(corpus, "dev", GRIDS_TICKS[-1:], "librispeech")
    bits, events = measure_bits(held_out, Tables(costs, weights), MAX_BLOCK_EVENTS)
    floor = empirical_entropy(train[1::2], held_out)
    lines = report(bits, floor, events)
    print("\n".join(lines))
    speech_s = sum(e.duration_ticks for stream in held_out for e in stream) / 100
    coded_bps = sum(bits.values()) * events / speech_s
    print(f"{coded_bps:.1f} bit/s of speech, {events / speech_s:.2f} events a second")
    tensors = {n: torch.from_numpy(table) for n, table in (costs | {"weights": weights}).items()}
    metadata = {
        "events_train": sum(map(len, train)), "seed": arguments.seed, "bits": bits, "entropy": floor,
    }  # fmt: skip
    path = save_weights("tables", tensors, metadata, arguments.out)
    write_card(path.with_suffix(".md"), lines, sum(map(len, train)), coded_bps)


def report(bits: dict[str, float], floor: dict[str, float], events: int) -> list[str]:
    """Coded bits an event beside the conditional entropy, by field, as a Markdown table."""
    rows = [
        f"| field | coded | entropy | (bits an event, {events} held-out events)",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {value:.3f} | {floor[name]:.3f} | |"
        for name, value in bits.items()
        if name in floor
    ]
    coded, entropy = sum(bits.values()), sum(floor.get(name, bits[name]) for name in bits)
    return [*rows, f"| all | {coded:.3f} | {entropy:.3f} | {coded / entropy - 1:+.1%} |"]


def write_card(path: Path, lines: Sequence[str], events: int, coded_bps: float) -> None:
    """The model card: data, licence, scores, command."""
    text = f"""# tables: what each symbol of the bitstream costs

Trained by `python -m engine.training.tables` on {events} events of aligned speech (each clip with
boundaries on 10 ms and on 20 ms) and the phonemes of 28,000 read sentences. Integers only; both
ends of a call must hold the same file. Data: the alignments of the training split (LibriSpeech,
African Storybook and speechocean762 CC-BY-4.0; Kathleen CC0-1.0; Asterisk prompts CC-BY-SA-3.0)
and LibriSpeech texts (public domain). Counts hold no voices and no sentences. Licence: Apache-2.0.

Held-out LibriSpeech readers, base layer, 20 ms grid, blocks of {MAX_BLOCK_EVENTS} events:
{coded_bps:.0f} bit/s of speech.

{chr(10).join(lines)}
"""
    partial = path.with_suffix(".md.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


if __name__ == "__main__":
    main()
