"""The signal model of the vocoder: a pulse train and white noise, each shaped by learned filters.

Acoustic frames go in, filter parameters and then PCM come out. A small causal network corrects
spectral envelopes read off the log-mel, so that speech is intelligible from the first step of
training; everything after it is fixed signal processing, differentiable and without state of its
own. After Engel et al. (DDSP, 2020) and Liu et al. (neural homomorphic vocoder, 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.mel import F_MAX_HZ, HOP, LOG_FLOOR, N_MELS, SAMPLE_RATE_HZ

SUBFRAMES = 2  # filters per 10 ms frame: bursts need 5 ms
SUBHOP = HOP // SUBFRAMES  # samples
SEGMENT = 2 * SUBHOP  # samples of excitation under one Hann window
LEAD = SEGMENT // 2 + SUBHOP // 2  # samples from a frame's first segment to the frame
FFT = 640  # samples: a segment and 30 ms of filter response
BINS = FFT // 2 + 1
BLOCKS = FFT // SUBHOP  # sub-hops one filtered segment covers
PHASE_BANDS = 24
CHANNELS = 192
DILATIONS = (1, 2, 1, 4, 1, 2)
N_FEATURES = N_MELS + 2
LOOKAHEAD = 1  # frames the network sees ahead of the one it describes
TOP_HZ = 7_600.0  # harmonics fade out below the Nyquist frequency
SILENT_MEL = float(np.log(LOG_FLOOR))

NOISE_READING = 0.096  # mean magnitude engine.mel reads from white noise of unit variance
LOBE_HZ = 62.5  # analysis window's main lobe: a unit harmonic reads LOBE_HZ / f0 on average


def _hat_basis(centres_hz: np.ndarray) -> np.ndarray:
    """Linear interpolation from values at ``centres_hz`` [K] to BINS bins. Returns [K, BINS]."""
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, BINS)
    return np.stack([np.interp(bins, centres_hz, row) for row in np.eye(len(centres_hz))])


def _minimum_phase(log_magnitude: np.ndarray) -> np.ndarray:
    """Log magnitudes [K, BINS] → phases of the minimum-phase filters, by folding the cepstrum."""
    cepstrum = np.fft.irfft(log_magnitude, FFT, axis=1)
    fold = np.zeros(FFT)
    fold[0] = fold[FFT // 2] = 1.0
    fold[1 : FFT // 2] = 2.0
    return np.asarray(np.fft.rfft(cepstrum * fold, axis=1).imag)


def mel_centres_hz() -> np.ndarray:
    """Centre frequencies of engine.mel's bands. Returns [N_MELS] float64."""
    top = 2595.0 * np.log10(1.0 + F_MAX_HZ / 700.0)
    points = np.linspace(0.0, top, N_MELS + 2)[1:-1]
    return np.asarray(700.0 * (10.0 ** (points / 2595.0) - 1.0))


class CausalTaps(nn.Module):
    """A causal convolution of three taps over [B, T, C], with its past handed in and out."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.span = 2 * dilation
        self.linear = nn.Linear(3 * channels_in, channels_out)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, T, C], past: [B, span, C]. Returns [B, T, C'] and the next past."""
        frames, step = x.shape[1], self.dilation
        joined = torch.cat([past, x], dim=1)
        taps = [joined[:, i * step : i * step + frames] for i in range(3)]
        out: Tensor = self.linear(torch.cat(taps, dim=2))
        return out, joined[:, joined.shape[1] - self.span :]


@dataclass(frozen=True, slots=True)
class FilterParameters:
    """What the network says about S sub-frames; the bands are engine.mel's."""

    harmonic: Tensor
    """[B, S, N_MELS] natural-log amplitude of harmonics of unit amplitude."""
    noise: Tensor
    """[B, S, N_MELS] natural-log amplitude of white noise of unit variance."""
    phase: Tensor
    """[B, S, PHASE_BANDS] radians on top of minimum phase, harmonics only."""
    modulation: Tensor
    """[B, S, 2] cosine and sine depth of the noise's envelope over a pitch period."""


