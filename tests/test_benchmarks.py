"""The benchmarks run end to end on a clip or two and write whole tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import parse_time, scoring
from benchmarks.corpus import Sample, load_set
from benchmarks.link_matrix import mean_row
from benchmarks.links import ARMS, LINKS, SEED, make_call
from benchmarks.peers import PEERS, Coded
from benchmarks.tables import Column, markdown, write_json
from tests.speech import SPEECH_REASON, any_speech, clips, speech_dir
from transport.payload import MAX_PACKET_EVENTS

needs_speech = pytest.mark.skipif(speech_dir() is None, reason=SPEECH_REASON)


@pytest.fixture
def sample() -> Sample:
    pcm = any_speech(3.0)
    return Sample("one", "some words", pcm, pcm, (("sil", 0, 20), ("s", 20, 200), ("sil", 220, 80)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["opus-6k", "codec2-700C", "world", "original"])
def test_peers_code_speech_and_count_their_bits(sample: Sample, name: str) -> None:
    if name.startswith("codec2"):
        pytest.importorskip("pycodec2")
    coded = PEERS[name](sample)
    assert abs(len(coded.pcm) - len(sample.pcm)) < 1600
    if name == "codec2-700C":
        assert coded.payload_bits == pytest.approx(700 * 3, rel=0.02)
    if coded.payload_bits:
        assert coded.speech_bits is not None
        assert 0 < coded.speech_bits <= coded.payload_bits
        assert coded.delay_ms is not None
        assert coded.delay_ms > 20


def test_speech_masks_follow_the_alignment(sample: Sample) -> None:
    assert sample.speech_seconds == pytest.approx(2.0)
    assert sample.speech_mask(320).sum() == pytest.approx(100, abs=1)


def test_rows_are_pooled_and_missing_scores_stay_missing() -> None:
    rows = [
        {"words": 10, "word_errors": 1.0, "seconds": 1.0, "payload_bits": 100.0, "estoi": 0.5},
        {"words": 30, "word_errors": 9.0, "seconds": 3.0, "payload_bits": 500.0, "estoi": np.nan},
    ]
    figures = scoring.summarise(rows)
    assert figures["wer"] == pytest.approx(0.25)
    assert figures["payload_bps"] == pytest.approx(150.0)
    assert figures["estoi"] == pytest.approx(0.5)
    assert figures["sent_per"] is None
    table = markdown(
        (Column("WER %", "wer", "{:.1f}", True), Column("x", "sent_per")), {"a": figures}, "c"
    )
    assert table.splitlines()[-1] == "| a | 25.0 | – |"


def test_results_are_cached_and_written_whole(tmp_path: Path) -> None:
    scoring.save_row("key", {"wer": 0.5})
    assert scoring.load_row("key") == {"wer": 0.5}
    assert scoring.load_row("other") is None
    (scoring.cache_dir() / "key.json").write_text("{ broken")
    assert scoring.load_row("key") is None
    write_json(tmp_path / "a" / "b.json", {"x": float("nan"), "y": [1.23456]})
    assert json.loads((tmp_path / "a" / "b.json").read_text()) == {"x": None, "y": [1.2346]}


@pytest.mark.parametrize("arm", ["opus-12k", "codec2-1200"])
def test_peers_cross_links_and_lose_what_the_link_loses(sample: Sample, arm: str) -> None:
    if arm.startswith("codec2"):
        pytest.importorskip("pycodec2")
    call = make_call([sample, sample])
    clean = ARMS[arm](call, LINKS["loss 0%"], SEED)
    lossy = ARMS[arm](call, LINKS["loss 50%"], SEED)
    assert clean.figures["packets_lost"] == 0
    lost, sent = lossy.figures["packets_lost"], lossy.figures["packets_sent"]
    assert lost is not None
    assert sent is not None
    assert 0.25 < lost / sent < 0.75
    from engine import metrics

    scores = [metrics.estoi(sample.clean, c.clip(call, 1)) for c in (clean, lossy)]
    assert scores[0] > scores[1]
    again, other = (ARMS[arm](call, LINKS["loss 50%"], seed) for seed in (SEED, SEED + 1))
    assert again.figures == lossy.figures != other.figures


def test_figures_of_several_calls_are_their_mean() -> None:
    calls = [{"wer": 0.1, "event_loss": None}, {"wer": 0.3, "event_loss": 0.2}]
    assert mean_row(calls) == {"wer": pytest.approx(0.2), "event_loss": None}


@needs_speech
def test_noise_is_mixed_at_the_declared_ratio() -> None:
    for noisy in load_set("noise", 2):
        added = noisy.pcm - noisy.clean
        ratio = 10 * np.log10(np.mean(noisy.clean**2) / np.mean(added**2))
        assert ratio == pytest.approx(10.0, abs=1.0)


@needs_speech
@pytest.mark.parametrize(
    ("name", "group", "count"), [("accents", "adult", 8), ("children", "child", 4)]
)
def test_learners_are_heard_in_turn(name: str, group: str, count: int) -> None:
    samples = load_set(name, 2 * count)
    about = {clip.id: clip for clip in clips("speechocean")}
    speakers = [about[sample.id].speaker for sample in samples]
    assert len(set(speakers)) == count and speakers[:count] == speakers[count:]
    assert {about[sample.id].group for sample in samples} == {group}
    assert all(sample.text and sample.talkspurts() for sample in samples)
    assert all(np.array_equal(sample.pcm, sample.clean) for sample in samples)


@needs_speech
def test_the_codec_matrix_writes_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("pystoi")
    from benchmarks import codec_matrix

    arguments = ["--codecs", "original,opus-6k", "--clips", "1", "--out", str(tmp_path)]
    assert codec_matrix.main(arguments) == 0
    table = (tmp_path / "codec_matrix_readers.md").read_text()
    assert "opus-6k" in table
    figures = json.loads((tmp_path / "codec_matrix_readers.json").read_text())["codecs"]
    assert 0.0 <= figures["original"]["wer"] <= figures["opus-6k"]["wer"] <= 1.0
    assert (tmp_path / "codec_matrix_readers.png").stat().st_size > 5_000


def test_an_unknown_codec_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import codec_matrix

    with pytest.raises(SystemExit) as stopped:
        codec_matrix.main(["--codecs", "mp3"])
    assert stopped.value.code == 2


def test_scores_of_one_clip_hold_every_column(sample: Sample) -> None:
    pytest.importorskip("faster_whisper")
    pytest.importorskip("pesq")
    pytest.importorskip("speechmos")
    row = scoring.score_coded(sample, Coded(sample.pcm, 100.0, 100.0, phonemes=[1, 2, 3]))
    assert row["estoi"] == pytest.approx(1.0, abs=1e-3)
    assert row["speaker"] == pytest.approx(1.0, abs=1e-3)
    assert {"word_errors", "phoneme_errors", "pesq", "dnsmos", "sent_errors"} <= set(row)


def test_every_kind_of_packet_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_time.main(["--packets", "2", "--readings", "1"]) == 0
    printed = capsys.readouterr().out
    assert all(kind in printed for kind in parse_time.KINDS)
    largest = next(line for line in printed.splitlines() if f" {MAX_PACKET_EVENTS} events" in line)
    assert "100%" in largest
