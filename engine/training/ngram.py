"""Train the phoneme 4-gram of the streaming recogniser from text.

Sentences become phonemes through espeak-ng; readers of the held-out split are left out. The table
is dense, interpolated (absolute discounting, Ney et al., 1994) and stored as bytes.

    python -m engine.training.ngram --data ../shared/speech --install
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.phonemes import N_PHONEMES
from engine.training.sentences import phoneme_sentences
from engine.weights import MODELS_DIR, save_weights

ORDER = 4
DISCOUNT = 0.75
QUANTUM = 1 / 16  # nats per stored step: 255 steps reach p = 1.2e-7


def estimate(sentences: list[list[int]]) -> NDArray[np.float32]:
    """Phoneme ids by sentence → log p [43, 43, 43, 43], next phoneme last, 0 as the start."""
    rows = [
        np.lib.stride_tricks.sliding_window_view([0] * (ORDER - 1) + sentence, ORDER)
        for sentence in sentences
        if sentence
    ]
    grams = np.concatenate(rows)
    probability = np.full(N_PHONEMES, 1 / N_PHONEMES)
    for order in range(1, ORDER + 1):
        counts = np.zeros((N_PHONEMES,) * order)
        np.add.at(counts, tuple(grams[:, ORDER - order :].T), 1)
        total = counts.sum(-1, keepdims=True)
        kinds = (counts > 0).sum(-1, keepdims=True)
        spread = np.where(total > 0, DISCOUNT * kinds / np.maximum(total, 1), 1.0)
        kept = np.maximum(counts - DISCOUNT, 0) / np.maximum(total, 1)
        probability = kept + spread * probability
    return np.asarray(np.log(probability), np.float32)


def quantise(log_p: NDArray[np.float32]) -> torch.Tensor:
    """Natural logs → bytes of QUANTUM nats."""
    return torch.from_numpy(np.clip(np.round(-log_p / QUANTUM), 0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech manifest")
    parser.add_argument("--cache", type=Path, help="where phonemes are kept for other stages")
    parser.add_argument("--out", type=Path, default=Path("runs/ngram"), help="where weights go")
    parser.add_argument("--install", action="store_true", help="write into assets/models")
    arguments = parser.parse_args()

    try:
        sentences = phoneme_sentences(arguments.data, arguments.cache)
    except SottovoceError as error:
        raise SystemExit(str(error)) from error
    cut = len(sentences) // 50
    table = estimate(sentences[cut:])
    held = [[0] * (ORDER - 1) + s for s in sentences[:cut] if s]
    grams = np.concatenate([np.lib.stride_tricks.sliding_window_view(s, ORDER) for s in held])
    perplexity = float(np.exp(-table[tuple(grams.T)].mean()))
    metadata = {"order": ORDER, "quantum_nats": QUANTUM, "heldout_perplexity": perplexity}
    directory = MODELS_DIR if arguments.install else arguments.out
    path = save_weights("ngram", {"table": quantise(table)}, metadata, directory)
    print(f"{path.name}: {len(sentences)} sentences, held-out perplexity {perplexity:.2f}")


if __name__ == "__main__":
    main()
