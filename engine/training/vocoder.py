"""Trains the vocoder's source-filter network on a feature cache; resumes where it stopped.

Log-mel, pitch and PCM go in, a checkpoint, a CSV curve and (``--install``) the shipped weights come
out. Nothing is trained on rows of the manifest whose split is ``dev``; they only validate.
"""

from __future__ import annotations

import argparse
import copy
import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.errors import SottovoceError
from engine.mel import HOP
from engine.source_filter import LEAD, SEGMENT, SUBHOP, SourceFilter, overlap_add
from engine.source_filter import pitch_track, pulse_train
from engine.weights import MODELS_DIR, load_weights, save_weights

SOURCE_SHARES = {
    "librispeech": 0.28, "kathleen": 0.16, "storybooks": 0.16, "asterisk": 0.10,
    "speechocean": 0.25, "commands": 0.05,
}  # fmt: skip
SEGMENT_FRAMES = 64
BATCH = 16
LEARNING_RATE = 8e-4
EMA = 0.998
RESOLUTIONS = (1024, 512, 256, 128)  # samples: STFT windows, hop a quarter
LOG_OFFSET = 1e-3
WARM_FRAMES = 6  # frames at a segment's start that the loss does not hear


@dataclass(frozen=True, slots=True)
class Clip:
    start_frame: int
    frames: int
    source: str
    split: str


