"""Train the bitstream's probability tables from aligned speech and print what each field costs.

Alignments (10 ms ticks) and cached f0 go in, ``assets/models/tables.safetensors`` comes out. Half of
the clips' boundaries are moved to a 20 ms grid, because that is where the live recogniser puts them.
Run ``python -m engine.training.tables --help``.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.bitstream import BitCounter, walk_block
from engine.events import (
    MAX_EVENT_TICKS,
    MAX_LAYERS,
    PITCH_LEVELS,
    PhonemeEvent,
    quantise_energy,
    quantise_pitch,
)
from engine.g2p import texts_to_ids
from engine.mel import HOP
from engine.phonemes import PHONEME_ID, SILENCE
from engine.probability import (
    MAX_BLOCK_EVENTS,
    NO_PHONEME,
    NO_PITCH,
    SHAPES,
    Tables,
    costs_of_probabilities,
    weights_of_costs,
)
from engine.training.ngram import read_sentences
from engine.weights import MODELS_DIR, save_weights

LONGEST_BLOCK_SHARE = 0.1  # a tenth of the training blocks are full ones, as in files
MIN_ALIGN_SCORE = -0.5  # mean log-probability a frame below which an alignment is not believed
TEXT_WEIGHT = 0.3
SAME_LAYERS = 0.99  # probability that an event carries as many layers as the one before

Clip = list[PhonemeEvent]


def split_segment(phoneme: int, start: int, duration: int) -> Iterator[tuple[int, int, int]]:
    """Cut a segment at MAX_EVENT_TICKS; of a pause only the first piece is sent, then a hole."""
    while duration > 0:
        piece = min(duration, MAX_EVENT_TICKS)
        yield phoneme, start, piece
        if phoneme == SILENCE:
            return
        start, duration = start + piece, duration - piece


def clip_events(
    segments: Sequence[tuple[str, int, int]],
    energy_rms: NDArray[np.float32],
    f0_hz: NDArray[np.float32],
    grid_ticks: int,
) -> Clip:
    """Aligned segments (ipa, start, duration in ticks) → events on a grid of ``grid_ticks``.

    ``energy_rms``: [T] RMS of each tick; ``f0_hz``: [T], 0 where unvoiced.
    """
    events: Clip = []
    for ipa, start, duration in segments:
        first = round(start / grid_ticks) * grid_ticks
        last = min(round((start + duration) / grid_ticks), len(f0_hz) // grid_ticks) * grid_ticks
        for phoneme, tick, ticks in split_segment(PHONEME_ID[ipa], first, last - first):
            track = f0_hz[tick : tick + ticks]
            voiced = bool((track > 0).mean() >= 0.5) and phoneme != SILENCE
            rms = float(np.sqrt(np.mean(np.square(energy_rms[tick : tick + ticks]))))
            pitch = _pitch_points(track) if voiced else (0, 0)
            index = len(events)
            events.append(
                PhonemeEvent(index, phoneme, tick, ticks, voiced, pitch, quantise_energy(rms))
            )
    return events


def _pitch_points(f0_hz: NDArray[np.float32]) -> tuple[int, int]:
    """Median pitch of the voiced ticks of either half; a half without any takes the other's."""
    middle = (len(f0_hz) + 1) // 2
    halves = [half[half > 0] for half in (f0_hz[:middle], f0_hz[middle:])]
    voiced = f0_hz[f0_hz > 0]
    first, second = (quantise_pitch(float(np.median(h if len(h) else voiced))) for h in halves)
    return first, second