class SourceFilter(nn.Module):
    """Acoustic frames → filter parameters → PCM."""

    magnitude_basis: Tensor
    minimum_phase_basis: Tensor
    phase_basis: Tensor
    window: Tensor
    noise_tilt: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.entry = CausalTaps(N_FEATURES, CHANNELS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.taps = nn.ModuleList(CausalTaps(CHANNELS, CHANNELS, d) for d in DILATIONS)
        self.exit_norm = nn.LayerNorm(CHANNELS)
        self.sizes = (N_MELS, N_MELS, PHASE_BANDS, 2)
        self.head = nn.Linear(CHANNELS, SUBFRAMES * sum(self.sizes))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        hats = _hat_basis(mel_centres_hz())
        self._constant("magnitude_basis", hats)
        self._constant("minimum_phase_basis", _minimum_phase(hats))
        self._constant("phase_basis", _hat_basis(np.geomspace(80.0, 7_500.0, PHASE_BANDS)))
        self._constant("window", np.hanning(SEGMENT + 1)[:-1])
        # Where voiced, noise starts 5 (low) to 1 (high) nepers under the harmonics.
        self._constant("noise_tilt", -5.0 + 4.0 * np.linspace(0.0, 1.0, N_MELS))

    def _constant(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def initial_past(self, batch: int = 1) -> list[Tensor]:
        """The zero history of every convolution."""
        like = self.head.weight
        entry = like.new_zeros(batch, self.entry.span, N_FEATURES)
        return [entry, *(like.new_zeros(batch, 2 * d, CHANNELS) for d in DILATIONS)]

    def forward(
        self, mel: Tensor, f0_hz: Tensor, past: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """mel: [B, T, N_MELS], f0_hz: [B, T] → raw parameters [B, T, SUBFRAMES * sum(sizes)].

        Row t describes frame t - LOOKAHEAD: the caller delays mel and f0 accordingly.
        """
        voiced = (f0_hz > 0).to(mel.dtype)
        pitch = torch.log2(f0_hz.clamp_min(40.0) / 150.0) * voiced
        features = torch.cat([(mel + 5.0) / 2.5, pitch[..., None], voiced[..., None]], dim=2)
        x, kept = self.entry(features, past[0])
        following = [kept]
        for norm, taps, before in zip(self.norms, self.taps, past[1:], strict=True):
            change, kept = taps(norm(x), before)
            x = x + functional.gelu(change)
            following.append(kept)
        return self.head(self.exit_norm(x)), following

    def parameters_of(self, raw: Tensor, mel: Tensor, f0_hz: Tensor) -> FilterParameters:
        """Add the network's corrections to the envelopes that mel and f0 suggest.

        raw: [B, T, ...], mel: [B, T, N_MELS] and f0_hz: [B, T] of the same frames.
        """
        batch, frames = f0_hz.shape
        joined = raw.view(batch, frames, SUBFRAMES, sum(self.sizes))
        parts = torch.split(joined, list(self.sizes), dim=3)
        voiced = (f0_hz > 0).to(mel.dtype)[:, :, None, None]
        level = mel[:, :, None, :]
        spread = torch.log(f0_hz.clamp_min(LOBE_HZ) / LOBE_HZ)[:, :, None, None]
        harmonic = level + spread + parts[0]
        noise = level - float(np.log(NOISE_READING)) + voiced * self.noise_tilt + parts[1]
        # e^-30 is silence: no harmonics where there is no pitch.
        harmonic = harmonic * voiced - 30.0 * (1.0 - voiced)
        depth = 0.7 * torch.tanh(parts[3]) * voiced
        flat = batch, frames * SUBFRAMES
        return FilterParameters(
            harmonic.reshape(*flat, N_MELS),
            noise.reshape(*flat, N_MELS),
            parts[2].reshape(*flat, PHASE_BANDS),
            depth.reshape(*flat, 2),
        )

    def render(self, parameters: FilterParameters, excitation: Tensor) -> Tensor:
        """Filter the excitation. Returns [B, S, FFT]: what each segment adds from its start on.

        excitation: [B, 4, S * SUBHOP + SEGMENT - SUBHOP]: pulses, noise, cosine and sine of the
        pitch phase, the first sample being that of the first segment.
        """
        segments = excitation.unfold(2, SEGMENT, SUBHOP)  # [B, 4, S, SEGMENT]
        pulses, noise, cosine, sine = segments.unbind(1)
        breath = (
            1.0 + parameters.modulation[..., :1] * cosine + parameters.modulation[..., 1:] * sine
        )
        pulse_spectrum = torch.fft.rfft(pulses * self.window, FFT)
        noise_spectrum = torch.fft.rfft(noise * breath * self.window, FFT)
        angle = parameters.harmonic @ self.minimum_phase_basis + parameters.phase @ self.phase_basis
        shaped = pulse_spectrum * torch.polar(
            torch.exp((parameters.harmonic @ self.magnitude_basis).clamp(-30.0, 4.0)), angle
        ) + noise_spectrum * torch.polar(
            torch.exp((parameters.noise @ self.magnitude_basis).clamp(-30.0, 8.0)),
            parameters.noise @ self.minimum_phase_basis,
        )
        responses: Tensor = torch.fft.irfft(shaped, FFT)
        return responses


def overlap_add(segments: Tensor) -> Tensor:
    """[B, S, FFT] at SUBHOP steps → [B, (S + BLOCKS - 1) * SUBHOP]."""
    batch, count, _ = segments.shape
    blocks = segments.view(batch, count, BLOCKS, SUBHOP)
    total = segments.new_zeros(batch, count + BLOCKS - 1, SUBHOP)
    for i in range(BLOCKS):
        total[:, i : i + count] += blocks[:, :, i]
    return total.view(batch, -1)


def pitch_track(f0_hz: np.ndarray, previous_hz: float) -> np.ndarray:
    """Frame pitch [T] → pitch per sample [(T - 1) * HOP] after the frame before it.

    Interval i runs from frame i - 1 (``previous_hz`` for i = 0) to frame i, linearly where both
    are voiced, at the voiced one's pitch where one is; 0 where none is.
    """
    before = np.concatenate([[previous_hz], f0_hz[:-1]]).astype(np.float64)
    after = f0_hz.astype(np.float64)
    start = np.where(before > 0, before, after)
    end = np.where(after > 0, after, start)
    ramp = np.arange(HOP) / HOP
    return np.asarray((start[:, None] + (end - start)[:, None] * ramp).reshape(-1))


def pulse_train(pitch_hz: np.ndarray, phase: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Band-limited pulses of unit harmonics. Returns pulses [N], phase [N] in rad, next phase.

    The highest harmonic fades in and out with its frequency, so a glide does not click.
    """
    steps = 2.0 * np.pi * pitch_hz / SAMPLE_RATE_HZ
    angle = phase + np.concatenate([[0.0], np.cumsum(steps)])
    following = float(np.mod(angle[-1], 2.0 * np.pi))
    angle = np.mod(angle[:-1], 2.0 * np.pi)
    harmonics = np.minimum(TOP_HZ / np.maximum(pitch_hz, 40.0), 190.0)
    whole = np.floor(harmonics)
    half_sine = np.sin(angle / 2.0)
    near = np.abs(half_sine) < 1e-7
    safe = np.where(near, 1.0, half_sine)
    kernel = np.where(near, whole, (np.sin((whole + 0.5) * angle) / safe - 1.0) / 2.0)
    return kernel + (harmonics - whole) * np.cos((whole + 1.0) * angle), angle, following
