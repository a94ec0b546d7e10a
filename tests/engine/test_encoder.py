"""The encoder: events without holes in their numbers, the same for any pieces, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from engine.encoder import SpeechEncoder
from engine.errors import SottovoceError
from engine.events import ENERGY_LEVELS, MAX_LAYERS, PITCH_LEVELS, Pcm, PhonemeEvent
from tests.speech import dev_readers, load_pcm


@pytest.fixture(scope="module")
def speech() -> Pcm:
    readers = dev_readers()
    if not readers:
        pytest.skip("needs the held-out readers of the speech folder")
    return load_pcm(readers[1][1])[: 4 * 16_000]


def encode(pcm: Pcm, piece: int, layers: int = 3) -> tuple[list[PhonemeEvent], SpeechEncoder]:
    encoder = SpeechEncoder(layers)
    events = []
    for start in range(0, len(pcm), piece):
        events += encoder.push(pcm[start : start + piece])
    return events + encoder.flush(), encoder


def test_events_are_numbered_and_ordered(speech: Pcm) -> None:
    events, encoder = encode(speech, 320)
    assert len(events) > 20
    assert [e.index for e in events] == list(range(len(events)))
    assert all(a.end_tick <= b.start_tick for a, b in zip(events, events[1:], strict=False))
    assert all(0 <= p < PITCH_LEVELS for e in events for p in e.pitch)
    assert all(0 <= e.energy < ENERGY_LEVELS for e in events)
    assert all(len(e.codes) == 3 for e in events if not e.is_silence)
    assert encoder.voice is not None
    assert encoder.samples_pushed == len(speech)


def test_phonemes_and_times_do_not_depend_on_the_pieces(speech: Pcm) -> None:
    small, _ = encode(speech, 160, layers=0)
    large, _ = encode(speech, 1_280, layers=0)
    assert [(e.phoneme, e.start_tick, e.duration_ticks) for e in small] == [
        (e.phoneme, e.start_tick, e.duration_ticks) for e in large
    ]


def test_long_silence_costs_no_events(speech: Pcm) -> None:
    quiet = np.zeros(3 * 16_000, np.float32)
    events, _ = encode(np.concatenate([speech[:32_000], quiet, speech[:32_000]]), 320)
    pauses = [e for e in events if e.is_silence]
    assert sum(e.duration_ticks for e in pauses) < 150
    holes = [b.start_tick - a.end_tick for a, b in zip(events, events[1:], strict=False)]
    assert max(holes) > 150


def test_nothing_heard_says_nothing() -> None:
    events, encoder = encode(np.zeros(16_000, np.float32), 320)
    assert events == []
    assert encoder.samples_pushed == 16_000


def test_stereo_and_too_many_layers_are_refused() -> None:
    with pytest.raises(SottovoceError, match="mono"):
        SpeechEncoder(0).push(np.zeros((2, 160), np.float32))
    with pytest.raises(SottovoceError, match="layers"):
        SpeechEncoder(MAX_LAYERS + 1)