def load_clips(data: Path, cache: Path, split: str, grids: Sequence[int]) -> list[Clip]:
    """Every aligned clip of ``split`` as events, once for each grid of ``grids`` (ticks).

    ``cache`` holds pcm.npy (int16), f0.npy, len.npy (ticks a clip) and ids.txt, clip after clip.
    """
    lines = (data / "manifest.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=False)) for line in lines[1:]]
    wanted = {
        row["id"]
        for row in rows
        if row["split"] == split and float(row["align_score"] or -9) > MIN_ALIGN_SCORE
    }
    ids = (cache / "ids.txt").read_text().splitlines()
    ticks = np.load(cache / "len.npy")
    ends = np.cumsum(ticks)
    where = {clip: (int(end - n), int(end)) for clip, n, end in zip(ids, ticks, ends, strict=True)}
    pcm, f0 = np.load(cache / "pcm.npy", mmap_mode="r"), np.load(cache / "f0.npy", mmap_mode="r")
    clips = []
    with gzip.open(data / "alignments.jsonl.gz", "rt") as lines_in:
        for line in lines_in:
            clip = json.loads(line)
            if clip["id"] not in wanted or clip["id"] not in where:
                continue
            first, last = where[clip["id"]]
            samples = np.asarray(pcm[first * HOP : last * HOP], np.float32).reshape(-1, HOP) / 32768
            rms = np.sqrt(np.mean(np.square(samples), axis=1))
            clips += [clip_events(clip["events"], rms, f0[first:last], grid) for grid in grids]
    return clips


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


def cut_blocks(clips: Iterable[Clip], rng: np.random.Generator) -> Iterator[Clip]:
    """Blocks as packets (2 ... 24 events) and as files (64) carry them."""
    for clip in clips:
        start = 0
        while start < len(clip):
            full = rng.random() < LONGEST_BLOCK_SHARE
            length = MAX_BLOCK_EVENTS if full else int(rng.integers(2, 25))
            yield clip[start : start + length]
            start += length


def _smooth(
    counts: NDArray[np.float64], prior: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Posterior mean under a Dirichlet prior of ``weight`` observations; [..., S] → [..., S]."""
    return (counts + weight * prior) / (counts.sum(axis=-1, keepdims=True) + weight)


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
    probabilities["hole_exponent"] = 1.0 / (1.0 + np.abs(exponents - 5.0)) ** 3
    layers = np.full(SHAPES["layers"], (1 - SAME_LAYERS) / MAX_LAYERS)
    layers[np.arange(MAX_LAYERS + 1), np.arange(MAX_LAYERS + 1)] = SAME_LAYERS
    layers[MAX_LAYERS + 1] = (0.4, 0.1, 0.1, 0.4)  # copies and base streams, or everything
    probabilities["layers"] = layers
    return probabilities


def measure(
    clips: Iterable[Clip], tables: Tables, block_events: int
) -> tuple[dict[str, float], int]:
    """Mean bits an event by field when ``clips`` are coded in blocks; and how many events."""
    counter = BitCounter(tables)
    events = 0
    for clip in clips:
        for start in range(0, len(clip), block_events):
            block = clip[start : start + block_events]
            walk_block(counter, block[0].index, block[0].start_tick, block)
            events += len(block)
    return {name: bits / events for name, bits in counter.bits.items()}, events


def empirical_entropy(clips: Iterable[Clip], block_events: int) -> dict[str, float]:
    """Conditional entropy in bits an event of the very events given, by field: the floor of
    ``measure`` for a coder that knew their statistics (a table fitted to few events lies too low)."""
    tally, events = Tally(), 0
    for clip in clips:
        for start in range(0, len(clip), block_events):
            block = clip[start : start + block_events]
            walk_block(tally, block[0].index, block[0].start_tick, block)
            events += len(block)
    floor = {}
    for name, counts in tally.counts.items():
        rows = counts.reshape(-1, counts.shape[-1])
        shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
        floor[name] = float(-(rows * np.log2(np.where(shares > 0, shares, 1))).sum() / events)
    return floor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, required=True, help="speech with manifest and alignments"
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="pcm.npy, f0.npy, len.npy, ids.txt"
    )
    parser.add_argument("--out", type=Path, default=MODELS_DIR)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    train = load_clips(arguments.data, arguments.cache, "train", (1, 2))
    tally = Tally()
    for block in cut_blocks(train, rng):
        walk_block(tally, block[0].index, block[0].start_tick, block)
    tally.add_sentences(texts_to_ids(read_sentences(arguments.data)))
    costs = {name: costs_of_probabilities(p) for name, p in fit(tally).items()}
    weights = weights_of_costs()
    tables = Tables(costs, weights)
    dev = load_clips(arguments.data, arguments.cache, "dev", (1, 2))
    bits, events = measure(dev, tables, MAX_BLOCK_EVENTS)
    floor = empirical_entropy(train, MAX_BLOCK_EVENTS)
    report(bits, floor, events)
    tensors = {
        name: torch.from_numpy(table) for name, table in (costs | {"weights": weights}).items()
    }
    metadata = {"events_train": sum(map(len, train)), "seed": arguments.seed, "bits": bits}
    print(save_weights("tables", tensors, metadata, arguments.out))


def report(bits: dict[str, float], floor: dict[str, float], events: int) -> None:
    """Print coded bits an event beside the conditional entropy, by field."""
    print(f"{'field':14s} {'coded':>7s} {'entropy':>8s}   bits an event, {events} held-out events")
    for name, value in bits.items():
        print(f"{name:14s} {value:7.3f} {floor.get(name, value):8.3f}")
    coded = sum(bits.values())
    print(f"{'all':14s} {coded:7.3f} {sum(floor.get(n, v) for n, v in bits.items()):8.3f}")


if __name__ == "__main__":
    main()
