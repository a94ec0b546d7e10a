"""Batches for the codec: random 3 s crops as the tensors its two networks read.

Boundaries are jittered, events stretched and phonemes confused on the way, because live
recognition and playout do all three. Randomness comes from the caller's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.articulation import SHAPE_TIMES, shape_basis
from engine.dvector import DVECTOR_DIM
from engine.event_scalars import EVENT_SCALARS, event_scalars
from engine.phonemes import N_PHONEMES, SILENCE
from engine.synthesizer import (
    TICK_SCALARS,
    UNKNOWN,
    pitch_track,
    tick_scalars,
)
from engine.training.datasets import Corpus
from engine.training.events import jitter_bounds, measure, to_events
from engine.training.recognized import Events
from engine.voice import BALANCE_DIM, VOICE_DIM

F32 = NDArray[np.float32]
CROP_TICKS = 300
MAX_EVENTS = 96


@dataclass(frozen=True, slots=True)
class Augment:
    """How roughly a batch is treated; all zero for scoring."""

    jitter_ticks: int = 2
    warp: float = 0.25
    """Share of clips whose events are stretched or shrunk."""
    confuse: float = 0.06
    """Share of phonemes replaced by another one."""
    hide_next: float = 0.15
    """Share of events whose successor is not known yet."""
    voice_noise: float = 0.5
    """Most noise on the d-vector, relative to its length."""
    recognised: float = 0.5
    """Share of clips told as the recogniser heard them, where that is known."""
    drop_voice: float = 0.05
    """Share of clips spoken with the mean voice."""


NONE = Augment(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass
class Batch:
    """B crops of T ticks with at most E events each. All float32 / int64 tensors."""

    mel: Tensor
    """[B, T, 80] target, natural log."""
    voicing: Tensor
    """[B, T] 1 where voiced."""
    labels: Tensor
    """[B, T] true phoneme of every tick."""
    source_mel: Tensor
    """[B, S, 80] unwarped log-mel, for the articulation encoder."""
    first: Tensor
    """[B, E] where each event starts in the source."""
    length: Tensor
    """[B, E] ticks of each event there; 0 where the crop has no such event."""
    ids: Tensor
    """[B, E, 3] phoneme, previous, next as told to the networks."""
    next_known: Tensor
    """[B, E]"""
    scalars: Tensor
    """[B, E, EVENT_SCALARS]"""
    tick_scalars: Tensor
    """[B, T, TICK_SCALARS]"""
    event_of_tick: Tensor
    """[B, T]"""
    basis: Tensor
    """[B, T, SHAPE_TIMES] of ``shape_basis``, each tick within its event as played."""
    voice: Tensor
    """[B, VOICE_DIM]"""
    speaker: Tensor
    """[B, 256] true d-vector of the clip."""
    mask: Tensor
    """[B, T] 1 where there is speech to learn from."""

    def to(self, device: torch.device) -> Batch:
        return Batch(**{k: v.to(device) for k, v in vars(self).items()})


class BatchMaker:
    """Draws crops from a corpus."""

    def __init__(
        self, corpus: Corpus, mean: F32, basis: F32, mean_dvec: F32,
        recognised: Mapping[str, Events] | None = None,
    ) -> None:  # fmt: skip
        self.corpus = corpus
        self._recognised = recognised or {}
        self._balance = (corpus.balance - mean) @ basis.T
        self._mean_voice = np.concatenate([mean_dvec, np.zeros(BALANCE_DIM, np.float32)])

    def voice(self, clip: int) -> F32:
        """[VOICE_DIM] of one clip, unquantised."""
        return np.concatenate([self.corpus.dvec[clip], self._balance[clip]]).astype(np.float32)

    def _noisy_voice(self, clip: int, augment: Augment, rng: np.random.Generator) -> F32:
        if rng.random() < augment.drop_voice:
            return self._mean_voice
        voice = self.voice(clip)
        if augment.voice_noise:
            spread = rng.uniform(0, augment.voice_noise)
            dvec = voice[:DVECTOR_DIM]
            # Noise in proportion to the values: d-vectors are sparse and non-negative.
            noise = rng.normal(size=DVECTOR_DIM) * (np.abs(dvec) + 0.02)
            noisy = dvec + spread * noise
            voice[:DVECTOR_DIM] = noisy / np.linalg.norm(noisy)
            voice[DVECTOR_DIM:] += rng.normal(size=BALANCE_DIM) * spread * 0.5
        return voice

    def make(
        self,
        clips: list[int],
        rng: np.random.Generator,
        augment: Augment,
        crop_ticks: int = CROP_TICKS,
        from_start: bool = False,
    ) -> Batch:
        """A batch of ``clips`` (indices into the corpus)."""
        crops = [self._crop(n, rng, augment, crop_ticks, from_start) for n in clips]
        count = max(len(c["ids"]) for c in crops)
        source = max(len(c["source_mel"]) for c in crops)
        shapes = {
            "mel": (crop_ticks, 80), "voicing": (crop_ticks,), "labels": (crop_ticks,),
            "source_mel": (source, 80),
            "first": (count,), "length": (count,),
            "ids": (count, 3), "next_known": (count,), "scalars": (count, EVENT_SCALARS),
            "tick_scalars": (crop_ticks, TICK_SCALARS), "event_of_tick": (crop_ticks,),
            "basis": (crop_ticks, SHAPE_TIMES),
            "voice": (VOICE_DIM,), "speaker": (DVECTOR_DIM,), "mask": (crop_ticks,),
        }  # fmt: skip
        out: dict[str, Tensor] = {}
        for key, shape in shapes.items():
            whole = key in ("labels", "ids", "event_of_tick", "first", "length")
            array = np.zeros((len(clips), *shape), np.int64 if whole else np.float32)
            for row, crop in zip(array, crops, strict=True):
                value = crop[key]
                row[tuple(slice(0, n) for n in value.shape)] = value
            out[key] = torch.from_numpy(array)
        return Batch(**out)

    def _crop(
        self, n: int, rng: np.random.Generator, augment: Augment, crop_ticks: int, from_start: bool
    ) -> dict[str, NDArray[np.generic]]:
        clip = self.corpus.clips[n]
        spoken, spoken_bounds = phoneme, bounds = self.corpus.events[clip.id]
        heard = clip.id in self._recognised and rng.random() < augment.recognised
        if heard:
            phoneme, bounds = self._recognised[clip.id]
        first = 0
        if not from_start and bounds[-1] > crop_ticks:
            latest = int(np.searchsorted(bounds, bounds[-1] - crop_ticks // 2))
            first = int(rng.integers(0, max(latest, 1)))
        last = min(int(np.searchsorted(bounds, bounds[first] + 1.4 * crop_ticks)), len(phoneme))
        last = min(last, first + MAX_EVENTS, len(phoneme))
        lo = max(first - 1, 0)
        part, edges = phoneme[lo : last + 1], bounds[lo : last + 2]
        if augment.jitter_ticks and not heard and rng.random() < 0.7:
            edges = jitter_bounds(edges, int(rng.integers(1, augment.jitter_ticks + 1)), rng)
        start, stop = clip.first_frame, clip.first_frame + clip.frames
        edges = np.minimum(edges, clip.frames)
        keep = int(np.count_nonzero(np.diff(edges) > 0))
        part, edges = part[:keep], edges[: keep + 1]
        told = part.copy()
        if augment.confuse:
            wrong = rng.random(len(told)) < augment.confuse
            told[wrong] = rng.integers(0, N_PHONEMES, int(wrong.sum()))
        f0 = np.asarray(self.corpus.f0[start:stop])
        power = np.asarray(self.corpus.power[start:stop])
        events = to_events(measure(told, edges, f0, power))
        skip = first - lo
        own = events[
            skip : max(skip + 1, len(events) - 1 if len(events) - skip > 1 else len(events))
        ]
        low, high = own[0].start_tick, own[-1].end_tick
        lengths = np.array([e.duration_ticks for e in own])
        if augment.warp and rng.random() < augment.warp:
            rate = np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.2, len(own)))
            lengths = np.clip(np.round(lengths * rate), 1, 40).astype(np.int64)
        known = rng.random(len(own)) >= augment.hide_next
        ids, scalars, ticks, owner, where, basis = [], [], [], [], [], []
        semitone: float | None = None
        previous = events[skip - 1] if skip else None
        for k, event in enumerate(own):
            following = events[skip + k + 1] if skip + k + 1 < len(events) and known[k] else None
            known[k] = following is not None
            length = int(lengths[k])
            track = pitch_track(event, length, semitone, following)
            semitone = semitone if track is None else float(track[-1])
            ids.append((
                event.phoneme,
                SILENCE if previous is None else previous.phoneme,
                UNKNOWN if following is None else following.phoneme,
            ))  # fmt: skip
            scalars.append(event_scalars(event, length, previous, following))
            ticks.append(tick_scalars(length, event.voiced, track))
            owner.append(np.full(length, k))
            basis.append(shape_basis(length, length).numpy())
            inside = (np.arange(length) + 0.5) * event.duration_ticks / length
            where.append(event.start_tick + inside.astype(np.int64))
            previous = event
        index = np.concatenate(where)[:crop_ticks]
        owners = np.concatenate(owner)[:crop_ticks]
        mel = np.asarray(self.corpus.mel[start + index], np.float32)
        true = spoken[
            np.clip(np.searchsorted(spoken_bounds, index, "right") - 1, 0, len(spoken) - 1)
        ]
        shift = int(rng.integers(0, 2)) if augment.jitter_ticks else 0
        source = np.clip(np.arange(low, high), 0, clip.frames - 1)
        return {
            "mel": mel[shift:], "voicing": (f0[index] > 0).astype(np.float32)[shift:],
            "labels": true[shift:],
            "source_mel": np.asarray(self.corpus.mel[start + source], np.float32),
            "first": np.array([e.start_tick - low for e in own]),
            "length": np.array([e.duration_ticks for e in own]),
            "ids": np.array(ids), "next_known": known.astype(np.float32),
            "scalars": np.array(scalars, np.float32),
            "tick_scalars": np.concatenate(ticks)[:crop_ticks][shift:],
            "event_of_tick": owners[shift:], "basis": np.concatenate(basis)[:crop_ticks][shift:],
            "voice": self._noisy_voice(n, augment, rng),
            "speaker": self.corpus.dvec[n], "mask": np.ones(len(owners) - shift, np.float32),
        }  # fmt: skip
