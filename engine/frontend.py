"""The recogniser's ears: Whisper tiny.en's encoder, listening to a stream.

PCM goes in, one 384-dimensional feature for every 20 ms comes out. A step of 60 ms computes the
newest 480 ms again, with 6.4 s before them kept as keys and values, and gives the three positions
whose right context has just reached 80 to 120 ms, so nothing waits longer than ``LOOKAHEAD_MS``.
The encoder's weights come from an installed package and are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from engine.whisper_encoder import WhisperEncoder
from engine.whisper_weights import model_path, read_encoder

FRAME_MS: Final = 20
FRAME_SAMPLES: Final = FRAME_MS * SAMPLE_RATE_HZ // 1000
STEP_FRAMES: Final = 3
STEP_SAMPLES: Final = STEP_FRAMES * FRAME_SAMPLES
GUARD_FRAMES: Final = 4  # newest positions, seen with too little right context
LOOKAHEAD_MS: Final = (GUARD_FRAMES + STEP_FRAMES - 1) * FRAME_MS
FEATURE_DIM: Final = 384

BLOCK_FRAMES: Final = 24
"""Positions computed at every step; older ones had 440 ms of future when they were last."""
PAST_FRAMES: Final = 320
MEMORY_FRAMES: Final = 800
"""When they are full, counting starts anew; recordings to train on are about that long."""

KIND: Final = f"stream-{STEP_FRAMES}-{GUARD_FRAMES}-{BLOCK_FRAMES}-{PAST_FRAMES}"
"""Features of one kind are no use to a network that learned from another."""

_N_FFT: Final = 400
_HOP: Final = 160
_N_MELS: Final = 80
_MEL_FRAMES: Final = 2 * (PAST_FRAMES + BLOCK_FRAMES) + 2
_LOUDEST_OF: Final = 192
_NOTHING: Final = -10.0  # log10 power of digital silence


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    return np.where(
        hz < 1000.0, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1e-9) / 1000) * 27 / np.log(6.4)
    )


@lru_cache(maxsize=1)
def _filters() -> NDArray[np.float32]:
    """[80, 201] Slaney-normalised triangles from 0 to 8 kHz, as Whisper was trained with."""
    mels = np.linspace(0.0, float(_slaney_mel(np.array(8000.0))), _N_MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.linspace(0, SAMPLE_RATE_HZ / 2, _N_FFT // 2 + 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangle = np.maximum(
        0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    )
    return np.asarray(triangle * (2.0 / (upper - lower)), np.float32)


@lru_cache(maxsize=1)
def _hann() -> NDArray[np.float32]:
    return np.hanning(_N_FFT + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=1)
def _encoder() -> WhisperEncoder:
    """The shared encoder. Raises SottovoceError when its package is missing or damaged."""
    return WhisperEncoder(read_encoder(model_path()))


def _log10_mel(pcm: Pcm) -> NDArray[np.float32]:
    """[N_FFT + (T - 1) * HOP] samples → [80, T] log10 mel power."""
    pieces = np.lib.stride_tricks.sliding_window_view(pcm, _N_FFT)[::_HOP]
    power = np.abs(np.fft.rfft(pieces * _hann(), axis=1)).astype(np.float32) ** 2
    return np.asarray(np.log10(np.maximum(_filters() @ power.T, 1e-10)), np.float32)


class Frontend:
    """Streaming features of one talker."""

    def __init__(self) -> None:
        self._encoder = _encoder()
        self._pending = np.zeros(0, np.float32)
        self._tail = np.zeros(_N_FFT // 2 + _HOP, np.float32)  # before the first sample to come
        self._mel = np.full((_N_MELS, _MEL_FRAMES), _NOTHING, np.float32)
        self._memory = self._encoder.memory(MEMORY_FRAMES)
        self._quiet: list[bool] = []  # of the frames in ``_pending``
        self._quiet_frames = 0  # in a row, up to now
        self._newest = np.zeros((STEP_FRAMES, FEATURE_DIM), np.float32)

    def push(self, pcm: Pcm, quiet: Sequence[bool] = ()) -> NDArray[np.float32]:
        """PCM [N] → features [STEP_FRAMES * steps completed, FEATURE_DIM] float32.

        The first one belongs to frame ``-GUARD_FRAMES``, before the first sample. ``quiet`` says
        of each frame that becomes whole whether it is background: once all of a block is, nothing
        is computed, the newest features stand, and such a pause counts for no longer than a block.
        """
        self._quiet += quiet
        self._pending = np.concatenate([self._pending, np.asarray(pcm, np.float32)])
        features = []
        while len(self._pending) >= STEP_SAMPLES:
            step, self._pending = self._pending[:STEP_SAMPLES], self._pending[STEP_SAMPLES:]
            self._hear(step)
            for _ in range(min(STEP_FRAMES, len(self._quiet))):
                self._quiet_frames = self._quiet_frames + 1 if self._quiet.pop(0) else 0
            if self._quiet_frames < BLOCK_FRAMES:
                self._newest = self._step()
            features.append(self._newest)
        return np.concatenate(features) if features else np.zeros((0, FEATURE_DIM), np.float32)

    def _hear(self, step: Pcm) -> None:
        """New frames of log-mel; the newest before them now has all its samples."""
        known = np.concatenate([self._tail, step])
        mel = _log10_mel(np.pad(known, (0, _N_FFT // 2 - _HOP)))
        self._tail = known[len(step) :]
        self._mel = np.concatenate([self._mel[:, 2 * STEP_FRAMES : -1], mel], axis=1)

    def _step(self) -> NDArray[np.float32]:
        frames, new = BLOCK_FRAMES, STEP_FRAMES
        if self._memory.settled + frames > self._memory.room:
            self._memory.settled, frames, new = 0, PAST_FRAMES + frames, PAST_FRAMES + new
        loudest = self._mel[:, -_LOUDEST_OF:].max()
        mel = (np.maximum(self._mel[:, -2 * frames - 2 :], loudest - 8.0) + 4.0) / 4.0
        last = frames - GUARD_FRAMES
        wanted = slice(last - STEP_FRAMES, last)
        features = self._encoder.encode(torch.from_numpy(mel), self._memory, PAST_FRAMES, wanted)
        self._memory.settled += new
        return np.asarray(features.numpy())


def features_of(pcm: Pcm) -> NDArray[np.float32]:
    """A whole recording [N] → its features [ceil(N / 320), FEATURE_DIM], as a stream gives them."""
    beyond = np.zeros(GUARD_FRAMES * FRAME_SAMPLES + STEP_SAMPLES, np.float32)
    features = Frontend().push(np.concatenate([np.asarray(pcm, np.float32), beyond]))
    return features[GUARD_FRAMES:][: -(-len(pcm) // FRAME_SAMPLES)]
