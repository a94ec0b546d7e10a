"""Who is speaking: a d-vector and a spectral balance, quantised progressively into a descriptor.

Speech goes in; at most 48 bytes come out, which the far end turns back into the vector that drives
the synthesizer. Biometric data: it stays in memory, is never logged, and goes at hang-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dvector import DVECTOR_DIM, active_ticks, embed
from engine.errors import SottovoceError
from engine.events import CODE_LEVELS, DESCRIPTOR_STAGES, PITCH_REFERENCE_HZ, VoiceDescriptor
from engine.mel import HOP, N_MELS, SAMPLE_RATE_HZ, log_mel
from engine.prosody import ProsodyTracker
from engine.weights import WeightsError, load_weights

F32 = NDArray[np.float32]
BALANCE_DIM = 24
VOICE_DIM = DVECTOR_DIM + BALANCE_DIM
"""A voice is a unit d-vector [256] followed by spectral balance [24], whitened."""
BALANCE_STAGES = 12
DVECTOR_STAGES = DESCRIPTOR_STAGES - BALANCE_STAGES
WINDOW_TICKS = 160  # Resemblyzer's window: 1.6 s of speech
FIRST_TICKS = 100  # speech before the first descriptor: a voice after one second
UPDATE_TICKS = (100, 200, 400, 800, 1600, 3000)  # speech heard when a better one is worth sending
BLOCK_TICKS = 50  # speech is looked at in half seconds: short enough to never stall the encoder
PITCH_SECONDS = 12  # enough speech for a mean pitch
MARGIN_TICKS = 2  # log-mel needs 256 samples on each side of a block


def spectral_balance(mel: F32, power: F32) -> F32:
    """Mean log-mel of the speech with its level taken out. mel: [T, 80], power: [T] → [80]."""
    on = active_ticks(power)
    if not on.any():
        return np.zeros(N_MELS, np.float32)
    mean = mel[on].mean(axis=0, dtype=np.float64)
    return np.asarray(mean - mean.mean(), np.float32)


@dataclass(frozen=True)
class VoiceModel:
    """The descriptor's quantiser: residual codebooks for d-vector and spectral balance."""

    balance_mean: Tensor
    """[80]"""
    balance_basis: Tensor
    """[BALANCE_DIM, 80]: whitens the balance."""
    mean_dvector: Tensor
    """[256] unit: the voice of nobody in particular."""
    origin: Tensor
    """[256] where the d-vector stages start."""
    dvector_books: Tensor
    """[DVECTOR_STAGES, 256, 256]"""
    balance_books: Tensor
    """[BALANCE_STAGES, 256, BALANCE_DIM]"""

    def voice(self, dvector: F32, balance: F32) -> F32:
        """d-vector [256] and spectral balance [80] → voice [VOICE_DIM], unquantised."""
        white = (torch.from_numpy(balance) - self.balance_mean) @ self.balance_basis.t()
        return np.concatenate([dvector, white.clamp(-4, 4).numpy()]).astype(np.float32)

    def quantise(self, voice: F32) -> tuple[int, ...]:
        """voice [VOICE_DIM] → DESCRIPTOR_STAGES indices, coarse to fine."""
        whole = torch.from_numpy(np.asarray(voice, np.float32))
        dvector = iter(_greedy(whole[:DVECTOR_DIM] - self.origin, self.dvector_books))
        balance = iter(_greedy(whole[DVECTOR_DIM:], self.balance_books))
        return tuple(next(balance if is_balance(k) else dvector) for k in range(DESCRIPTOR_STAGES))

    def dequantise(self, stages: tuple[int, ...]) -> F32:
        """Indices of the first stages → voice [VOICE_DIM]; none give the mean voice."""
        if not stages:
            return np.concatenate([self.mean_dvector.numpy(), np.zeros(BALANCE_DIM, np.float32)])
        dvector, balance = self.origin.clone(), torch.zeros(BALANCE_DIM)
        used = [0, 0]
        for k, index in enumerate(stages[:DESCRIPTOR_STAGES]):
            second = is_balance(k)
            stage, used[second] = used[second], used[second] + 1
            if second:
                balance += self.balance_books[stage, index]
            else:
                dvector += self.dvector_books[stage, index]
        dvector = dvector.clamp(min=0)  # d-vectors come out of a ReLU
        dvector /= dvector.norm().clamp(min=1e-6)
        return np.asarray(torch.cat([dvector, balance]).numpy(), np.float32)


