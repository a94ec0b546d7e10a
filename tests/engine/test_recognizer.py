"""The streaming recogniser: same answer for any pieces, bounded delay, better than its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.beam import BeamSettings, PhonemeBeam
from engine.edit_distance import count_edits
from engine.events import MAX_EVENT_TICKS, Pcm
from engine.g2p import text_to_ids
from engine.phonemes import N_PHONEMES, SILENCE
from engine.recognizer import DELAY_MS, RecognizedPhoneme, StreamingRecognizer, load_model
from tests.speech import dev_readers, load_pcm


@pytest.fixture(scope="module")
def reader() -> tuple[Pcm, str]:
    readers = dev_readers()
    if not readers:
        pytest.skip("needs the held-out readers of the speech folder")
    _, path, text = readers[0]
    return load_pcm(path), text


def recognise(pcm: Pcm, pieces: list[int]) -> list[RecognizedPhoneme]:
    recognizer = StreamingRecognizer()
    found, position, turn = [], 0, 0
    while position < len(pcm):
        length = pieces[turn % len(pieces)]
        found += recognizer.push(pcm[position : position + length])
        position, turn = position + length, turn + 1
    return found + recognizer.flush()


def test_pieces_of_audio_make_no_difference(reader: tuple[Pcm, str]) -> None:
    pcm = reader[0][: 3 * 16_000]
    whole = recognise(pcm, [len(pcm)])
    assert len(whole) > 15
    assert recognise(pcm, [160]) == whole
    assert recognise(pcm, [1, 4_999, 320, 77]) == whole


def test_phonemes_cover_the_audio_without_overlap(reader: tuple[Pcm, str]) -> None:
    pcm, _ = reader
    found = recognise(pcm, [320])
    ends = [p.start_tick + p.duration_ticks for p in found]
    assert found[0].start_tick == 0
    assert [p.start_tick for p in found[1:]] == ends[:-1]
    assert all(1 <= p.duration_ticks <= MAX_EVENT_TICKS for p in found)
    assert abs(ends[-1] - len(pcm) // 160) <= 2


def test_an_unseen_reader_is_recognised(reader: tuple[Pcm, str]) -> None:
    pcm, text = reader
    heard = [p.phoneme for p in recognise(pcm, [320]) if p.phoneme != SILENCE]
    spoken = text_to_ids(text)
    assert count_edits(spoken, heard).total / len(spoken) < 0.35


def test_phonemes_are_told_within_the_stated_delay(reader: tuple[Pcm, str]) -> None:
    pcm, _ = reader
    recognizer = StreamingRecognizer()
    waits_ms = []
    for start in range(0, len(pcm) - 160, 160):
        told_ms = (start + 160) / 16
        for phoneme in recognizer.push(pcm[start : start + 160]):
            waits_ms.append(told_ms - 10 * (phoneme.start_tick + phoneme.duration_ticks))
    # A boundary that the best path moves back after the fact makes a rare longer wait.
    assert np.quantile(waits_ms, 0.95) <= DELAY_MS + 80
    assert max(waits_ms) <= 2 * DELAY_MS


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(16_000, np.float32),
        np.full(16_000, np.nan, np.float32),
        np.sign(np.sin(np.arange(16_000, dtype=np.float32))),
        np.random.default_rng(1).normal(0, 100, 16_000).astype(np.float32),
    ],
    ids=["silence", "not a number", "square wave", "loud noise"],
)
def test_garbage_gives_bounded_phonemes(sound: Pcm) -> None:
    found = recognise(sound, [800])
    assert sum(p.duration_ticks for p in found) <= 100
    assert all(np.isfinite(p.confidence) for p in found)


def test_silence_is_silent() -> None:
    assert {p.phoneme for p in recognise(np.zeros(32_000, np.float32), [640])} <= {SILENCE}


@pytest.mark.parametrize("level_dbfs", [-76, -70, -64, -50])
def test_faint_noise_is_silent_once_it_is_known(level_dbfs: int) -> None:
    rng = np.random.default_rng(1)
    hush = (10 ** (level_dbfs / 20) * rng.standard_normal(4 * 16_000)).astype(np.float32)
    assert {p.phoneme for p in recognise(hush, [640]) if p.start_tick > 200} <= {SILENCE}


def test_a_talker_far_from_the_microphone_is_heard_as_well(reader: tuple[Pcm, str]) -> None:
    pcm, text = reader
    spoken = text_to_ids(text)
    heard = [p.phoneme for p in recognise(10 ** (-30 / 20) * pcm, [320]) if p.phoneme != SILENCE]
    assert count_edits(spoken, heard).total / len(spoken) < 0.35


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_the_beam_decides_each_frame_exactly_once(seed: int, frames: int) -> None:
    model = load_model()
    rows = np.random.default_rng(seed).normal(0, 3, (frames, N_PHONEMES)).astype(np.float32)
    beam = PhonemeBeam(model.ngram, model.log_stay, model.log_prior, BeamSettings())
    segments = [s for row in rows for s in beam.push(row[None])] + beam.flush()
    assert segments[0].start_frame == 0
    assert segments[-1].end_frame == frames
    assert all(a.end_frame == b.start_frame for a, b in zip(segments, segments[1:], strict=False))


def test_a_sure_frame_wins_over_the_language_model() -> None:
    model = load_model()
    spoken = [5, 30, 17]
    rows = np.full((24, N_PHONEMES), -12.0, np.float32)
    for k, phoneme in enumerate(spoken):
        rows[8 * k : 8 * k + 8, phoneme] = 0.0
    beam = PhonemeBeam(model.ngram, model.log_stay, model.log_prior, BeamSettings())
    segments = beam.push(rows) + beam.flush()
    assert [s.phoneme for s in segments] == spoken
