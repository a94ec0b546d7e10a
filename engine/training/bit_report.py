"""What the bitstream costs, field by field, on speech that nobody trained on.

The card of ``event_odds.safetensors`` comes from here. ``python -m engine.training.bit_report --data
../shared/speech --cache CACHE`` measures the shipped models again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.bitstream import KNOWN_EVENTS, BitCounter, BlockModel, encode_block, walk_block
from engine.event_odds import network_of
from engine.probability import MAX_BLOCK_EVENTS, default_tables
from engine.training.datasets import Corpus
from engine.training.heard import Stream, heard_streams
from engine.training.tables import DATA
from engine.weights import MODELS_DIR, load_weights

BLOCKS = (8, 16, MAX_BLOCK_EVENTS)


def load_model(directory: Path) -> BlockModel:
    """The network in ``directory`` with the shipped tables and 4-gram."""
    tensors, _ = load_weights("event_odds", directory)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    weights = arrays.pop("weights")
    ngram = load_weights("ngram")[0]["table"].numpy()
    return BlockModel(default_tables(), network_of(arrays, ngram, weights))


def measure_bits(
    streams: Sequence[Stream], model: BlockModel, block_events: int, chained: bool = False
) -> tuple[dict[str, float], float]:
    """Mean information an event by field, and bits an event once in whole bytes.

    ``chained``: each block knows the one before, as in a file.
    """
    counter = BitCounter()
    size = events = 0
    for stream in streams:
        for start in range(0, len(stream), block_events):
            block = stream[start : start + block_events]
            known = stream[max(0, start - KNOWN_EVENTS) : start] if chained else []
            walk_block(counter, block[0].index, block[0].start_tick, block, model, known)
            size += len(encode_block(block, [len(e.codes) for e in block], model, known))
            events += len(block)
    return {name: bits / events for name, bits in counter.bits.items()}, 8 * size / events


def order_zero(streams: Sequence[Stream]) -> dict[str, float]:
    """Entropy of each field by itself, in bits an event: what no context at all would cost."""
    events = [event for stream in streams for event in stream]
    voiced = [e for e in events if e.voiced]
    values = {
        "phoneme": [e.phoneme for e in events],
        "duration": [e.duration_ticks for e in events],
        "voiced": [int(e.voiced) for e in events],
        "energy": [e.energy for e in events],
        "pitch_first": [e.pitch[0] for e in voiced],
        "pitch_second": [e.pitch[1] for e in voiced],
    }
    entropy = {}
    for name, column in values.items():
        counts = np.bincount(column)
        share = counts[counts > 0] / len(column)
        entropy[name] = float(-(share * np.log2(share)).sum() * len(column) / len(events))
    return entropy


def report(
    model: BlockModel, streams: Sequence[Stream], entropy: Mapping[str, float]
) -> tuple[str, ...]:
    """Markdown: fields beside their entropies, then blocks of several lengths."""
    bare = [[replace(event, codes=()) for event in stream] for stream in streams]
    coded, _ = measure_bits(bare, model, MAX_BLOCK_EVENTS)
    alone = order_zero(bare)
    fields = ["| field | coded | entropy | without context |", "|---|---:|---:|---:|"]
    for name, bits in coded.items():
        given = f"{entropy[name]:.3f} | {alone[name]:.3f}" if name in entropy else "– | –"
        fields.append(f"| {name} | {bits:.3f} | {given} |")
    fields.append(
        f"| all of these | {sum(coded.values()):.3f} | "
        f"{sum(entropy.get(n, b) for n, b in coded.items()):.3f} | |"
    )
    blocks = ["| blocks of | bits an event, in whole bytes |", "|---|---:|"]
    for length in BLOCKS:
        blocks.append(f"| {length} events | {measure_bits(bare, model, length)[1]:.2f} |")
    chained = measure_bits(bare, model, MAX_BLOCK_EVENTS, chained=True)[1]
    blocks.append(
        f"| {MAX_BLOCK_EVENTS} events that know those before, as in files | {chained:.2f} |"
    )
    return (*fields, "", *blocks)


def write_card(
    path: Path, model: BlockModel, streams: Sequence[Stream], metadata: Mapping[str, Any]
) -> None:
    """The model card: data, scores, licence, command."""
    lines = report(model, streams, metadata["entropy"])
    events = sum(map(len, streams))
    text = f"""# event_odds.safetensors

How likely every value of an event's fields is, given the events before it: a gated recurrent unit
(Cho et al., 2014) reads the block and weighs the recogniser's phoneme 4-gram (`ngram.safetensors`).
Weights are whole numbers and all sums exact, so both ends of a call compute the same odds on any
machine; both must hold the same file.

| | |
|---|---|
| Trained on | {metadata["heard_events"]} events of training clips as the live encoder hears them, alignments, read sentences |
| Tuned on | the last 25 training readers of LibriSpeech |
| Data | {DATA} |
| Licence | Apache-2.0 |
| Command | `python -m engine.training.event_odds --data ../shared/speech --cache CACHE --minutes 40 --install` |

Base layer of the LibriSpeech readers nobody trained on, as the live encoder hears them
({events} events), in bits an event; by field in blocks of {MAX_BLOCK_EVENTS}. Entropy: what the
network in floating point says of the same events; coded: what the whole numbers cost; without
context: the field's own entropy, had each event to be told by itself.

{chr(10).join(lines)}
"""  # noqa: E501
    partial = path.with_suffix(".md.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech manifest")
    parser.add_argument("--cache", type=Path, default=Path(".cache/training"))
    arguments = parser.parse_args()
    corpus = Corpus(arguments.data, arguments.cache)
    streams = [s for _, s in heard_streams(corpus, 5.0, "dev", "librispeech")]
    entropy = json.loads(load_weights("event_odds")[1]["entropy"])
    print("\n".join(report(load_model(MODELS_DIR), streams, entropy)))


if __name__ == "__main__":
    main()
