"""Train the network that tells how likely events are, on what the live recogniser emits.

Training clips as the live encoder hears them count most; alignments (for files, whose boundaries lie
on 10 ms) and the phonemes of read text help. Batches are blocks of random length, because a packet
starts anywhere. Resumes from the run folder; the held-out readers are only scored at the end.

    python -m engine.training.event_odds --data ../shared/speech --cache cache --minutes 40 --install
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.event_odds import FIELDS, odds_weights
from engine.events import ENERGY_LEVELS, PITCH_LEVELS
from engine.phonemes import N_PHONEMES
from engine.probability import MAX_BLOCK_EVENTS
from engine.training.bit_report import load_model, measure_bits, write_card
from engine.training.datasets import Corpus, tuning_clips
from engine.training.event_net import EVEN, I64, TICKS, EventNet, columns, export
from engine.training.heard import Stream, heard_streams
from engine.training.sentences import phoneme_sentences
from engine.training.tables import load_streams
from engine.weights import MODELS_DIR, WeightsError, load_weights, save_weights

BLOCKS = 32  # of each source in a batch
LENGTHS = (8, 65)  # of training blocks, events
ALIGNED_WEIGHT = 0.4
TEXT_WEIGHT = 0.3
TRANSPOSED = 4  # semitones up or down, at most: there are more voices than in the training clips
LOUDER = 3  # … and energy steps: and more microphones
AVERAGE_STEPS = 400  # of the weights that are kept
REPORT_STEPS = 250
HEARING_SHARE = 0.4  # of the minutes, at most
SHORTEST_S = 5.0

Blocks = Sequence[tuple[I64, int]]
"""Columns of whole streams, and the kind of block they make."""


def known_ngram() -> torch.Tensor:
    """[43 ** 3 + 1, 43] natural logs of the recogniser's 4-gram; zeros without history."""
    table, _ = load_weights("ngram")
    rows = table["table"].float().reshape(-1, N_PHONEMES) / -16.0
    return torch.cat([rows, torch.zeros(1, N_PHONEMES)])


def draw(
    streams: Blocks, rng: np.random.Generator, blocks: int
) -> Iterator[tuple[I64, torch.Tensor, torch.Tensor]]:
    """For ever: batches (columns [B, T, 7], mask [B, T], kind [B]) of blocks that begin anywhere."""
    while True:
        length = int(rng.integers(*LENGTHS))
        cut = []
        for columns_, kind in streams:
            begin = -int(rng.integers(length))
            for start in range(begin, len(columns_), length):
                part = columns_[max(start, 0) : start + length]
                if len(part) > 1:
                    cut.append((part, kind))
        order = rng.permutation(len(cut))
        for start in range(0, len(order), blocks):
            chosen = [cut[n] for n in order[start : start + blocks]]
            yield batch([(moved(part, rng), kind) for part, kind in chosen], length)


def moved(part: I64, rng: np.random.Generator) -> I64:
    """The same events from a higher or lower voice, nearer or farther away."""
    other = part.copy()
    louder = part[:, 4] + rng.integers(-LOUDER, LOUDER + 1)
    other[:, 4] = np.clip(louder, 0, ENERGY_LEVELS - 1)
    higher = part[:, 5:] + rng.integers(-TRANSPOSED, TRANSPOSED + 1)
    other[:, 5:] = np.clip(higher, 0, PITCH_LEVELS - 1) * part[:, 3:4]
    return other


def batch(blocks: Blocks, length: int) -> tuple[I64, torch.Tensor, torch.Tensor]:
    x = np.zeros((len(blocks), length, 7), np.int64)
    mask = torch.zeros(len(blocks), length)
    for row, (part, _) in enumerate(blocks):
        x[row, : len(part)] = part
        x[row, 0, 1] = 0  # no silence is sent before a block's first event
        mask[row, : len(part)] = 1.0
    return x, mask, torch.tensor([kind for _, kind in blocks])


@torch.inference_mode()
def bits_of(net: EventNet, streams: Blocks, length: int) -> dict[str, float]:
    """Mean bits an event by field, in blocks of ``length`` events."""
    net.eval()
    blocks = [(c[i : i + length], k) for c, k in streams for i in range(0, len(c), length)]
    totals = dict.fromkeys(FIELDS, 0.0)
    for start in range(0, len(blocks), 64):
        for name, bits in net.field_bits(*batch(blocks[start : start + 64], length)).items():
            totals[name] += float(bits)
    net.train()
    events = sum(len(c) for c, _ in streams)
    return {name: total / events for name, total in totals.items()}


