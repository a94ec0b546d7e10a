"""The demo as people run it: one command, a bundle, a table, and nothing left behind."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytestmark = [pytest.mark.network, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, timeout_s: float = 110) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "app", "demo", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_the_demo_runs_alone_and_leaves_a_bundle(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    done = run("--seconds", "9", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no warnings, no complaints of threads at the end
    assert "No display" in done.stdout
    assert "phonemes" in done.stdout
    assert "Opus" in done.stdout
    manifest = json.loads((out / "manifest.json").read_text())
    assert "20 % loss" in manifest["link"]
    for name in ("near", "far_phonemes", "far_opus"):
        info = soundfile.info(str(out / f"{name}.wav"))
        assert info.samplerate == 16_000
        assert info.duration > 4.0  # a starved machine leaves out what it had no time for
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert {event["side"] for event in events} == {"near", "far"}
    with (out / "stats.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    assert (out / "ada-to-bo").exists() is False
    assert (out / "bo-to-ada" / "report.html").exists()
    assert (out / "phonemes.TextGrid").exists()


def test_a_talker_that_is_no_sound_is_one_line_and_no_bundle(tmp_path: Path) -> None:
    talker = tmp_path / "talk.wav"
    talker.write_text("this is no sound")
    done = run("--talker", str(talker), "--out", str(tmp_path / "bundle"))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "talk.wav" in done.stderr
    assert not (tmp_path / "bundle").exists()
