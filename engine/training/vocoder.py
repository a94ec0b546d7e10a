"""Trains the vocoder's source-filter network on a feature cache; resumes where it stopped.

Log-mel, pitch and PCM go in, a checkpoint, a CSV curve and (``--install``) the shipped weights come
out. Frames that ``engine.training.predicted`` left in the run folder are mixed in. Rows of the
manifest whose split is ``dev`` only validate.
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
from engine.training.predicted import FILE_NAME as PREDICTED_NAME
from engine.training.predicted import PredictedFrames
from engine.training.vocoder_data import BATCH, Batches, FeatureCache, excite
from engine.weights import MODELS_DIR, WeightsError, load_module, load_weights, save_weights

LEARNING_RATE = 8e-4
EMA = 0.998
RESOLUTIONS = (1024, 512, 256, 128)  # samples: STFT windows, hop a quarter
LOG_OFFSET = 1e-3
REPORT_EVERY_S = 120.0
WARM_FRAMES = 6  # frames at a segment's start that the loss does not hear


def synthesise(
    model: SourceFilter, mel: Tensor, f0_hz: Tensor, draws: list[Tensor]
) -> list[Tensor]:
    """Whole-sequence twin of the streaming vocoder. Returns one [B, (T - 1) * HOP] per draw."""
    raw, _ = model(mel, f0_hz, model.initial_past(mel.shape[0]))
    parameters = model.parameters_of(raw[:, 1:], mel[:, :-1], f0_hz[:, :-1])
    length = (mel.shape[1] - 1) * HOP
    return [overlap_add(model.render(parameters, draw))[:, LEAD : LEAD + length] for draw in draws]


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
def validate(model: SourceFilter, cache: FeatureCache, device: torch.device) -> tuple[float, float]:
    """Energy distance and plain distance on 3 s of up to 12 dev clips, always the same draws."""
    dev = [c for c in cache.clips if c.split == "dev" and c.frames >= 420]
    native = [c for c in dev if c.source == "librispeech"] or dev
    rng = np.random.default_rng(7)
    scores = []
    for clip in native[:12]:
        pcm, mel, f0 = cache.read(clip.start_frame + 100, 300)
        draws = [torch.from_numpy(excite(f0, rng))[None].to(device) for _ in range(2)]
        out = synthesise(
            model,
            torch.from_numpy(mel)[None].to(device),
            torch.from_numpy(f0)[None].to(device),
            draws,
        )
        truth = torch.from_numpy(pcm[: 299 * HOP])[None].to(device)
        scores.append([float(v) for v in energy_distance(truth, *out)])
    if not scores:
        raise SottovoceError("The cache holds no dev clip of 4 s: validation needs one.")
    mean = np.mean(scores, axis=0)
    return float(mean[0]), float(mean[1])


def install(averaged: SourceFilter, step: int, minutes: float, scores: tuple[float, float]) -> Path:
    """Write the averaged weights as the shipped model."""
    metadata = {
        "steps": str(step), "minutes": f"{minutes:.1f}", "energy_distance": f"{scores[0]:.4f}",
        "stft_distance": f"{scores[1]:.4f}",
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
        pcm, mel, f0, draws = self.batches.draw(self.device, self.batch)
        heard = slice(WARM_FRAMES * HOP, -2 * HOP)
        truth = pcm[:, heard]
        made = [draw[:, heard] for draw in synthesise(self.model, mel, f0, draws)]
        loss, _ = energy_distance(truth, made[0], made[1])
        self.losses.append(float(loss.detach()))
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

    def report(self) -> tuple[float, float]:
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
        header = "" if curve.exists() else "step,seconds,train,dev_energy,dev_stft\n"
        with curve.open("a") as file:
            row = f"{self.step},{self.spent_s:.0f},{loss:.4f},{scores[0]:.4f},{scores[1]:.4f}\n"
            file.write(header + row)
        print(
            f"step {self.step} {self.spent_s / 60:.1f} min train {loss:.4f} "
            f"dev energy {scores[0]:.4f} stft {scores[1]:.4f}", flush=True,
        )  # fmt: skip
        return scores


def shipped_distance(cache: FeatureCache, device: torch.device) -> float:
    """Energy distance of the shipped weights, infinite where there are none that fit."""
    model = SourceFilter()
    try:
        load_module(model, "vocoder")
    except WeightsError:
        return float("inf")
    return validate(model.to(device), cache, device)[0]


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
    before = shipped_distance(run.cache, run.device) if arguments.install else 0.0
    while (elapsed_s := time.monotonic() - begun) < budget_s or run.step == warm_from:
        left = max(0.0, 1.0 - elapsed_s / budget_s)
        warm = (run.step - warm_from + 1) / 100
        run.advance(arguments.rate * min(1.0, warm, max(0.02, left / 0.3)))
        run.spent_s = before_s + time.monotonic() - begun
        if run.spent_s - before_s >= report_at_s:
            run.report()
            report_at_s = time.monotonic() - begun + REPORT_EVERY_S
    scores = run.report()
    if arguments.install and scores[0] >= before:
        print(f"energy distance {scores[0]:.4f} after {before:.4f}: the shipped weights stay")
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