def is_balance(stage: int) -> bool:
    """Whether descriptor stage ``stage`` refines the balance: every second one until all are used."""
    return stage % 2 == 1 and stage < 2 * BALANCE_STAGES


def _greedy(rest: Tensor, books: Tensor) -> list[int]:
    indices = []
    for book in books:
        index = int(((book * book).sum(1) - 2 * book @ rest).argmin())
        indices.append(index)
        rest = rest - book[index]
    return indices


_SHAPES = {
    "balance_mean": (N_MELS,), "balance_basis": (BALANCE_DIM, N_MELS),
    "mean_dvector": (DVECTOR_DIM,), "origin": (DVECTOR_DIM,),
    "dvector_books": (DVECTOR_STAGES, CODE_LEVELS, DVECTOR_DIM),
    "balance_books": (BALANCE_STAGES, CODE_LEVELS, BALANCE_DIM),
}  # fmt: skip


def build_model(tensors: dict[str, Tensor]) -> VoiceModel:
    """Tensors of ``voice.safetensors`` → model. Raises WeightsError on other names or shapes."""
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    if shapes != _SHAPES:
        raise WeightsError("Model file voice.safetensors does not fit: reinstall Sottovoce.")
    return VoiceModel(**{key: value.float() for key, value in tensors.items()})


@lru_cache(maxsize=1)
def load_model() -> VoiceModel:
    """The shipped voice model. Raises WeightsError."""
    return build_model(load_weights("voice")[0])


def descriptor_vector(descriptor: VoiceDescriptor | None) -> F32:
    """Descriptor → voice [VOICE_DIM]; None gives the mean voice."""
    return load_model().dequantise(() if descriptor is None else descriptor.stages)


def interpolate(a: F32, b: F32, t: float) -> F32:
    """From voice ``a`` (t = 0) to ``b`` (t = 1): along the sphere for the d-vector, straight for
    the balance. a, b: [VOICE_DIM] → [VOICE_DIM]."""
    first, second = a[:DVECTOR_DIM].astype(np.float64), b[:DVECTOR_DIM].astype(np.float64)
    angle = float(np.arccos(np.clip(first @ second, -1.0, 1.0)))
    if angle < 1e-4:
        mixed = (1 - t) * first + t * second
    else:
        mixed = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * second) / np.sin(angle)
    mixed /= max(float(np.linalg.norm(mixed)), 1e-6)
    balance = (1 - t) * a[DVECTOR_DIM:] + t * b[DVECTOR_DIM:]
    return np.concatenate([mixed, balance]).astype(np.float32)


def blend(a: VoiceDescriptor, b: VoiceDescriptor, t: float) -> VoiceDescriptor:
    """A descriptor between two: ``interpolate`` of the voices, and of the mean pitches."""
    t = min(1.0, max(0.0, t))
    if t in (0.0, 1.0):
        return (a, b)[int(t)]
    voice = interpolate(descriptor_vector(a), descriptor_vector(b), t)
    pitch = round((1 - t) * a.f0_mean + t * b.f0_mean)
    return VoiceDescriptor(a.version, pitch, load_model().quantise(voice))


