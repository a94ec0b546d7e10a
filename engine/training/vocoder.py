"""Trains the vocoder's source-filter network on a feature cache; resumes where it stopped.

Log-mel, pitch and PCM go in, a checkpoint, a CSV curve and (``--install``) the shipped weights come
out. Frames that ``engine.training.predicted`` left in the run folder are mixed in: their envelopes
must move as the talker's did, but what they blurred need not come back. Scored on tuning readers.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.errors import SottovoceError
from engine.mel import HOP
from engine.source_filter import LEAD, SourceFilter, overlap_add
from engine.training.discriminator import Discriminator
from engine.training.envelopes import envelope_correlation, log_mel_of
from engine.training.predicted import FILE_NAME as PREDICTED_NAME
from engine.training.predicted import PredictedFrames
from engine.training.vocoder_data import BATCH, Batches, FeatureCache, excite
from engine.vocoder import clarify
from engine.weights import MODELS_DIR, WeightsError, load_module, load_weights, save_weights

LEARNING_RATE = 8e-4
EMA = 0.998
RESOLUTIONS = (1024, 512, 256, 128)  # samples: STFT windows, hop a quarter
LOG_OFFSET = 1e-3
REPORT_EVERY_S = 120.0
SCORED_CLIPS = 12
WARM_FRAMES = 6  # frames at a segment's start that the loss does not hear


def synthesise(
    model: SourceFilter, mel: Tensor, f0_hz: Tensor, draws: list[Tensor], clear: bool = False
) -> list[Tensor]:
    """Whole-sequence twin of the streaming vocoder. Returns one [B, (T - 1) * HOP] per draw, and
    with ``clear`` the first one once more as it is heard: without breath where harmonics rule."""
    raw, _ = model(mel, f0_hz, model.initial_past(mel.shape[0]))
    parameters = model.parameters_of(raw[:, 1:], mel[:, :-1], f0_hz[:, :-1])
    rendered = [model.render(parameters, draw) for draw in draws]
    if clear:
        rendered.append(model.render(clarify(parameters, f0_hz[:, :-1]), draws[0]))
    length = (mel.shape[1] - 1) * HOP
    return [overlap_add(segments)[:, LEAD : LEAD + length] for segments in rendered]


def spectra(pcm: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Log and square-root magnitudes, each [B, F, T], at every resolution."""
    result = []
    for size in RESOLUTIONS:
        window = torch.hann_window(size, device=pcm.device)
        spectrum = torch.stft(
            pcm, size, size // 4, window=window, center=False, return_complex=True
        )
        magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9) * (2.0 / window.sum())
        result.append((torch.log(magnitude + LOG_OFFSET), torch.sqrt(magnitude)))
    return result


