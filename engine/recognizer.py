"""The streaming recogniser: PCM in, phonemes with their times out, as each one ends.

Frontend features, a small trained network and a beam search over a phoneme 4-gram, each with a
bounded delay: features see at most 120 ms ahead, the search decides within ``lag_frames`` more.
The output does not depend on how the audio was cut into pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from engine.beam import F32, BeamSettings, PhonemeBeam, Segment
from engine.events import MAX_EVENT_TICKS, Pcm
from engine.frontend import (
    FRAME_MS,
    FRAME_SAMPLES,
    GUARD_FRAMES,
    LOOKAHEAD_MS,
    STEP_FRAMES,
    STEP_SAMPLES,
    Frontend,
)
from engine.noise_floor import NoiseFloor
from engine.phoneme_committee import EightBitCommittee
from engine.phoneme_net import PhonemeCommittee, split_members
from engine.phonemes import N_PHONEMES, SILENCE
from engine.weights import WeightsError, load_weights

TICKS_PER_FRAME = FRAME_MS // 10
MAX_EVENT_FRAMES = MAX_EVENT_TICKS // TICKS_PER_FRAME
BEAM = BeamSettings(acoustic_scale=0.8, prior_scale=0.2, ngram_scale=0.6, lag_frames=3)
DELAY_MS = LOOKAHEAD_MS + BEAM.lag_frames * FRAME_MS
"""The longest wait between the end of a phoneme and its event."""
EVE_FRAMES = 3
"""Background that speech follows that soon is its onset; must not exceed GUARD_FRAMES."""
SURE_SILENCE = np.log(np.full(N_PHONEMES, 1e-4 / (N_PHONEMES - 1), np.float32))
SURE_SILENCE[SILENCE] = np.log(1 - 1e-4)


@dataclass(frozen=True, slots=True)
class RecognizedPhoneme:
    phoneme: int
    start_tick: int
    duration_ticks: int
    """1 … MAX_EVENT_TICKS: longer phonemes come in pieces."""
    confidence: float
    """Mean posterior of the phoneme over its frames, 0 … 1."""


@dataclass(frozen=True, slots=True)
class RecognizerModel:
    """Trained parts, shared by all recognisers of the process."""

    net: EightBitCommittee
    log_stay: F32
    log_prior: F32
    ngram: F32


@lru_cache(maxsize=1)
def load_model() -> RecognizerModel:
    """The shipped model. Raises WeightsError when a file is missing or does not fit."""
    tensors, _ = load_weights("recognizer")
    table, metadata = load_weights("ngram")
    net = PhonemeCommittee(len(split_members(tensors)))
    try:
        log_stay, log_prior = tensors.pop("log_stay"), tensors.pop("log_prior")
        ngram = table["table"].float() * -float(metadata["quantum_nats"])
        net.load_state_dict({k: v.float() for k, v in tensors.items()}, strict=True)
    except (KeyError, ValueError, RuntimeError) as error:
        first = str(error).splitlines()[-1].strip()
        raise WeightsError(f"Model file recognizer.safetensors does not fit: {first}") from error
    if ngram.shape != (N_PHONEMES,) * 4:
        raise WeightsError(f"Model file ngram.safetensors does not fit: {tuple(ngram.shape)}.")
    net.requires_grad_(False).eval()
    quick, stay, prior = EightBitCommittee(net.members()), log_stay.float(), log_prior.float()
    return RecognizerModel(quick, stay.numpy(), prior.numpy(), ngram.numpy())


class StreamingRecognizer:
    """Recognises one stream. ``push`` audio of any length, ``flush`` once at its end."""

    def __init__(self, model: RecognizerModel | None = None, settings: BeamSettings = BEAM) -> None:
        self._model = model or load_model()
        self._settings = settings
        self._reset()

    def _reset(self) -> None:
        model = self._model
        self._frontend = Frontend()
        self._state = model.net.initial_state()
        self._beam = PhonemeBeam(model.ngram, model.log_stay, model.log_prior, self._settings)
        self._skip = GUARD_FRAMES  # features of the time before the first sample
        self._samples = 0
        self._floor = NoiseFloor()
        self._quiet = np.zeros(0, bool)  # background, of frames whose features are still to come
        self._part = np.zeros(0, np.float32)  # of a frame
        self._posteriors = np.zeros((0, N_PHONEMES), np.float32)  # of undecided frames
        self._first = 0  # frame number of the first row of ``_posteriors``

    def push(self, pcm: Pcm) -> list[RecognizedPhoneme]:
        """[N] samples, 16 kHz → the phonemes decided by now, contiguous in time, pauses included.

        Samples that are not finite count as silence.
        """
        clean = np.clip(np.nan_to_num(np.asarray(pcm, np.float32)), -4.0, 4.0)
        self._samples += len(clean)
        joined = np.concatenate([self._part, clean])
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        frames = joined[:whole].reshape(-1, FRAME_SAMPLES)
        self._part = joined[whole:]
        quiet = self._floor.push(frames)
        self._quiet = np.concatenate([self._quiet, quiet])
        found: list[RecognizedPhoneme] = []
        features = self._frontend.push(clean, quiet.tolist())
        # One step at a time, so that decisions fall on the same frames however audio arrives.
        for start in range(0, len(features), STEP_FRAMES):
            step = features[start : start + STEP_FRAMES][self._skip :]
            self._skip = max(0, self._skip - STEP_FRAMES)
            if len(step):
                found += self._step(step)
        return found

    def flush(self) -> list[RecognizedPhoneme]:
        """The audio has ended: everything still undecided, up to the last whole frame."""
        frames = self._samples // FRAME_SAMPLES
        padding = -self._samples % STEP_SAMPLES + GUARD_FRAMES * FRAME_SAMPLES + STEP_SAMPLES
        samples = self._samples
        found = self.push(np.zeros(padding, np.float32))
        self._samples = samples
        found += self._name(self._beam.flush())
        self._reset()
        end_tick = frames * TICKS_PER_FRAME
        kept = (p for p in found if p.start_tick < end_tick)
        return [
            replace(p, duration_ticks=min(p.duration_ticks, end_tick - p.start_tick)) for p in kept
        ]

    @torch.inference_mode()
    def _step(self, features: F32) -> list[RecognizedPhoneme]:
        logits, self._state = self._model.net(torch.from_numpy(features)[None], self._state)
        rows = torch.log_softmax(logits[0], dim=1).numpy().copy()
        # The network never learned what nothing sounds like, and steady noise is a vowel to it.
        for row in range(len(rows)):
            if self._quiet[row : row + 1 + EVE_FRAMES].all():
                rows[row] = SURE_SILENCE
        self._quiet = self._quiet[len(rows) :]
        self._posteriors = np.concatenate([self._posteriors, rows])
        segments = self._beam.push(rows)
        found = self._name(segments)
        # A long phoneme goes out in pieces while it is still being spoken.
        standing = self._beam.standing(MAX_EVENT_FRAMES)
        if standing is not None:
            phoneme, start = standing
            self._beam.cut(start + MAX_EVENT_FRAMES)
            found += self._name([Segment(phoneme, start, start + MAX_EVENT_FRAMES)])
        return found

    def _name(self, segments: list[Segment]) -> list[RecognizedPhoneme]:
        found = []
        for segment in segments:
            for start in range(segment.start_frame, segment.end_frame, MAX_EVENT_FRAMES):
                end = min(start + MAX_EVENT_FRAMES, segment.end_frame)
                rows = self._posteriors[start - self._first : end - self._first]
                sure = float(np.exp(rows[:, segment.phoneme]).mean()) if len(rows) else 0.0
                found.append(
                    RecognizedPhoneme(
                        segment.phoneme,
                        start * TICKS_PER_FRAME,
                        (end - start) * TICKS_PER_FRAME,
                        sure,
                    )
                )
        if segments:
            decided = segments[-1].end_frame
            self._posteriors = self._posteriors[decided - self._first :]
            self._first = decided
        return found
