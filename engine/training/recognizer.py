"""Train the streaming recogniser's network on cached frontend features.

Cross entropy on the given alignments first, then the sequence loss. Resumes from the run folder,
else from the shipped weights. Prints the phoneme error rate of the beam search on held-out
training readers; the ``dev`` readers are only scored once, at the end.

    python -m engine.training.recognizer --data ../shared/speech --cache cache --minutes 30
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from engine.beam import PhonemeBeam
from engine.edit_distance import count_edits
from engine.errors import SottovoceError
from engine.frontend import KIND
from engine.phoneme_net import PhonemeNet, StateDict, join_members, split_members
from engine.phonemes import N_PHONEMES, SILENCE
from engine.recognizer import BEAM
from engine.training.datasets import Corpus
from engine.training.precision import half_precision
from engine.training.recognized import search_in_steps
from engine.training.recognizer_data import (
    Example,
    load_examples,
    prepare_features,
)
from engine.training.sequence_loss import mmi_loss, transition_table
from engine.weights import MODELS_DIR, load_weights, save_weights

BATCH, FRAMES = 32, 150
WEIGHTS = {"librispeech": 2.0, "speechocean": 0.5}  # native variety counts most
EMA_DECAY = 0.995
REPORT_S = 90.0  # as long as 200 steps take on one core; a GPU must not wait for each of them


def statistics(examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """log-probability of staying in each phoneme a frame longer, log share of frames; [43] each."""
    frames, runs = np.ones(N_PHONEMES), np.ones(N_PHONEMES)
    for example in examples:
        starts = np.r_[True, example.labels[1:] != example.labels[:-1]]
        frames += np.bincount(example.labels, minlength=N_PHONEMES)
        runs += np.bincount(example.labels[starts], minlength=N_PHONEMES)
    stay = np.log(1 - 0.98 * runs / frames)
    return torch.tensor(stay).float(), torch.tensor(np.log(frames / frames.sum())).float()


def _collapse(labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    changed = np.r_[True, labels[1:] != labels[:-1]]
    return [int(p) for p in labels[changed] if p != SILENCE]


@torch.inference_mode()
def phoneme_error_rate(
    net: PhonemeNet, examples: list[Example], stay: torch.Tensor, prior: torch.Tensor
) -> float:
    """Streaming beam search against the aligned phonemes, pooled over ``examples``."""
    table, metadata = load_weights("ngram")
    ngram = (table["table"].float() * -float(metadata["quantum_nats"])).numpy()
    net.eval()
    errors = total = 0
    for example in examples:
        features = torch.from_numpy(example.features.astype(np.float32))[None]
        logits, _ = net(features, net.initial_state())
        rows = torch.log_softmax(logits[0], dim=1).numpy()
        beam = PhonemeBeam(ngram, stay.numpy(), prior.numpy(), BEAM)
        heard = [s.phoneme for s in search_in_steps(beam, rows) if s.phoneme != SILENCE]
        spoken = _collapse(example.labels)
        errors += count_edits(spoken, heard).total
        total += len(spoken)
    return errors / max(total, 1)


def draw(
    examples: list[Example],
    weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random 3 s pieces with masked bands and moments: features, labels (-100 beyond), lengths."""
    features = np.zeros((BATCH, FRAMES, examples[0].features.shape[1]), np.float32)
    labels = np.full((BATCH, FRAMES), -100)
    lengths = np.zeros(BATCH, np.int64)
    for row, n in enumerate(rng.choice(len(examples), BATCH, p=weights)):
        example = examples[n]
        start = int(rng.integers(0, max(1, len(example.labels) - FRAMES + 1)))
        count = min(FRAMES, len(example.labels) - start)
        features[row, :count] = example.features[start : start + count]
        labels[row, :count] = example.labels[start : start + count]
        lengths[row] = count
        if rng.random() < 0.5:
            band = int(rng.integers(0, features.shape[2] - 50))
            features[row, :, band : band + 50] = 0
        if rng.random() < 0.3:
            moment = int(rng.integers(0, max(1, count - 6)))
            features[row, moment : moment + int(rng.integers(1, 6))] = 0
    return torch.from_numpy(features), torch.from_numpy(labels), torch.from_numpy(lengths)


def _shipped_members() -> list[StateDict]:
    if not (MODELS_DIR / "recognizer.safetensors").is_file():
        return []
    return split_members(load_weights("recognizer")[0])


def _resume(net: PhonemeNet, run_dir: Path, member: int) -> str:
    """Go on from the run folder, else from the shipped network of that number."""
    members = _shipped_members()
    if (run_dir / "recognizer.safetensors").is_file():
        (known,), told = split_members(load_weights("recognizer", run_dir)[0]), f"{run_dir}"
    elif member < len(members):
        known, told = members[member], "what is shipped"
    else:
        return "started afresh"
    net.load_state_dict({k: v.float() for k, v in known.items()}, strict=True)
    return f"resumed from {told}"