def text_blocks(
    read: Sequence[Sequence[int]], rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For ever: phonemes of read text as (ids [B, T], mask [B, T])."""
    sentences: list[NDArray[np.int64]] = []
    for ids in read:
        row = np.zeros((len(ids), 7), np.int64)
        row[:, 0] = ids
        sentences.append(row)
    for x, mask, _ in draw([(s, EVEN) for s in sentences if len(s) > 1], rng, BLOCKS):
        yield torch.from_numpy(x[..., 0]), mask


def run(options: argparse.Namespace) -> dict[str, float]:
    """Train for ``options.minutes``; returns the held-out readers' bits an event by field."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    corpus, begin = Corpus(options.data, options.cache), time.monotonic()
    hearing = min(options.hear_minutes, HEARING_SHARE * options.minutes)
    heard = heard_streams(corpus, hearing)
    if not heard:
        raise SottovoceError("No frontend features yet: train the recogniser first.")
    native = [clip.id for clip, _ in heard if clip.source == "librispeech"]
    held_out = set(tuning_clips(native))
    unread = [s for clip, s in heard if clip.id in held_out] or [s for _, s in heard[:20]]
    tuning = [(columns(s), EVEN) for s in unread]
    live = [(columns(s), EVEN) for clip, s in heard if clip.id not in held_out and len(s) > 1]
    if not live:
        print(f"{len(heard)} clips heard in {hearing:.1f} min are too few to learn from")
        return {}
    aligned = [(columns(s), TICKS) for s in load_streams(corpus, "train")]
    print(
        f"{sum(len(c) for c, _ in live)} heard and {sum(len(c) for c, _ in aligned)} aligned events"
    )
    net = EventNet(known_ngram(), options.dropout)
    kept = options.out / "state.pt"
    if kept.is_file():
        net.load_state_dict(torch.load(kept, weights_only=True))
        print("resumed", flush=True)
    average = copy.deepcopy(net)
    optimizer = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=0.01)
    sources = draw(live, rng, BLOCKS), draw(aligned, rng, BLOCKS // 2)
    text = text_blocks(phoneme_sentences(options.data, options.cache), rng)
    options.out.mkdir(parents=True, exist_ok=True)
    before, step, best = shipped_bits(unread), 0, math.inf
    if kept.is_file():
        best = sum(bits_of(net, tuning, 64).values())
    print(f"before: {before:.3f} bits an event shipped, {best:.3f} in the run folder", flush=True)
    end = max(begin + 60 * options.minutes, time.monotonic() + SHORTEST_S)
    start = time.monotonic()
    while (done := (time.monotonic() - start) / (end - start)) < 1 or step == 0:
        for group in optimizer.param_groups:
            decay = 0.5 * (1 + math.cos(math.pi * done)) + 0.01
            group["lr"] = options.rate * min(1.0, (step + 1) / 100) * decay
        loss = TEXT_WEIGHT * net.text_bits(*next(text))
        for source, weight in zip(sources, (1.0, ALIGNED_WEIGHT), strict=True):
            x, mask, kind = next(source)
            loss = loss + weight * sum(net.field_bits(x, mask, kind).values()) / mask.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        _follow(average, net)
        step += 1
        if step % REPORT_STEPS == 0:
            bits = bits_of(average, tuning, 64)
            total = sum(bits.values())
            minutes = (time.monotonic() - start) / 60
            print(step, f"{minutes:.1f} min", _line(bits), flush=True)
            if total < best:
                best = total
                torch.save(average.state_dict(), kept)
    last = sum(bits_of(average, tuning, 64).values())
    if last < best:
        best = last
        torch.save(average.state_dict(), kept)
    net.load_state_dict(torch.load(kept, weights_only=True))
    unseen = [s for _, s in heard_streams(corpus, hearing, "dev", "librispeech")] or unread
    places = [options.out]
    if options.install and best < before:
        places.append(MODELS_DIR)
    elif options.install:
        print(f"{best:.3f} bits are no better than {before:.3f}: the shipped weights stay")
    return finish(net, unseen, sum(len(c) for c, _ in live), places)


def shipped_bits(streams: Sequence[Stream]) -> float:
    """Bits an event of what ships, in blocks of 64; infinite where nothing does."""
    try:
        bits, _ = measure_bits(streams, load_model(MODELS_DIR), 64)
    except WeightsError:
        return math.inf
    return sum(bits[name] for name in FIELDS)


def _line(bits: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.3f}" for name, value in bits.items())
    return f"{sum(bits.values()):.3f} bits an event: {parts}"


def _follow(average: EventNet, net: EventNet) -> None:
    """Exponential mean of the weights: it is better than any of them."""
    with torch.no_grad():
        for kept, new in zip(average.parameters(), net.parameters(), strict=True):
            kept.lerp_(new, 1 / AVERAGE_STEPS)


def finish(
    net: EventNet, unseen: Sequence[Stream], heard_events: int, directories: Sequence[Path]
) -> dict[str, float]:
    """Write weights and card; returns what the held-out readers' events cost by field."""
    entropy = bits_of(net, [(columns(s), EVEN) for s in unseen], MAX_BLOCK_EVENTS)
    print("held-out readers:", _line(entropy))
    tensors = export(net) | {"weights": torch.from_numpy(odds_weights())}
    metadata = {"heard_events": heard_events, "entropy": entropy}
    for directory in directories:
        path = save_weights("event_odds", tensors, metadata, directory)
        write_card(path.with_suffix(".md"), load_model(directory), unseen, metadata)
    return entropy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech manifest")
    parser.add_argument("--cache", type=Path, default=Path(".cache/training"))
    parser.add_argument("--out", type=Path, default=Path("runs/event_odds"))
    parser.add_argument("--minutes", type=float, default=40.0, help="of hearing and training")
    parser.add_argument("--hear-minutes", type=float, default=10.0, help="of recognising, at most")
    parser.add_argument("--device", default="cpu", help="taken for the sake of the other stages")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--install", action="store_true", help="write into assets/models")
    try:
        run(parser.parse_args())
    except SottovoceError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