class FeatureCache:
    """Memory-mapped features of every clip; see ``engine.training.datasets`` for the format."""

    def __init__(self, data: Path, cache: Path) -> None:
        try:
            self.pcm = np.load(cache / "pcm.npy", mmap_mode="r")
            self.mel = np.load(cache / "mel.npy", mmap_mode="r")
            self.f0 = np.load(cache / "f0.npy", mmap_mode="r")
            lengths = np.load(cache / "len.npy")
            ids = (cache / "ids.txt").read_text().split()
            with (data / "manifest.tsv").open(newline="") as file:
                rows = {
                    row["id"]: row
                    for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                }
        except OSError as error:
            raise SottovoceError(
                f"Cannot read the training data ({error}): check --data and --cache."
            ) from error
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.clips = [
            Clip(int(starts[i]), int(lengths[i]), rows[name]["source"], rows[name]["split"])
            for i, name in enumerate(ids)
            if name in rows
        ]

    def read(self, start: int, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns pcm [frames * HOP] float32, mel [frames, 80] float32, f0 [frames] float32."""
        pcm = self.pcm[start * HOP : (start + frames) * HOP].astype(np.float32) / 32768.0
        mel = self.mel[start : start + frames].astype(np.float32)
        return pcm, mel, bridge_gaps(self.f0[start : start + frames].astype(np.float32))


def bridge_gaps(f0_hz: np.ndarray, longest: int = 4) -> np.ndarray:
    """Interpolate unvoiced gaps of a few frames inside one pitch contour: tracker dropouts."""
    voiced = np.flatnonzero(f0_hz > 0)
    fixed = f0_hz.copy()
    for left, right in zip(voiced[:-1], voiced[1:], strict=True):
        ratio = f0_hz[right] / f0_hz[left]
        if 1 < right - left <= longest + 1 and 0.85 < ratio < 1.18:
            fixed[left : right + 1] = np.linspace(f0_hz[left], f0_hz[right], right - left + 1)
    return fixed


def blur(
    mel: np.ndarray, f0_hz: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Make true frames look predicted: smeared in time and frequency, noisy, pitch in few points."""
    if rng.random() < 0.8:
        for axis, most in ((0, 3), (1, 2)):
            for _ in range(int(rng.integers(0, most))):
                padded = np.pad(mel, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
                low, high = (
                    np.take(padded, range(mel.shape[axis]), axis),
                    np.take(padded, range(2, mel.shape[axis] + 2), axis),
                )
                mel = 0.25 * low + 0.5 * mel + 0.25 * high
        mel = mel + rng.normal(0.0, rng.uniform(0.0, 0.15), mel.shape)
        mel = mel + rng.normal(0.0, 0.15, (1, mel.shape[1])) * rng.random()
    if rng.random() < 0.3:
        knots = np.unique(np.append(np.cumsum(rng.integers(3, 8, len(f0_hz) // 3)), 0))
        knots = np.append(knots[knots < len(f0_hz) - 1], len(f0_hz) - 1)
        heard = (
            np.interp(np.arange(len(f0_hz)), np.flatnonzero(f0_hz > 0), f0_hz[f0_hz > 0])
            if (f0_hz > 0).any()
            else f0_hz
        )
        f0_hz = np.where(f0_hz > 0, np.interp(np.arange(len(f0_hz)), knots, heard[knots]), 0.0)
    return mel.astype(np.float32), f0_hz.astype(np.float32)


def excite(f0_hz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random draw of the excitation of frames 0 ... T - 2. Returns [4, N] float32."""
    pitch = pitch_track(f0_hz[1:], float(f0_hz[0]))
    pulses, angle, _ = pulse_train(pitch, float(rng.uniform(0.0, 2.0 * np.pi)))
    noise = rng.standard_normal(len(pulses))
    rows = np.stack([pulses, noise, np.cos(angle), np.sin(angle)])
    kept = len(pulses) - HOP + SEGMENT + SUBHOP
    return np.pad(rows, ((0, 0), (LEAD, 0)))[:, :kept].astype(np.float32)


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


class Batches:
    """Random training segments of the train split, by source share."""

    def __init__(self, cache: FeatureCache, rng: np.random.Generator) -> None:
        self.cache, self.rng = cache, rng
        usable = [c for c in cache.clips if c.split == "train" and c.frames > SEGMENT_FRAMES + 2]
        self.by_source = {s: [c for c in usable if c.source == s] for s in SOURCE_SHARES}
        self.sources = [s for s, clips in self.by_source.items() if clips]
        if not self.sources:
            raise SottovoceError(
                "No training clips in the cache: build it from a manifest with split=train rows."
            )
        shares = np.array([SOURCE_SHARES[s] for s in self.sources])
        self.shares = shares / shares.sum()
        self.weights = {
            s: np.array([c.frames for c in self.by_source[s]], float) for s in self.sources
        }

    def draw(
        self, device: torch.device, batch: int = BATCH
    ) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Returns pcm [B, N], mel [B, T, 80], f0 [B, T] and two excitation draws [B, 4, M]."""
        pcms, mels, f0s, ones, twos = [], [], [], [], []
        while len(pcms) < batch:
            source = self.rng.choice(self.sources, p=self.shares)
            weight = self.weights[source]
            clip = self.by_source[source][self.rng.choice(len(weight), p=weight / weight.sum())]
            start = clip.start_frame + int(self.rng.integers(0, clip.frames - SEGMENT_FRAMES))
            pcm, mel, f0 = self.cache.read(start, SEGMENT_FRAMES)
            if mel.mean() < -9.0:
                continue
            gain = float(self.rng.uniform(-6.0, 6.0)) * np.log(10.0) / 20.0
            pcm, mel = pcm * np.exp(gain), mel + gain
            if self.rng.random() < 0.5:
                mel, f0 = blur(mel, f0, self.rng)
            pcms.append(pcm[: (SEGMENT_FRAMES - 1) * HOP])
            mels.append(mel)
            f0s.append(f0)
            ones.append(excite(f0, self.rng))
            twos.append(excite(f0, self.rng))
        stacked = [
            torch.from_numpy(np.stack(x).astype(np.float32)).to(device)
            for x in (pcms, mels, f0s, ones, twos)
        ]
        return stacked[0], stacked[1], stacked[2], stacked[3:]


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


def train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    device = torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu")
        if arguments.device == "auto"
        else arguments.device
    )
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    cache = FeatureCache(Path(arguments.data), Path(arguments.cache))
    model = SourceFilter().to(device)
    averaged = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-3
    )
    step, spent_s = 0, 0.0
    last = out / "last.pt"
    if last.exists():
        saved = torch.load(last, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        averaged.load_state_dict(saved["averaged"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent_s = saved["step"], saved["spent_s"]
    elif (MODELS_DIR / "vocoder.safetensors").exists():
        tensors, metadata = load_weights("vocoder")
        model.load_state_dict(tensors)
        averaged.load_state_dict(tensors)
        step, spent_s = int(metadata.get("steps", 0)), 60.0 * float(metadata.get("minutes", 0.0))
    batches = Batches(cache, np.random.default_rng([arguments.seed, step]))
    begun = time.monotonic()
    before_s, budget_s, next_report_s, running = spent_s, 60.0 * arguments.minutes, 0.0, []

    def report() -> tuple[float, float]:
        scores = validate(averaged, cache, device)
        state = {
            "model": model.state_dict(), "averaged": averaged.state_dict(),
            "optimiser": optimiser.state_dict(), "step": step, "spent_s": spent_s,
        }  # fmt: skip
        torch.save(state, out / "last.partial")
        (out / "last.partial").replace(last)
        train_loss = float(np.mean(running)) if running else float("nan")
        with (out / "curve.csv").open("a") as file:
            file.write(f"{step},{spent_s:.0f},{train_loss:.4f},{scores[0]:.4f},{scores[1]:.4f}\n")
        print(
            f"step {step} {spent_s / 60:.1f} min train {train_loss:.4f} "
            f"dev energy {scores[0]:.4f} stft {scores[1]:.4f}", flush=True,
        )  # fmt: skip
        running.clear()
        return scores

    while (elapsed_s := time.monotonic() - begun) < budget_s:
        left = 1.0 - elapsed_s / budget_s
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 100, max(0.02, left / 0.3))
        pcm, mel, f0, draws = batches.draw(device)
        first, second = synthesise(model, mel, f0, draws)
        heard = slice(WARM_FRAMES * HOP, -2 * HOP)
        loss, plain = energy_distance(pcm[:, heard], first[:, heard], second[:, heard])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        if torch.isfinite(norm):
            optimiser.step()
        step += 1
        keep = min(EMA, 1.0 - 1.0 / (step / 4 + 1))
        with torch.no_grad():
            for slow, fast in zip(averaged.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - keep)
        running.append(float(loss))
        spent_s = before_s + time.monotonic() - begun
        if spent_s - before_s >= next_report_s:
            report()
            next_report_s = spent_s - before_s + 120.0
    scores = report()
    if arguments.install:
        print(f"installed {install(averaged, step, spent_s / 60, scores)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", required=True, help="folder with pcm.npy, mel.npy, f0.npy, …")
    parser.add_argument("--out", required=True, help="run folder: checkpoint and curve")
    parser.add_argument("--minutes", type=float, required=True)
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
