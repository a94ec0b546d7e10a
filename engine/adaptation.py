"""Improve a voice descriptor by analysis by synthesis: compare our own resynthesis with the talker.

The sender owns the far end's synthesizer, so it can predict what will be heard there, measure the
distance to the microphone's frames and move the voice by gradient steps. Runs in the adaptation
worker at low priority: ``refine`` is pure, bounded and knows no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.articulation import shape_basis
from engine.dvector import DVECTOR_DIM
from engine.event_scalars import event_scalars
from engine.events import MAX_LAYERS, PhonemeEvent, VoiceDescriptor
from engine.phonemes import SILENCE
from engine.synthesizer import (
    UNKNOWN,
    SynthesizerNet,
    load_net,
    pitch_track,
    tick_scalars,
)
from engine.voice import VoiceModel, load_model

F32 = NDArray[np.float32]
MAX_TICKS = 1_000  # of speech a refinement looks at, the newest: bounds its work to seconds
MIN_TICKS = 200  # less than this says nothing reliable about a voice
STEP_SIZE = 0.03
STEP_TICKS = 250  # of it in one step: the call's own work is never held up for long
HELD_OUT = 0.25  # share of the ticks that decide whether the new voice is kept


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a refinement found."""

    descriptor: VoiceDescriptor
    """The better descriptor, or the old one when none was better."""
    before: float
    """L1 to the talker's frames (normalised log-mel) on held-out speech with the old voice …"""
    after: float
    """… and with the new one, as it travels."""

    @property
    def improved(self) -> bool:
        return self.after < self.before


@torch.no_grad()
def _inputs(
    net: SynthesizerNet, events: Sequence[PhonemeEvent], layers: int
) -> tuple[Tensor, Tensor]:
    """Tick inputs [1, T, WIDTH] of adjacent events, T even, with the first ``layers`` codes, and
    the shapes [T, N_MELS] those codes add to the output."""
    rows, shapes, semitone = [], [], None
    previous: PhonemeEvent | None = None
    for k, event in enumerate(events):
        following = events[k + 1] if k + 1 < len(events) else None
        length = event.duration_ticks
        track = pitch_track(event, length, semitone, following)
        semitone = semitone if track is None else float(track[-1])
        ids = torch.tensor(
            [
                event.phoneme,
                SILENCE if previous is None else previous.phoneme,
                UNKNOWN if following is None else following.phoneme,
            ]
        )
        codes = net.codebooks.decode(event.codes[:layers], event.phoneme)
        next_codes = torch.zeros_like(codes)
        if following is not None:
            next_codes = net.codebooks.decode(following.codes[:layers], following.phoneme)
        scalars = event_scalars(event, length, previous, following)
        described = net.describe(ids, torch.tensor(scalars, dtype=torch.float32), codes, next_codes)
        shapes.append(net.shapes(codes[None], shape_basis(length, length)))
        rows.append(
            net.ticks(described[None], torch.from_numpy(tick_scalars(length, event.voiced, track)))
        )
        previous = event
    ticks, added = torch.cat(rows), torch.cat(shapes)
    even = len(ticks) // 2 * 2
    return ticks[:even][None], added[:even]


def _newest(events: Sequence[PhonemeEvent], frames: int) -> list[PhonemeEvent]:
    """The last MAX_TICKS of speech within the frames there are; long pauses left out."""
    kept: list[PhonemeEvent] = []
    total = 0
    for event in reversed(events):
        if event.end_tick > frames or event.start_tick < 0:
            continue
        if total + event.duration_ticks > MAX_TICKS:
            break
        kept.append(event)
        total += event.duration_ticks
    return kept[::-1]


def refine(
    descriptor: VoiceDescriptor,
    mel: F32,
    events: Sequence[PhonemeEvent],
    steps: int = 16,
    net: SynthesizerNet | None = None,
    model: VoiceModel | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> Refinement:
    """Move the voice so that the synthesizer comes closer to the talker.

    mel: [T, 80] natural log of the talker's speech; events: what was sent for it, their ticks
    count frames of ``mel``. The newest MAX_TICKS are used, STEP_TICKS of them in turn;
    about 0.05 s of one core a step. Silence
    or too little speech leaves the descriptor as it is, and so does ``wanted`` when it is asked
    before a step and says no.
    """
    net, model = net or load_net(), model or load_model()
    chosen = _newest(events, len(mel))
    ticks = sum(event.duration_ticks for event in chosen) // 2 * 2
    if ticks < MIN_TICKS:
        return Refinement(descriptor, 0.0, 0.0)
    index = np.concatenate([np.arange(e.start_tick, e.end_tick) for e in chosen])[:ticks]
    spoken = np.repeat([not e.is_silence for e in chosen], [e.duration_ticks for e in chosen])
    target = (torch.from_numpy(np.nan_to_num(mel[index])) - net.mel_mean) / net.mel_std
    mask = torch.from_numpy(spoken[:ticks].astype(np.float32))
    split = int(ticks * (1 - HELD_OUT)) // 2 * 2
    inputs = [_inputs(net, chosen, layers) for layers in (0, MAX_LAYERS)]

    def distance(voice: Tensor, part: slice) -> Tensor:
        losses = []
        for ticks_in, shapes in inputs:
            found = net.frames(ticks_in[:, part], voice[None])[0][0] + shapes[part]
            error = (found - target[part]).abs().mean(1) * mask[part]
            losses.append(error.sum() / mask[part].sum().clamp(min=1))
        return torch.stack(losses).mean()

    start = torch.from_numpy(model.dequantise(descriptor.stages))
    voice = start.clone()
    mean, square = torch.zeros_like(start), torch.zeros_like(start)
    pieces = [slice(at, min(at + STEP_TICKS, split)) for at in range(0, split - 1, STEP_TICKS)]
    scale = torch.ones_like(start)
    scale[:DVECTOR_DIM] = 0.1  # a unit vector of 256 numbers: its entries are ten times smaller
    for step in range(steps):
        if not wanted():
            return Refinement(descriptor, 0.0, 0.0)
        voice.requires_grad_(True)
        loss = distance(start + (voice - start) * scale, pieces[step % len(pieces)])
        gradient = torch.autograd.grad(loss, voice)[0]
        # Adam (Kingma & Ba, 2015) by hand: torch's loads its compiler in the middle of the call.
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        size = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
        voice = voice.detach() - STEP_SIZE * mean / (1 - 0.9 ** (step + 1)) / size
    with torch.no_grad():
        moved = start + (voice - start) * scale
        moved[:DVECTOR_DIM] = moved[:DVECTOR_DIM].clamp(min=0)
        moved[:DVECTOR_DIM] /= moved[:DVECTOR_DIM].norm().clamp(min=1e-6)
        stages = model.quantise(moved.numpy())
        judge = slice(split, ticks)
        before = float(distance(start, judge))
        after = float(distance(torch.from_numpy(model.dequantise(stages)), judge))
    if not after < before:
        return Refinement(descriptor, before, before)
    better = VoiceDescriptor((descriptor.version + 1) & 0xFF, descriptor.f0_mean, stages)
    return Refinement(better, before, after)
