"""Analysis by synthesis: a voice is changed only when held-out speech comes closer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.adaptation import MIN_TICKS, refine
from engine.events import PhonemeEvent, VoiceDescriptor
from engine.phonemes import PHONEME_ID
from engine.synthesizer import SpokenEvent, Synthesizer
from engine.voice import descriptor_vector

TALKER = VoiceDescriptor(3, 80, tuple(range(0, 200, 5)))
MEAN = VoiceDescriptor(7, 80, (0,))


def sentence(words: int) -> list[PhonemeEvent]:
    events: list[PhonemeEvent] = []
    for k, ipa in enumerate("h ɛ l oʊ sil w ɜː l d sil".split() * words):
        voiced = ipa not in ("h", "sil")
        events.append(
            PhonemeEvent(
                k,
                PHONEME_ID[ipa],
                10 * k,
                10,
                voiced,
                (14, 13) if voiced else (0, 0),
                4 if ipa == "sil" else 15,
            )
        )
    return events


def spoken_by(voice: VoiceDescriptor, events: list[PhonemeEvent]) -> np.ndarray:
    synthesizer = Synthesizer()
    state, mels = synthesizer.initial_state(), []
    for here, following in zip(events, [*events[1:], None], strict=True):
        frames, state = synthesizer.step(
            SpokenEvent(here, here.duration_ticks, following), descriptor_vector(voice), state
        )
        mels.append(frames.mel)
    return np.concatenate(mels)


def test_the_voice_moves_towards_the_talker() -> None:
    events = sentence(4)
    result = refine(MEAN, spoken_by(TALKER, events), events, steps=6)
    assert result.improved
    assert result.descriptor.version == MEAN.version + 1
    assert result.descriptor.f0_mean == MEAN.f0_mean
    assert len(result.descriptor.to_bytes()) <= 48


@pytest.mark.parametrize("steps", [0, 3])
def test_a_voice_that_fits_already_is_never_made_worse(steps: int) -> None:
    events = sentence(3)
    result = refine(TALKER, spoken_by(TALKER, events), events, steps=steps)
    assert result.after <= result.before
    if not result.improved:
        assert result.descriptor == TALKER


def test_too_little_speech_changes_nothing() -> None:
    events = sentence(1)
    assert sum(e.duration_ticks for e in events) < MIN_TICKS
    assert refine(MEAN, spoken_by(MEAN, events), events).descriptor == MEAN
    assert refine(MEAN, np.zeros((0, 80), np.float32), []).descriptor == MEAN


def test_garbage_frames_leave_a_finite_voice() -> None:
    events = sentence(4)
    mel = np.full((10 * len(events), 80), np.nan, np.float32)
    result = refine(MEAN, mel, events, steps=2)
    assert np.isfinite(descriptor_vector(result.descriptor)).all()


IN_MID_CALL = """
import sys
from engine.adaptation import refine
from tests.engine.test_adaptation import MEAN, TALKER, sentence, spoken_by
events = sentence(4)
mel = spoken_by(TALKER, events)
loaded = set(sys.modules)
assert refine(MEAN, mel, events, steps=2).after > 0
print(*(set(sys.modules) - loaded))
"""


def test_learning_loads_nothing_in_mid_call() -> None:
    """Whoever imports holds the interpreter: torch's optimisers do so for a second at first use."""
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_MID_CALL],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.split() == []
