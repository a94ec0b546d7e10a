"""Train the synthesizer on articulation codes; writes ``codec.safetensors``.

The codes are fitted first (``shapes``) and stay. Loss: L1 on normalised log-mel, how alike the
envelopes move, features of a frozen phoneme classifier so that words are not blurred, voicing, the
d-vector's distance, and on request a patch discriminator. Resumes from its run folder, else from
the shipped weights.

    python -m engine.training.codec --data ../shared/speech --cache cache --minutes 60
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from engine.events import MAX_LAYERS
from engine.training.batches import CROP_TICKS, Augment, Batch, BatchMaker
from engine.training.codec_net import Codec, export, restore, score
from engine.training.datasets import Corpus
from engine.training.envelopes import envelope_correlation
from engine.training.other_voices import widen
from engine.training.perceptual import PatchJudge, PhonemeJudge, judge_loss, masked_l1
from engine.training.precision import half_precision
from engine.training.recognized import recognised_events
from engine.training.shapes import fit_shapes
from engine.training.speaker import ROWS, SpeakerJudge
from engine.training.voice import voice_basis
from engine.voice import WINDOW_TICKS
from engine.weights import MODELS_DIR, WeightsError, load_weights, save_weights

BATCH = 16
JUDGE_RATE = 4e-4
SCORE_EVERY_S = 240.0
EMA_DECAY = 0.998
LAYER_SHARES = (0.3, 0.18, 0.1, 0.1, 0.32)  # of clips spoken with 0 … MAX_LAYERS codes an event
LOOSENING = 1.02  # the discriminator may cost this much; at 1.08 it measurably cost words


def train_judge(
    judge: PhonemeJudge, maker: BatchMaker, codec: Codec, seconds: float,
    draw: Any, device: torch.device, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Teach the phoneme classifier on true frames."""
    optimiser = torch.optim.AdamW(judge.parameters(), 2e-3, weight_decay=0.01)
    net, begin, step = codec.synthesizer, time.monotonic(), 0
    while (spent := time.monotonic() - begin) < seconds:
        optimiser.param_groups[0]["lr"] = 2e-3 * max(0.02, 1 - spent / seconds)
        batch = maker.make(draw(), rng, Augment(jitter_ticks=0, confuse=0.0)).to(device)
        with half_precision(device):
            logits, _ = judge((batch.mel - net.mel_mean) / net.mel_std)
        logits = logits.float()
        half = batch.mask[:, ::2].bool()
        loss = functional.cross_entropy(logits[half], batch.labels[:, ::2][half])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        if step % 25 == 0:
            right = (logits[half].argmax(-1) == batch.labels[:, ::2][half]).float().mean()
            print(f"judge {step}: loss {loss:.3f} accuracy {right:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the synthesizer and articulation codes.")
    parser.add_argument("--data", type=Path, required=True, help="speech folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--out", type=Path, default=Path("runs/codec"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--judge-minutes", type=float, default=3.0)
    parser.add_argument("--shape-minutes", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--adversarial-from", type=float, default=2.0,
        help="share of the time before the discriminator joins in; above 1: never, it cost words",
    )  # fmt: skip
    parser.add_argument("--speaker", type=float, default=0.4, help="weight of the d-vector term")
    parser.add_argument("--envelope", type=float, default=1.0, help="weight of moving envelopes")
    parser.add_argument("--mse-dtw", type=float, default=0.0, help="weight of the timing-free term")
    parser.add_argument("--install", action="store_true", help="also write assets/models")
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Train for ``options.minutes``."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    options.out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(options.data, options.cache)
    basis = voice_basis(corpus)
    heard = recognised_events(corpus)
    native = corpus.select("train", ("librispeech",))
    held_out = corpus.tuning()  # dev stays untouched
    clips = corpus.training(held_out)
    recordings = list(clips)
    clips += widen(corpus, clips)
    weights = corpus.draw_weights(clips)
    weights[[n in set(native) for n in clips]] *= 2.0  # recordings before their copies
    weights /= weights.sum()
    maker = BatchMaker(corpus, basis.mean, basis.basis, basis.mean_dvector, heard)

    def draw() -> list[int]:
        return [clips[i] for i in rng.choice(len(clips), BATCH, p=weights)]

    codec, judge, patch = Codec().to(device), PhonemeJudge().to(device), PatchJudge().to(device)
    _statistics(codec, corpus, clips, weights, rng)
    ema = copy.deepcopy(codec)
    main_opt = torch.optim.AdamW(codec.parameters(), options.rate, (0.9, 0.98), weight_decay=0.01)
    patch_opt = torch.optim.AdamW(patch.parameters(), JUDGE_RATE, (0.5, 0.9))
    checkpoint = options.out / "last.pt"
    step, spent_before = 0, 0.0
    fresh = [name for name, _ in codec.named_parameters()]
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        for part, key in ((codec, "codec"), (ema, "ema"), (judge, "judge"), (patch, "patch")):
            part.load_state_dict(saved[key])
        main_opt.load_state_dict(saved["main_opt"])
        patch_opt.load_state_dict(saved["patch_opt"])
        step, spent_before = int(saved["step"]), float(saved["spent"])
        print(f"resumed at step {step}", flush=True)
    else:
        try:
            fresh = restore(codec, load_weights("codec")[0])
            ema.load_state_dict(codec.state_dict())
            print("starting from the shipped weights", flush=True)
            if fresh:
                print("afresh:", ", ".join(fresh), flush=True)
        except WeightsError:
            print("starting from scratch", flush=True)
    if step == 0 and fresh:
        fit_shapes(codec, maker, draw, 60 * options.shape_minutes, rng, device, options.seed)
        ema.load_state_dict(codec.state_dict())
    codec.articulation.requires_grad_(False)
    judge_path = options.out / "judge.pt"
    if not checkpoint.is_file() and judge_path.is_file():
        judge.load_state_dict(torch.load(judge_path, map_location=device, weights_only=True))
    elif not checkpoint.is_file():
        train_judge(judge, maker, codec, 60 * options.judge_minutes, draw, device, rng)
        torch.save(judge.state_dict(), judge_path)
    judge.requires_grad_(False).eval()
    talker = _speaker_judge(corpus, recordings, device) if options.speaker else None

    begin, total = time.monotonic(), 60 * options.minutes
    next_score = min(SCORE_EVERY_S, total / 4)

    def distance(known: Codec) -> float:
        return _distance(score(known.to(device), judge, maker, held_out, device), options.envelope)

    best = _best_known(options.out, distance)
    print(f"before: distance {best:.4f}", flush=True)
    while (spent := time.monotonic() - begin) < total:
        progress = (spent_before + spent) / (spent_before + total)
        warm = min(1.0, (step + 1) / 100)
        rate = warm * (0.03 + 0.97 * 0.5 * (1 + float(np.cos(np.pi * progress))))
        main_opt.param_groups[0]["lr"] = options.rate * rate
        batch = maker.make(draw(), rng, Augment()).to(device)
        with half_precision(device):
            parts = _step(codec, judge, patch, batch, main_opt, patch_opt,
                          progress >= options.adversarial_from, options,
                          talker if step % 2 else None)  # fmt: skip
        with torch.no_grad():
            decay = min(EMA_DECAY, (1 + step) / (10 + step))
            for slow, fast in zip(ema.parameters(), codec.parameters(), strict=True):
                slow.data.lerp_(fast, 1 - decay)
            for held, moved in zip(ema.buffers(), codec.buffers(), strict=True):
                held.copy_(moved)
        step += 1
        if step % 25 == 0:
            text = " ".join(f"{k} {v:.3f}" for k, v in parts.items())
            print(f"{step} {spent:.0f}s {text}", flush=True)
        if spent >= next_score or time.monotonic() - begin >= total:
            next_score += SCORE_EVERY_S
            scores = score(ema, judge, maker, held_out, device)
            print("score", step, " ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
            _log(
                options.out / "curve.csv", {"step": step, "seconds": spent_before + spent, **scores}
            )
            best = _keep(ema, scores, step, best, options)
            state = {
                "codec": codec.state_dict(), "ema": ema.state_dict(), "judge": judge.state_dict(),
                "patch": patch.state_dict(), "main_opt": main_opt.state_dict(),
                "patch_opt": patch_opt.state_dict(), "step": step, "spent": spent_before + spent,
            }  # fmt: skip
            torch.save(state, checkpoint.with_suffix(".partial"))
            os.replace(checkpoint.with_suffix(".partial"), checkpoint)


def _step(
    codec: Codec, judge: PhonemeJudge, patch: PatchJudge, batch: Batch,
    main_opt: torch.optim.Optimizer, patch_opt: torch.optim.Optimizer,
    adversarial: bool, weights: argparse.Namespace, talker: SpeakerJudge | None,
) -> dict[str, float]:  # fmt: skip
    """One update of the codec, and of the discriminator when it takes part."""
    net = codec.synthesizer
    target = (batch.mel - net.mel_mean) / net.mel_std
    layers = torch.multinomial(torch.tensor(LAYER_SHARES), len(target), replacement=True)
    layers = layers.to(target.device)
    mel, voicing, _ = codec(batch, layers)
    l1 = masked_l1(mel, target, batch.mask)
    feature, entropy = judge_loss(judge, mel, target, batch.labels, batch.mask)
    voiced = functional.binary_cross_entropy_with_logits(voicing, batch.voicing, weight=batch.mask)
    loss = l1 + 0.6 * feature + 0.08 * entropy + 0.1 * voiced
    parts = {
        "l1": l1.item(),
        "feature": feature.item(),
        "ce": entropy.item(),
    }
    if weights.envelope:
        with torch.autocast(mel.device.type, enabled=False):
            logs = mel * net.mel_std + net.mel_mean
            alike = envelope_correlation(logs, batch.mel, batch.mask)
        loss = loss + weights.envelope * (1 - alike)
        parts["envelope"] = alike.item()
    if weights.mse_dtw:
        from engine.training.timing import timing_distance

        shown = batch.mask[:, ::2, None]
        timing = timing_distance(mel[:, ::2] * shown, target[:, ::2] * shown, reach=8)
        loss = loss + weights.mse_dtw * timing
        parts["dtw"] = timing.item()
    long = batch.mask[:, CROP_TICKS - 60] > 0
    if talker is not None and bool(long.any()):
        rows = long.nonzero().flatten()[:ROWS]
        first = int(torch.randint(0, CROP_TICKS - 60 - WINDOW_TICKS, (1,)))
        with torch.autocast(mel.device.type, enabled=False):
            logs = mel[rows] * net.mel_std + net.mel_mean
            distance = talker(logs, batch.mel[rows], batch.speaker[rows], first)
        loss = loss + weights.speaker * distance
        parts["speaker"] = distance.item()
    if adversarial:
        # Half of the clips and half of their length: the discriminator must stay cheap.
        half = (slice(0, len(mel) // 2), slice(0, mel.shape[1] // 2))
        hide = batch.mask[half][..., None]
        fake, real = mel[half] * hide, target[half] * hide
        told, _ = patch(fake.detach())
        truth, _ = patch(real)
        against = functional.relu(1 + told).mean() + functional.relu(1 - truth).mean()
        patch_opt.zero_grad()
        against.backward()  # type: ignore[no-untyped-call]
        patch_opt.step()
        patch.requires_grad_(False)
        said, maps = patch(fake)
        with torch.no_grad():
            _, wanted = patch(real)
        matching = torch.stack(
            [functional.l1_loss(a, b) for a, b in zip(maps, wanted, strict=True)]
        ).mean()
        loss = loss - 0.05 * said.mean() + 0.3 * matching
        patch.requires_grad_(True)
        parts |= {"patch": against.item(), "matching": matching.item()}
    main_opt.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
    main_opt.step()
    return parts


def _speaker_judge(corpus: Corpus, clips: list[int], device: torch.device) -> SpeakerJudge | None:
    try:
        judge = SpeakerJudge(corpus, clips).to(device)
    except ImportError:
        print("resemblyzer is not installed: training without the d-vector term", flush=True)
        return None
    return judge.requires_grad_(False)


def _statistics(
    codec: Codec, corpus: Corpus, clips: list[int], weights: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Mean and spread of every mel bin over training speech, as it will be drawn."""
    chosen = np.random.default_rng(1).choice(clips, 300, p=weights)
    spans = [corpus.clips[n] for n in chosen]
    mel = np.concatenate(
        [
            np.asarray(corpus.mel[c.first_frame : c.first_frame + c.frames], np.float32)
            for c in spans
        ]
    )
    for net in (codec.synthesizer, codec.articulation):
        net.mel_mean.copy_(torch.from_numpy(mel.mean(0)))
        net.mel_std.copy_(torch.from_numpy(mel.std(0)))


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _best_known(run_dir: Path, distance: Callable[[Codec], float]) -> float:
    """Of the better of the run's and the shipped weights, infinite where none fit."""
    best = float("inf")
    for directory in (run_dir, MODELS_DIR):
        known = Codec()
        with contextlib.suppress(WeightsError):
            if not restore(known, load_weights("codec", directory)[0]):
                best = min(best, distance(known))
    return best


def _distance(scores: dict[str, float], envelope: float) -> float:
    """What the frames cost by the loss, mean over 0 … MAX_LAYERS codes."""
    each = [
        scores[f"l1_{k}"] + envelope * (1 - scores[f"envelope_{k}"]) for k in range(MAX_LAYERS + 1)
    ]
    return float(np.mean(each))


def _keep(
    ema: Codec, scores: dict[str, float], step: int, best: float, options: argparse.Namespace
) -> float:
    """Write the weights unless they got worse than the best so far, what training began with
    included; a discriminator may cost some of it."""
    mean = _distance(scores, options.envelope)
    if mean > best * (LOOSENING if options.adversarial_from < 1 else 1.0):
        return best
    metadata = {"step": step, "scores": scores, "data": "see assets/models/codec.md"}
    save_weights("codec", export(ema), metadata, options.out)
    if options.install:
        save_weights("codec", export(ema), metadata, MODELS_DIR)
    return min(best, mean)


if __name__ == "__main__":
    main()
