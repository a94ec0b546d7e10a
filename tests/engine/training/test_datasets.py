"""Which clips trainers tune on, and that none of them learns from those."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.training.datasets import VALIDATION_CLIPS, Clip, Corpus, tuning_clips

MORE = VALIDATION_CLIPS + 7


def corpus_of(native: int) -> Corpus:
    """Clips of two sources in turn, ``native`` of them LibriSpeech's training readers, and some that
    nobody may use: held out, without an alignment, with a doubtful transcript."""
    corpus = Corpus.__new__(Corpus)
    kinds = [("librispeech", "train", -0.1), ("storybooks", "train", -0.1)] * native
    kinds += [("librispeech", "dev", -0.1), ("librispeech", "train", -5.0)] * 3
    corpus.clips = [
        Clip(f"c{n}", "", source, f"s{n}", "adult", split, "", score)
        for n, (source, split, score) in enumerate(kinds)
    ]
    corpus.clips.append(Clip("nowhere", "", "librispeech", "s", "adult", "train", "", -0.1))
    corpus.events = {clip.id: (None, None) for clip in corpus.clips[:-1]}
    return corpus


@pytest.mark.parametrize("native", [0, 3, VALIDATION_CLIPS, VALIDATION_CLIPS + 1, MORE])
def test_the_last_native_readers_are_tuned_on_and_not_learnt_from(native: int) -> None:
    corpus = corpus_of(native)
    readers = [2 * n for n in range(native)]
    assert corpus.tuning() == readers[-VALIDATION_CLIPS:]
    few = native <= VALIDATION_CLIPS
    assert corpus.tuning(otherwise=()) == ([] if few else readers[-VALIDATION_CLIPS:])
    learnt = corpus.training(corpus.tuning())
    assert sorted(learnt + corpus.tuning()) == corpus.select("train") == list(range(2 * native))


def test_a_small_corpus_is_tuned_on_what_its_trainer_says() -> None:
    assert tuning_clips(["a", "b"], ["dev"]) == ["dev"]
    assert tuning_clips(["a", "b"]) == ["a", "b"]
    assert tuning_clips([str(n) for n in range(MORE)], ["dev"])[0] == str(MORE - VALIDATION_CLIPS)


def test_no_trainer_picks_the_readers_itself() -> None:
    folder = Path(__file__).parents[3] / "engine" / "training"
    for path in folder.glob("*.py"):
        assert path.name == "datasets.py" or "VALIDATION_CLIPS" not in path.read_text(), path.name