def run(options: argparse.Namespace) -> float:
    """Train for ``options.minutes``; returns the phoneme error rate of the dev readers."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed + int(time.time()))
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(wanted if options.device == "auto" else options.device)
    start = time.monotonic()
    corpus = Corpus(options.data, options.cache)
    prepare_features(corpus, options.minutes * options.feature_share)
    held_out = corpus.tuning()
    examples = load_examples(corpus, corpus.training(held_out))
    if not examples:
        raise SottovoceError("No training features yet: give more --minutes.")
    validation = load_examples(corpus, held_out, copies=1)
    dev = load_examples(corpus, corpus.select("dev", ("librispeech",)), copies=1)
    stay, prior = statistics(examples)
    transitions = transition_table([torch.from_numpy(e.labels) for e in examples]).to(device)
    weights = np.array([min(len(e.labels), FRAMES) * WEIGHTS.get(e.source, 1.0) for e in examples])
    weights /= weights.sum()
    net = PhonemeNet(options.dropout)
    told = "started afresh" if options.afresh else _resume(net, options.out, options.member)
    print(told, f"{len(examples)} clips on {device}", flush=True)
    net.to(device)
    slow = copy.deepcopy(net).requires_grad_(False)  # averaged weights: what is scored and kept
    optimizer = torch.optim.AdamW(net.parameters(), options.rate, weight_decay=0.02)
    training_s = max(10.0, 60 * options.minutes - (time.monotonic() - start))
    begin, step, best = time.monotonic(), 0, math.inf
    next_report = begin + REPORT_S

    def keep(error: float) -> None:
        mine = {k: v.half() for k, v in slow.cpu().state_dict().items()}
        common = {"log_stay": stay, "log_prior": prior}
        metadata = {"validation_per": round(error, 4), "frontend": f"whisper-tiny.en int8 {KIND}"}
        save_weights("recognizer", join_members([mine]) | common, metadata, options.out)
        if options.install:
            members = _shipped_members()
            members[options.member : options.member + 1] = [mine]
            save_weights("recognizer", join_members(members) | common, metadata)
        slow.to(device)

    options.out.mkdir(parents=True, exist_ok=True)
    best = phoneme_error_rate(slow.cpu(), validation, stay, prior)
    slow.to(device)
    print(f"before: validation PER {best:.4f}", flush=True)
    while (done := (time.monotonic() - begin) / training_s) < 1:
        decay = 0.5 * (1 + math.cos(math.pi * done)) + 0.01
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1.0, (step + 1) / 100) * decay
        features, labels, lengths = (x.to(device) for x in draw(examples, weights, rng))
        net.train()
        with half_precision(device):
            logits, _ = net(features, net.initial_state(BATCH))
        logits = logits.float()
        loss = F.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=-100, label_smoothing=0.05
        )
        if done > options.sequence_from:
            loss = 0.3 * loss + 3.0 * mmi_loss(logits, transitions, labels.clamp(min=0), lengths)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        pace = 1 - min(EMA_DECAY, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, newest in zip(slow.parameters(), net.parameters(), strict=True):
                mean.lerp_(newest, pace)
        step += 1
        if time.monotonic() > next_report:
            next_report = time.monotonic() + REPORT_S
            error = phoneme_error_rate(slow.cpu(), validation, stay, prior)
            slow.to(device)
            print(f"step {step} loss {loss.item():.4f} validation PER {error:.4f}", flush=True)
            with (options.out / "curve.csv").open("a", newline="") as file:
                csv.writer(file).writerow([step, round(loss.item(), 5), round(error, 5)])
            if error < best:
                best = error
                keep(error)
    error = phoneme_error_rate(slow.cpu(), validation, stay, prior)
    if error < best:
        keep(error)
    else:
        _resume(slow, options.out, options.member)
    result = phoneme_error_rate(slow.cpu(), dev, stay, prior)
    print(f"{step} steps, validation PER {min(error, best):.4f}, dev readers PER {result:.4f}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech manifest")
    parser.add_argument("--cache", type=Path, required=True, help="where features are kept")
    parser.add_argument("--out", type=Path, default=Path("runs/recognizer"), help="run folder")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--member", type=int, default=0, help="which of the networks, from 0")
    parser.add_argument("--dropout", type=float, default=0.25)
    parser.add_argument("--afresh", action="store_true", help="from random weights")
    parser.add_argument(
        "--sequence-from", type=float, default=0.35, help="share of cross entropy only"
    )
    parser.add_argument(
        "--feature-share",
        type=float,
        default=0.4,
        help="part of the time missing features may take",
    )
    parser.add_argument("--install", action="store_true", help="write into assets/models as well")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
