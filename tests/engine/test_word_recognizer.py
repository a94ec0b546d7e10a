"""Forced alignment with optional pauses; the whole path on real speech where it exists."""

from __future__ import annotations

import numpy as np
import pytest

from engine.edit_distance import count_edits
from engine.g2p import text_to_ids, text_to_words
from engine.mel import HOP
from engine.phonemes import N_PHONEMES, PHONEME_ID, SILENCE
from engine.recognizer import TICKS_PER_FRAME, load_model
from engine.word_recognizer import force_align, posteriors, recognize_words
from tests.speech import SPEECH_REASON, alignments, dev_readers, load_pcm

STAY = np.full(N_PHONEMES, np.log(0.7), np.float32)


def heard(*runs: tuple[int, int]) -> np.ndarray:
    """Posteriors of (phoneme, frames) one after the other."""
    rows = np.full((sum(n for _, n in runs), N_PHONEMES), -8.0, np.float32)
    start = 0
    for phoneme, frames in runs:
        rows[start : start + frames, phoneme] = -0.1
        start += frames
    return rows


def test_phonemes_and_the_pause_between_words_are_found() -> None:
    rows = heard((SILENCE, 5), (7, 4), (3, 6), (SILENCE, 8), (9, 5), (SILENCE, 3))
    phonemes, first = force_align(rows, [[7, 3], [9]], STAY)
    assert phonemes.tolist() == [SILENCE, 7, 3, SILENCE, 9, SILENCE]
    assert first.tolist() == [0, 5, 9, 15, 23, 28]


def test_there_is_no_pause_where_none_was_heard() -> None:
    phonemes, first = force_align(heard((7, 4), (3, 6), (9, 5)), [[7], [3, 9]], STAY)
    assert phonemes.tolist() == [7, 3, 9]
    assert first.tolist() == [0, 4, 10]


def test_a_phoneme_nobody_heard_still_gets_its_turn() -> None:
    phonemes, first = force_align(heard((7, 6), (9, 6)), [[7, 3, 9]], STAY)
    assert phonemes.tolist() == [7, 3, 9]
    assert 4 <= first[1] <= 6 and first[2] > first[1]


def test_the_same_phoneme_twice_is_two() -> None:
    phonemes, _ = force_align(heard((7, 8)), [[7], [7]], STAY)
    assert phonemes.tolist() == [7, 7]


def test_more_phonemes_than_frames_take_a_frame_each() -> None:
    phonemes, first = force_align(heard((1, 3)), [[1, 2, 3], [4, 5]], STAY)
    assert phonemes.tolist() == [1, 2, 3] and first.tolist() == [0, 1, 2]


def test_boundaries_on_real_speech_are_those_of_the_given_alignment() -> None:
    readers = dev_readers()
    if not readers:
        pytest.skip(SPEECH_REASON)
    name, path, text = readers[0]
    rows = posteriors(load_pcm(path))
    phonemes, first = force_align(rows, text_to_words(text), load_model().log_stay)
    mine = [(int(p), int(f) * TICKS_PER_FRAME) for p, f in zip(phonemes, first, strict=True) if p]
    given = [(PHONEME_ID[p], start) for p, start, _ in alignments()[name] if p != "sil"]
    assert [p for p, _ in mine] == [p for p, _ in given]
    errors = [abs(a[1] - b[1]) for a, b in zip(mine, given, strict=True)]
    assert np.median(errors) <= 2 and np.mean(errors) <= 3


def test_read_speech_becomes_nearly_its_own_phonemes() -> None:
    pytest.importorskip("faster_whisper")
    readers = dev_readers()
    if not readers:
        pytest.skip(SPEECH_REASON)
    _, path, text = readers[0]
    pcm = load_pcm(path)
    segments = recognize_words(pcm)
    assert segments[0][1] == 0 and segments[-1][1] + segments[-1][2] == len(pcm) // HOP
    assert all(a[1] + a[2] == b[1] for a, b in zip(segments, segments[1:], strict=False))
    wanted = text_to_ids(text)
    edits = count_edits(wanted, [p for p, _, _ in segments if p != SILENCE])
    assert edits.total <= 0.25 * len(wanted)