class VoiceEncoder:
    """Listens to the talker and describes the voice better and better.

    The d-vector is the mean over 1.6 s windows, embedded one at a time as the speech arrives, so
    no push ever takes long; after UPDATE_TICKS[-1] ticks of speech it stops listening.
    """

    def __init__(self, model: VoiceModel | None = None) -> None:
        self._model = load_model() if model is None else model
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self.f0_mean_hz: float | None = None
        """Mean pitch for the next descriptor; whoever tracks pitch sets it."""
        self._tail = np.zeros(MARGIN_TICKS * HOP, np.float32)
        self._levels = np.zeros(0, np.float32)  # tick power of the last 10 s, sets the gate
        self._speech = np.zeros(0, np.float32)  # active samples not yet embedded
        self._windows: list[F32] = []
        self._mel_sum = np.zeros(N_MELS)
        self._ticks = 0
        self._updates = 0

    def push(self, pcm: F32) -> VoiceDescriptor | None:
        """pcm: [N] 16 kHz, any length. Returns a new descriptor when it got better, else None."""
        if self._updates >= len(UPDATE_TICKS):
            return None
        self._tail = np.concatenate([self._tail, np.nan_to_num(np.asarray(pcm, np.float32))])
        better: VoiceDescriptor | None = None
        while len(self._tail) >= (BLOCK_TICKS + 2 * MARGIN_TICKS) * HOP:
            self._hear(self._tail[: (BLOCK_TICKS + 2 * MARGIN_TICKS) * HOP])
            self._tail = self._tail[BLOCK_TICKS * HOP :]
            if self._updates < len(UPDATE_TICKS) and self._ticks >= UPDATE_TICKS[self._updates]:
                self._updates += sum(1 for t in UPDATE_TICKS[self._updates :] if self._ticks >= t)
                better = self._descriptor()
        return better

    def _hear(self, block: F32) -> None:
        """One block with its margins: gate it, add to the mean log-mel, embed full windows."""
        inner = block[MARGIN_TICKS * HOP : -MARGIN_TICKS * HOP]
        power = np.mean(inner.reshape(BLOCK_TICKS, HOP) ** 2, axis=1)
        self._levels = np.concatenate([self._levels, power])[-1000:]
        on = active_ticks(self._levels)[-BLOCK_TICKS:]
        if not on.any():
            return
        self._mel_sum += log_mel(block)[MARGIN_TICKS:-MARGIN_TICKS][on].sum(axis=0)
        self._ticks += int(on.sum())
        self._speech = np.concatenate([self._speech, inner.reshape(BLOCK_TICKS, HOP)[on].ravel()])
        while len(self._speech) >= WINDOW_TICKS * HOP:
            self._windows.append(embed(self._speech[: WINDOW_TICKS * HOP], rate=0.7))
            self._speech = self._speech[WINDOW_TICKS * HOP :]

    def _descriptor(self) -> VoiceDescriptor:
        windows = self._windows or [embed(self._speech, rate=0.7)]
        mean = np.mean(windows, axis=0)
        balance = self._mel_sum / max(self._ticks, 1)
        voice = self._model.voice(
            (mean / max(float(np.linalg.norm(mean)), 1e-6)).astype(np.float32),
            (balance - balance.mean()).astype(np.float32),
        )
        return self._pack(voice, self._updates)

    def _pack(self, voice: F32, version: int) -> VoiceDescriptor:
        pitch = self.f0_mean_hz or 2 * PITCH_REFERENCE_HZ
        quarter = int(np.clip(round(48.0 * np.log2(pitch / PITCH_REFERENCE_HZ)), 0, 255))
        return VoiceDescriptor(version & 0xFF, quarter, self._model.quantise(voice))

    def describe(self, pcm: F32) -> VoiceDescriptor:
        """The whole utterance at once, pcm: [N]. Raises SottovoceError when nobody speaks in it."""
        pcm = np.nan_to_num(np.asarray(pcm, np.float32)[: len(pcm) // HOP * HOP])
        power = np.mean(pcm.reshape(-1, HOP) ** 2, axis=1)
        if not active_ticks(power).any():
            raise SottovoceError("There is no speech in this recording to take a voice from.")
        if self.f0_mean_hz is None:
            tracker = ProsodyTracker()
            tracker.push(pcm[: PITCH_SECONDS * SAMPLE_RATE_HZ])
            tracker.flush()
            self.f0_mean_hz = tracker.f0_mean_hz()
        return self._pack(self._model.voice(embed(pcm), spectral_balance(log_mel(pcm), power)), 1)
