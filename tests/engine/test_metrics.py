"""Scores say what they should on sounds and texts whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import metrics
from engine.alignment import align, find_delay
from engine.edit_distance import count_edits, merge_repeats
from engine.events import Pcm
from engine.opus import OpusDecoder, OpusEncoder
from engine.transcripts import normalise, number_words, word_edits
from tests.speech import SPEECH_REASON, any_speech, dev_readers, load_pcm


@pytest.fixture(scope="module")
def speech() -> Pcm:
    return any_speech(5.0)


@pytest.fixture(scope="module")
def coarse(speech: Pcm) -> Pcm:
    """The same speech through Opus at 6 kb/s."""
    encoder, decoder = OpusEncoder(6_000, 20), OpusDecoder(20)
    frames = speech[: len(speech) // 320 * 320].reshape(-1, 320)
    return np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        ("abc", "abc", (0, 0, 0)),
        ("abc", "", (0, 3, 0)),
        ("", "ab", (0, 0, 2)),
        ("abcd", "axcde", (1, 0, 1)),
        ("kitten", "sitting", (2, 0, 1)),
    ],
)
def test_edits_are_counted(reference: str, hypothesis: str, counts: tuple[int, int, int]) -> None:
    edits = count_edits(list(reference), list(hypothesis))
    assert (edits.substitutions, edits.deletions, edits.insertions) == counts


@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_edit_distance_is_a_metric(a: list[int], b: list[int]) -> None:
    there, back = count_edits(a, b), count_edits(b, a)
    assert there.total == back.total
    assert (there.total == 0) == (a == b)
    assert abs(len(a) - len(b)) <= there.total <= max(len(a), len(b))


def test_per_ignores_silence_and_repeats_and_is_capped() -> None:
    assert metrics.per([0, 5, 5, 6, 0, 7], [5, 6, 6, 7]) == 0.0
    assert metrics.per([5, 6], [1, 2, 3, 4, 7, 8]) == 1.0
    assert metrics.corpus_per([([1, 2, 3, 4], [1, 2, 3]), ([5, 6], [5, 6])]) == pytest.approx(1 / 6)
    assert merge_repeats([1, 1, 2, 1, 1]) == [1, 2, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CHAPTER TWENTY SEVEN", "chapter twenty seven"),
        ("Chapter 27.", "chapter twenty seven"),
        ("In 1914, Dr. Smith won't.", "in nineteen fourteen doctor smith will not"),
        ("the 21st and 1,250 men", "the twenty first and one thousand two hundred fifty men"),
        ("Rebecca’s centre — isn't it?", "rebeccas center is not it"),
        ("[Music] (laughs) okay", "okay"),
        ("1905, 1900, 2023", "nineteen oh five nineteen hundred two thousand twenty three"),
        ("", ""),
    ],
)
def test_transcripts_are_made_comparable(text: str, words: str) -> None:
    assert " ".join(normalise(text)) == words


def test_large_numbers_are_spelled() -> None:
    assert " ".join(number_words(1_000_001)) == "one million one"
    assert normalise("9" * 40)[0] == "nine"


def test_word_errors_are_capped_at_one() -> None:
    assert word_edits("yes", "no no no no").rate == 1.0


@pytest.mark.parametrize("delay", [-1600, 0, 800, 4800])
def test_delays_are_found_in_coded_speech(speech: Pcm, coarse: Pcm, delay: int) -> None:
    late = np.concatenate([np.zeros(delay, np.float32), coarse]) if delay > 0 else coarse[-delay:]
    assert abs(find_delay(speech, late) - 104 - delay) <= 64
    a, b = align(speech, late)
    assert abs(find_delay(a, b)) <= 64


def test_intelligibility_and_quality_fall_with_the_rate(speech: Pcm, coarse: Pcm) -> None:
    pytest.importorskip("pystoi")
    pytest.importorskip("pesq")
    assert metrics.estoi(speech, speech) == pytest.approx(1.0, abs=1e-3)
    assert 0.6 < metrics.estoi(speech, coarse) < 0.95
    assert metrics.pesq_wb(speech, speech) > 4.5
    assert 1.3 < metrics.pesq_wb(speech, coarse) < 3.5


def test_melody_and_spectrum_are_compared(speech: Pcm, coarse: Pcm) -> None:
    pytest.importorskip("librosa")
    noise = np.random.default_rng(1).normal(0, 0.05, len(speech)).astype(np.float32)
    assert metrics.f0_correlation(speech, coarse) > 0.9
    assert metrics.mse_dtw(speech, speech) == pytest.approx(0.0, abs=1e-4)
    assert metrics.mse_dtw(speech, coarse) < metrics.mse_dtw(speech, noise)


def test_a_voice_is_like_itself(speech: Pcm, coarse: Pcm) -> None:
    pytest.importorskip("resemblyzer")
    noise = np.random.default_rng(1).normal(0, 0.05, len(speech)).astype(np.float32)
    assert metrics.speaker_similarity(speech, speech) == pytest.approx(1.0, abs=1e-4)
    own, foreign = (metrics.speaker_similarity(speech, other) for other in (coarse, noise))
    assert own > foreign


@pytest.mark.parametrize("sound", [np.zeros(16_000), np.zeros(10), np.full(16_000, np.nan)])
def test_silence_and_scraps_have_no_score(speech: Pcm, sound: Pcm) -> None:
    pytest.importorskip("pystoi")
    degraded = sound.astype(np.float32)
    assert math.isnan(metrics.estoi(speech, degraded))
    assert math.isnan(metrics.f0_correlation(speech, degraded))


def test_whisper_and_hama_read_a_clean_reader() -> None:
    pytest.importorskip("faster_whisper")
    from engine import scorers
    from engine.g2p import text_to_ids

    readers = dev_readers()
    if not readers:
        pytest.skip(SPEECH_REASON)
    _, path, text = readers[3]
    pcm = load_pcm(path)
    assert metrics.wer(text, pcm, beam=1) == 0.0
    assert metrics.per(text_to_ids(text), scorers.hear_phonemes(pcm)) < 0.4
    assert 1.5 < metrics.dnsmos(pcm) < 5.0