def distance(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Multi-resolution STFT distance: log magnitude by bin, square-root magnitude by frame."""
    total = first[0][0].new_zeros(())
    for (log_a, root_a), (log_b, root_b) in zip(first, second, strict=True):
        by_frame = torch.sqrt(((root_a - root_b) ** 2).sum(1) + 1e-8).mean()
        total = total + (log_a - log_b).abs().mean() + by_frame
    return total / len(first)


def energy_distance(truth: Tensor, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Generalised energy distance and plain distance of two independent draws to the truth.

    The repulsion between the draws makes noise as noisy as it should be, which a plain spectral
    loss never does. After Gritsenko et al., 2020.
    """
    a, b, c = spectra(truth), spectra(one), spectra(two)
    plain = 0.5 * (distance(a, b) + distance(a, c))
    return 2.0 * plain - distance(b, c), plain


@torch.no_grad()
def validate(
    model: SourceFilter, cache: FeatureCache, device: torch.device
) -> tuple[float, float, float]:
    """Energy distance, plain distance and correlation of envelopes on 3 s of held-out clips, always
    the same draws."""
    long = [c for c in cache.held_out() if c.frames >= 420]
    rng = np.random.default_rng(7)
    scores = []
    for clip in long[:SCORED_CLIPS]:
        pcm, mel, f0 = cache.read(clip.start_frame + 100, 300)
        draws = [torch.from_numpy(excite(f0, rng))[None].to(device) for _ in range(2)]
        out = synthesise(
            model,
            torch.from_numpy(mel)[None].to(device),
            torch.from_numpy(f0)[None].to(device),
            draws,
            clear=True,
        )
        truth = torch.from_numpy(pcm[: 299 * HOP])[None].to(device)
        alike = likeness(truth, out.pop())
        scores.append([float(v) for v in (*energy_distance(truth, *out), alike)])
    if not scores:
        raise SottovoceError("The cache holds no held-out clip of 4 s: validation needs one.")
    mean = np.mean(scores, axis=0)
    return float(mean[0]), float(mean[1]), float(mean[2])


def likeness(truth: Tensor, made: Tensor) -> Tensor:
    """How alike the envelopes of two sounds [B, N] move; 1 is wholly."""
    target = log_mel_of(truth)
    return envelope_correlation(log_mel_of(made), target, torch.ones_like(target[..., 0]))


def install(
    averaged: SourceFilter, step: int, minutes: float, scores: tuple[float, float, float]
) -> Path:
    """Write the averaged weights as the shipped model."""
    metadata = {
        "steps": str(step), "minutes": f"{minutes:.1f}", "energy_distance": f"{scores[0]:.4f}",
        "stft_distance": f"{scores[1]:.4f}", "envelopes": f"{scores[2]:.4f}",
    }  # fmt: skip
    return save_weights("vocoder", averaged.state_dict(), metadata)


class Run:
    """One training run: models, optimisers, counters, and how they are kept on disk."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(_device(arguments.device))
        self.out = Path(arguments.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.cache = FeatureCache(Path(arguments.data), Path(arguments.cache))
        self.model = SourceFilter().to(self.device)
        self.critic = Discriminator().to(self.device)
        self.batch = int(arguments.batch)
        self.critic_weight = float(arguments.adversarial)
        self.envelope_weight = float(arguments.envelope)
        self.optimiser = _adam(self.model)
        self.critic_optimiser = _adam(self.critic)
        self.step, self.spent_s = 0, 0.0
        self.losses: list[float] = []
        self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        self._resume()
        found = self.out / PREDICTED_NAME
        predicted = PredictedFrames.load(found) if found.exists() else None
        rng = np.random.default_rng([arguments.seed, self.step])
        self.batches = Batches(self.cache, rng, predicted)

    def _resume(self) -> None:
        """From the run folder's checkpoint, else from the shipped weights, else from nothing."""
        last = self.out / "last.pt"
        if last.exists():
            saved = torch.load(last, map_location=self.device, weights_only=True)
            for name in ("model", "averaged", "optimiser", "critic", "critic_optimiser"):
                if name in saved:
                    getattr(self, name).load_state_dict(saved[name])
            self.step, self.spent_s = saved["step"], saved["spent_s"]
        elif (MODELS_DIR / "vocoder.safetensors").exists():
            tensors, metadata = load_weights("vocoder")
            self.model.load_state_dict(tensors)
            self.averaged.load_state_dict(tensors)
            self.step = int(metadata.get("steps", 0))
            self.spent_s = 60.0 * float(metadata.get("minutes", 0.0))

    def advance(self, rate: float) -> None:
        """One optimiser step at learning rate ``rate``."""
        for optimiser in (self.optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = rate
        pcm, mel, f0, draws, true = self.batches.draw(self.device, self.batch)
        heard = slice(WARM_FRAMES * HOP, -2 * HOP)
        truth = pcm[:, heard]
        clear = self.envelope_weight > 0
        made = [draw[:, heard] for draw in synthesise(self.model, mel, f0, draws, clear)]
        loss = truth.new_zeros(())
        if bool(true.any()):
            loss, _ = energy_distance(truth[true], made[0][true], made[1][true])
            self.losses.append(float(loss.detach()))
        if clear:
            loss = loss + self.envelope_weight * (1 - likeness(truth, made[2]))
        if self.critic_weight > 0:
            self.critic_optimiser.zero_grad(set_to_none=True)
            self.critic.loss(truth, made[0].detach()).backward()  # type: ignore[no-untyped-call]
            self.critic_optimiser.step()
            loss = loss + self.critic_weight * self.critic.generator_loss(truth, made[0])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        keep = min(EMA, 1.0 - 1.0 / (self.step / 4 + 1))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - keep)

    def report(self) -> tuple[float, float, float]:
        """Validate, print, append to the curve and write the checkpoint."""
        scores = validate(self.averaged, self.cache, self.device)
        state = {
            name: getattr(self, name).state_dict()
            for name in ("model", "averaged", "optimiser", "critic", "critic_optimiser")
        }
        partial = self.out / "last.partial"
        torch.save(state | {"step": self.step, "spent_s": self.spent_s}, partial)
        partial.replace(self.out / "last.pt")
        loss = float(np.mean(self.losses)) if self.losses else float("nan")
        self.losses.clear()
        curve = self.out / "curve.csv"
        header = "" if curve.exists() else "step,seconds,train,energy,stft,envelopes\n"
        with curve.open("a") as file:
            told = ",".join(f"{score:.4f}" for score in scores)
            row = f"{self.step},{self.spent_s:.0f},{loss:.4f},{told}\n"
            file.write(header + row)
        print(
            f"step {self.step} {self.spent_s / 60:.1f} min train {loss:.4f} "
            f"held out: energy {scores[0]:.4f} stft {scores[1]:.4f} envelopes {scores[2]:.4f}",
            flush=True,
        )  # fmt: skip
        return scores


def cost(scores: tuple[float, float, float], envelope_weight: float) -> float:
    """What the sound costs by the loss."""
    return scores[0] + envelope_weight * (1 - scores[2])


def shipped_cost(cache: FeatureCache, device: torch.device, envelope_weight: float) -> float:
    """Of the shipped weights, infinite where there are none that fit."""
    model = SourceFilter()
    try:
        load_module(model, "vocoder")
    except WeightsError:
        return float("inf")
    return cost(validate(model.to(device), cache, device), envelope_weight)


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _adam(module: torch.nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(module.parameters(), LEARNING_RATE, (0.8, 0.98), weight_decay=1e-3)


def train(arguments: argparse.Namespace) -> None:
    """Train for ``arguments.minutes``, then report and perhaps install."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    run = Run(arguments)
    begun, before_s = time.monotonic(), run.spent_s
    budget_s, report_at_s = 60.0 * arguments.minutes, REPORT_EVERY_S
    warm_from = run.step
    weight = run.envelope_weight
    before = shipped_cost(run.cache, run.device, weight) if arguments.install else 0.0
    while (elapsed_s := time.monotonic() - begun) < budget_s or run.step == warm_from:
        left = max(0.0, 1.0 - elapsed_s / budget_s)
        warm = (run.step - warm_from + 1) / 100
        run.advance(arguments.rate * min(1.0, warm, max(0.02, left / 0.3)))
        run.spent_s = before_s + time.monotonic() - begun
        if run.spent_s - before_s >= report_at_s:
            run.report()
            report_at_s = time.monotonic() - begun + REPORT_EVERY_S
    scores = run.report()
    after = cost(scores, weight)
    if arguments.install and after >= before:
        print(f"cost {after:.4f} after {before:.4f}: the shipped weights stay")
    elif arguments.install:
        print(f"installed {install(run.averaged, run.step, run.spent_s / 60, scores)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", required=True, help="folder with pcm.npy, mel.npy, f0.npy, …")
    parser.add_argument("--out", required=True, help="run folder: checkpoint and curve")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--batch", type=int, default=BATCH, help="segments a step")
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="learning rate")
    parser.add_argument("--envelope", type=float, default=1.0, help="weight of moving envelopes")
    parser.add_argument(
        "--adversarial", type=float, default=0.0, help="weight of the discriminator, 0 = none"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--install", action="store_true", help="write assets/models/vocoder.safetensors"
    )
    arguments = parser.parse_args()
    try:
        train(arguments)
    except SottovoceError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
