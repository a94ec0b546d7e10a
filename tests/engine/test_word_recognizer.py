"""Forced alignment and the placing of boundaries; the whole path on real speech where it exists."""

from __future__ import annotations

import numpy as np
import pytest

from engine.edit_distance import count_edits
from engine.g2p import text_to_ids
from engine.mel import HOP
from engine.phonemes import N_PHONEMES, SILENCE
from engine.word_recognizer import force_align, place, recognize_words
from tests.speech import dev_readers, load_pcm


def spikes(frames: int, at: dict[int, int]) -> np.ndarray:
    """Posteriors of blank everywhere but at {frame: phoneme}."""
    rows = np.full((frames, N_PHONEMES + 1), -8.0, np.float32)
    rows[:, N_PHONEMES] = -0.1
    for frame, phoneme in at.items():
        rows[frame] = -8.0
        rows[frame, phoneme] = -0.1
    return rows


def test_phonemes_are_found_where_they_spike() -> None:
    spans = force_align(spikes(40, {5: 7, 12: 7, 20: 3, 33: 9}), [7, 7, 3, 9])
    assert spans == [(5, 5), (12, 12), (20, 20), (33, 33)]


def test_a_phoneme_nobody_heard_still_gets_its_turn() -> None:
    spans = force_align(spikes(40, {5: 7, 30: 9}), [7, 3, 9])
    assert spans[0] == (5, 5)
    assert 5 < spans[1][0] < 30
    assert spans[2] == (30, 30)


def test_more_phonemes_than_frames_are_spread() -> None:
    assert len(force_align(spikes(3, {}), [1, 2, 3, 4, 5])) == 5


def test_boundaries_cover_everything_and_pauses_become_silence() -> None:
    active = np.ones(100, bool)
    active[:10] = active[40:60] = active[90:] = False
    segments = place([(6, 7), (12, 13), (35, 36)], [7, 3, 9], active)
    assert [p for p, _, _ in segments] == [SILENCE, 7, 3, SILENCE, 9, SILENCE]
    assert segments[0][1] == 0 and segments[-1][1] + segments[-1][2] == 100
    assert all(a[1] + a[2] == b[1] for a, b in zip(segments, segments[1:], strict=False))
    assert (SILENCE, 40, 20) in segments


@pytest.mark.slow
def test_read_speech_becomes_nearly_its_own_phonemes() -> None:
    pytest.importorskip("faster_whisper")
    readers = dev_readers()
    if not readers:
        pytest.skip("no speech corpus: set SOTTOVOCE_SPEECH to a folder with manifest.tsv")
    _, path, text = readers[0]
    pcm = load_pcm(path)
    segments = recognize_words(pcm)
    assert segments[-1][1] + segments[-1][2] == len(pcm) // HOP
    heard = [p for p, _, _ in segments if p != SILENCE]
    wanted = text_to_ids(text)
    edits = count_edits(wanted, heard)
    assert edits.total <= 0.25 * len(wanted)
