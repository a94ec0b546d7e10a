"""The evaluation bundle: complete, readable by others, the same bytes for the same call."""

from __future__ import annotations

import csv
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app import watermark as watermark_module
from app.evaluate import evaluate_bundle
from app.export import TWO_TALKERS, Bundle, EventRow, PacketRow, Status, export_bundle
from app.watermark import watermark, watermark_available, watermark_confidence
from engine.errors import SottovoceError
from engine.events import PhonemeEvent
from tests.speech import any_speech

FILES = {
    "near.wav", "far_phonemes.wav", "events.jsonl", "packets.csv", "stats.csv",
    "phonemes.TextGrid", "manifest.json", "report.html",
}  # fmt: skip


def sound(seconds: float = 3.0) -> np.ndarray:
    n = np.arange(int(seconds * 16_000))
    return (0.2 * np.sin(n * 0.2) * (1 + np.sin(n * 0.001))).astype(np.float32)


def a_bundle(title: str = "A call") -> Bundle:
    said = [
        PhonemeEvent(i, 1 + i % 42, 10 * i, 9, i % 3 > 0, (12, 14), 15, (1, 2, 3))
        for i in range(25)
    ]
    fates: dict[int, Status] = {3: "lost", 4: "concealed"}
    heard = [EventRow("far", e, fates.get(i, "played"), 10 * i + 5, 12) for i, e in enumerate(said)]
    return Bundle(
        title=title,
        sounds={"near": sound(), "far_phonemes": 0.5 * sound()},
        events=[*(EventRow("near", e, "sent") for e in said), *heard],
        packets=[
            PacketRow("phonemes", "out", 0, 0.5, 61.25, 30, 80),
            PacketRow("phonemes", "out", 1, 160.5, None, 30, 80),
        ],
        stats=[{"second": i, "phonemes_payload_bps": 700.0 + i} for i in range(3)],
        summary={"phonemes": {"payload_bps": 701.0, "events_lost": 1}},
        manifest={"seed": 1, "consent": {"near": True, "far": True}},
    )


def test_the_bundle_holds_every_file_and_others_can_read_them(tmp_path: Path) -> None:
    from praatio import textgrid

    folder = export_bundle(a_bundle(), tmp_path / "out", marked=False)
    assert {path.name for path in folder.iterdir()} == FILES
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert len(events) == 50
    assert events[0]["phoneme"] == "aɪ"
    with (folder / "packets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arrival_ms"] for row in rows] == ["61.250", ""]
    grid = textgrid.openTextgrid(str(folder / "phonemes.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("near", "far")
    assert len(grid.getTier("near").entries) == 25
    far = [entry.label for entry in grid.getTier("far").entries]
    assert len(far) == 24  # the lost one was never spoken
    assert grid.getTier("near").entries[1].start == pytest.approx(0.1)
    assert grid.getTier("far").entries[1].start == pytest.approx(0.17)  # when it was spoken
    assert sum(label.endswith("*") for label in far) == 1
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["consent"] == {"near": True, "far": True}
    assert manifest["versions"]["torch"].startswith("2.13")
    assert manifest["sounds"]["far_phonemes"]["synthetic"] is True


def test_the_report_needs_nothing_but_itself(tmp_path: Path) -> None:
    folder = export_bundle(a_bundle("<script>alert(1)</script>"), tmp_path / "out", marked=False)
    page = (folder / "report.html").read_text()
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:audio/wav;base64,") == 2
    assert page.count("<audio ") == page.count('src="data:audio/wav')
    for drawn in ("<svg", ">Payload", ">On the wire", ">Delay", ">Loss"):
        assert drawn in page
    assert "synthetic voice" in page


def test_the_same_bundle_is_the_same_bytes(tmp_path: Path) -> None:
    one = export_bundle(a_bundle(), tmp_path / "one", marked=False)
    two = export_bundle(a_bundle(), tmp_path / "two", marked=False)
    for name in FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    first = export_bundle(a_bundle(), tmp_path / "a.zip", marked=False).read_bytes()
    again = export_bundle(a_bundle(), tmp_path / "a.zip", marked=False).read_bytes()
    assert first == again
    with zipfile.ZipFile(tmp_path / "a.zip") as pack:
        assert pack.testzip() is None
        assert {Path(name).name for name in pack.namelist()} == FILES


def test_synthetic_speech_carries_its_tag_in_the_file(tmp_path: Path) -> None:
    folder = export_bundle(a_bundle(), tmp_path / "out", marked=False)
    with soundfile.SoundFile(folder / "far_phonemes.wav") as file:
        assert "Synthetic speech" in file.comment
    with soundfile.SoundFile(folder / "near.wav") as file:
        assert not file.comment


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import app.export as module

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_textgrid", full)
    with pytest.raises(SottovoceError, match="No space left"):
        export_bundle(a_bundle(), tmp_path / "out", marked=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SottovoceError, match="in the way"):
        export_bundle(a_bundle(), tmp_path / "file", marked=False)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    export_bundle(a_bundle(), folder, marked=False)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_call_in_which_nothing_was_said_still_exports(tmp_path: Path) -> None:
    empty = Bundle("Nothing", {"near": np.zeros(0, np.float32)})
    folder = export_bundle(empty, tmp_path / "out", marked=False)
    assert "nothing to show" in (folder / "report.html").read_text()


def test_recorded_files_are_taken_as_they_are(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "far.wav", sound(), 16_000)
    bundle = Bundle("Call", {"far_opus": tmp_path / "far.wav", "near": tmp_path / "none.wav"})
    folder = export_bundle(bundle, tmp_path / "out", marked=False)
    assert soundfile.info(folder / "far_opus.wav").frames == 48_000
    assert not (folder / "near.wav").exists()


@pytest.mark.slow
def test_the_watermark_can_be_found_and_is_not_heard() -> None:
    if not watermark_available():
        pytest.skip("resemble-perth is not installed (extra eval)")
    pcm = any_speech(6.0)
    marked = watermark(pcm)
    assert marked.shape == pcm.shape
    assert (watermark_confidence(marked) or 0.0) > 0.9
    assert (watermark_confidence(pcm) or 0.0) < 0.5
    assert np.abs(marked - pcm).max() < 0.3
    np.testing.assert_array_equal(marked, watermark(pcm))


def test_without_the_watermark_package_speech_passes_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watermark_module, "_watermarker", lambda: None)
    pcm = sound()
    assert watermark(pcm) is pcm
    assert watermark_confidence(pcm) is None


def test_two_people_in_a_call_are_not_scored_against_each_other(tmp_path: Path) -> None:
    bundle = replace(a_bundle(), manifest={TWO_TALKERS: "near here, far there"})
    folder = export_bundle(bundle, tmp_path / "call", marked=False)
    with pytest.raises(SottovoceError, match="other side recorded"):
        evaluate_bundle(folder)
    assert "Who talked here" in (folder / "report.html").read_text()
