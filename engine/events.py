"""The frozen values the whole program speaks in: phoneme events and voice descriptors.

Everything here is plain, immutable and cheap to copy. Quantised fields hold the integers that
travel on the wire; properties give them back in physical units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.phonemes import PHONEMES, SILENCE

TICK_MS = 10
MAX_EVENT_TICKS = 20  # longer phonemes and pauses are split
MAX_LAYERS = 4  # articulation layers an event may carry

PITCH_REFERENCE_HZ = 55.0  # A1, index 0 on the semitone scale
PITCH_LEVELS = 40  # 55 Hz ... 523 Hz in semitones
ENERGY_LEVELS = 24
ENERGY_STEP_DB = 3.0
ENERGY_FLOOR_DB = -72.0  # RMS re full scale at index 0
CODE_LEVELS = 256


def quantise_pitch(f0_hz: float) -> int:
    """f0 in Hz → nearest semitone index, clipped to the scale."""
    semitone = 12.0 * np.log2(max(f0_hz, 1.0) / PITCH_REFERENCE_HZ)
    return int(np.clip(round(float(semitone)), 0, PITCH_LEVELS - 1))


def pitch_hz(index: float) -> float:
    """Semitone index (may be fractional) → f0 in Hz."""
    return float(PITCH_REFERENCE_HZ * 2.0 ** (index / 12.0))


def quantise_energy(rms: float) -> int:
    """RMS of the event's samples (full scale = 1) → energy index in 3 dB steps."""
    level_db = 20.0 * np.log10(max(rms, 1e-6))
    return int(np.clip(round((level_db - ENERGY_FLOOR_DB) / ENERGY_STEP_DB), 0, ENERGY_LEVELS - 1))


@dataclass(frozen=True, slots=True)
class PhonemeEvent:
    """One phoneme, or a piece of at most 200 ms of one, as it was spoken."""

    index: int
    """Number of the event in the call, from 0, without holes. Its low 16 bits travel."""
    phoneme: int
    """Id in ``engine.phonemes.PHONEMES``; 0 is silence."""
    start_tick: int
    """Start in 10 ms ticks since the sender's first sample. A hole between the end of one event
    and the start of the next is silence that nobody sent."""
    duration_ticks: int
    """1 ... MAX_EVENT_TICKS."""
    voiced: bool = False
    """Whether the pitch points mean anything."""
    pitch: tuple[int, int] = (0, 0)
    """Semitone indices at one and three quarters of the event (0 ... PITCH_LEVELS - 1)."""
    energy: int = 0
    """Level in ENERGY_STEP_DB steps above ENERGY_FLOOR_DB."""
    codes: tuple[int, ...] = ()
    """0 ... MAX_LAYERS articulation codes, coarse to fine, each 0 ... 255."""

    @property
    def end_tick(self) -> int:
        return self.start_tick + self.duration_ticks

    @property
    def is_silence(self) -> bool:
        return self.phoneme == SILENCE

    @property
    def ipa(self) -> str:
        return PHONEMES[self.phoneme]

    @property
    def energy_db(self) -> float:
        return ENERGY_FLOOR_DB + ENERGY_STEP_DB * self.energy


DESCRIPTOR_STAGES = 40  # residual quantiser stages, one byte each
DESCRIPTOR_MAX_BYTES = 48


@dataclass(frozen=True, slots=True)
class VoiceDescriptor:
    """Who is speaking, in at most 48 bytes. Progressive: fewer stages are a coarser voice.

    Biometric data: keep it in memory, never log it, drop it at hang-up.
    """

    version: int
    """Rises by one with every update in a call (0 ... 255, wraps)."""
    f0_mean: int
    """Mean pitch, quarter semitones above PITCH_REFERENCE_HZ, 0 ... 255."""
    stages: tuple[int, ...]
    """Residual quantiser indices (0 ... 255), coarse to fine, 1 ... DESCRIPTOR_STAGES of them."""

    @property
    def f0_mean_hz(self) -> float:
        return pitch_hz(self.f0_mean / 4.0)

    def to_bytes(self) -> bytes:
        return bytes((self.version & 0xFF, self.f0_mean, *self.stages))

    @classmethod
    def from_bytes(cls, data: bytes) -> VoiceDescriptor | None:
        """Parse what ``to_bytes`` wrote; None when the length cannot be one."""
        if not 3 <= len(data) <= min(DESCRIPTOR_MAX_BYTES, 2 + DESCRIPTOR_STAGES):
            return None
        return cls(data[0], data[1], tuple(data[2:]))


Pcm = NDArray[np.float32]
"""Mono PCM, 16 kHz, float32 in [-1, 1], shape [N]."""
