"""Known phonemes and times → complete events: prosody, voice and articulation measured from PCM.

The whole-array twin of the streaming encoder, for benchmarks with true phonemes, for files whose
words were recognised first, and for the latents handed to other programs. No state, no files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.articulation import CODE_DIM, ArticulationEncoder
from engine.errors import SottovoceError
from engine.events import MAX_EVENT_TICKS, Pcm, PhonemeEvent, VoiceDescriptor
from engine.mel import HOP, log_mel
from engine.phonemes import N_PHONEMES, SILENCE
from engine.prosody import LATENCY_TICKS, ProsodyTracker
from engine.voice import VoiceEncoder, descriptor_vector

F32 = NDArray[np.float32]

Segment = tuple[int, int, int]
"""(phoneme id, start tick, duration in ticks)."""


def split_segments(segments: Sequence[Segment], ticks: int) -> list[Segment]:
    """Cut to what one event may last and to the recording's length.

    Long phonemes become several events of nearly equal length; of a long silence only the first
    MAX_EVENT_TICKS are kept, the rest is a hole. Raises SottovoceError for segments that overlap,
    run backwards or name no phoneme.
    """
    pieces: list[Segment] = []
    end = 0
    for phoneme, start, duration in segments:
        if not 0 <= phoneme < N_PHONEMES or start < end or duration < 1:
            raise SottovoceError(
                f"Segment {(phoneme, start, duration)} is not a phoneme after tick {end}: "
                "give (phoneme id, start tick, ticks) in order."
            )
        end = min(start + duration, ticks)
        if start >= end:
            break
        if phoneme == SILENCE:
            pieces.append((phoneme, start, min(end - start, MAX_EVENT_TICKS)))
            continue
        count = -(-(end - start) // MAX_EVENT_TICKS)
        cuts = [start + round(i * (end - start) / count) for i in range(count + 1)]
        pieces += [(phoneme, a, b - a) for a, b in zip(cuts, cuts[1:], strict=False)]
    return pieces


def describe(
    pcm: Pcm, segments: Sequence[Segment], layers: int
) -> tuple[list[PhonemeEvent], VoiceDescriptor | None]:
    """Measure everything an event carries. pcm: [N] → events and the voice, None if nobody speaks.

    As in a call, silence has no articulation codes, and none is an event before the first phoneme.
    """
    tracker = _tracked(pcm)
    events: list[PhonemeEvent] = []
    for phoneme, start, duration in split_segments(segments, len(pcm) // HOP):
        if phoneme == SILENCE and (not events or events[-1].is_silence):
            continue
        prosody = tracker.measure(start, duration)
        spoken = prosody.voiced and phoneme != SILENCE
        pitch = prosody.pitch if spoken else (0, 0)
        events.append(
            PhonemeEvent(len(events), phoneme, start, duration, spoken, pitch, prosody.energy)
        )
    voice = None
    with contextlib.suppress(SottovoceError):  # nobody spoke: there is no voice to describe
        voice = VoiceEncoder().describe(pcm)
    if layers > 0:
        encoder = ArticulationEncoder()
        views = _views(pcm, events, voice)
        events = [
            event if event.is_silence else replace(event, codes=encoder.encode(*view)[:layers])
            for event, view in zip(events, views, strict=True)
        ]
    return events, voice


def event_latents(pcm: Pcm, events: Sequence[PhonemeEvent], voice: VoiceDescriptor | None) -> F32:
    """Articulation latents before quantisation, [len(events), CODE_DIM]."""
    if not events:
        return np.zeros((0, CODE_DIM), np.float32)
    encoder = ArticulationEncoder()
    return np.stack([encoder.latent(*view) for view in _views(pcm, events, voice)])


def _tracked(pcm: Pcm) -> ProsodyTracker:
    tracker = ProsodyTracker(history_ticks=len(pcm) // HOP + 4 * LATENCY_TICKS)
    tracker.push(pcm)
    tracker.flush()
    return tracker


def _views(
    pcm: Pcm, events: Sequence[PhonemeEvent], voice: VoiceDescriptor | None
) -> list[tuple[F32, PhonemeEvent, PhonemeEvent | None, F32]]:
    """What the articulation encoder wants to see of each event."""
    mel, vector = log_mel(pcm), descriptor_vector(voice)
    views = []
    for i, event in enumerate(events):
        rows = np.clip(np.arange(event.start_tick, event.end_tick), 0, max(len(mel) - 1, 0))
        views.append((mel[rows], event, events[i - 1] if i else None, vector))
    return views
