"""The command line as other programs see it: exit codes, one-line errors, files whole or absent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from app.cli import run
from app.wavfile import read_wav, write_wav
from engine.events import MAX_LAYERS
from engine.opus import opus_features
from engine.opus_library import _bundled
from tests.speech import any_speech

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "gui", "open", "desktop", "call", "demo", "encode", "decode", "info", "morph", "simulate",
    "evaluate", "echo", "doctor",
)  # fmt: skip


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "talk.wav"
    write_wav(path, any_speech(4.0))
    return path


@pytest.fixture(scope="module")
def sotto(talk: Path) -> Path:
    path = talk.with_name("talk.sotto")
    assert run(["encode", str(talk), str(path)]) == 0
    return path


def one_line_error(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.startswith("sottovoce: "), text
    assert text.count("\n") == 1, text
    assert "internal error" not in text, text
    return text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert f"sottovoce {command}" in text or command == "gui"
    assert command == "gui" or "Example" in text


def test_help_answers_at_once() -> None:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "app", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    for heavy in ("torch", "PySide6.QtWidgets", "aiortc", "scipy"):
        assert not re.search(rf"\| +{re.escape(heavy)}$", done.stderr, re.M), heavy
    assert seconds < 5.0  # about 0.3 s on an idle machine


def test_the_launcher_and_the_module_are_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("sottovoce ")
    assert os.access(ROOT / "sottovoce", os.X_OK)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["encode"],
        ["encode", "a.wav", "b.sotto", "--layers", "5"],
        ["encode", "a.wav", "b.sotto", "--layers", "x"],
        ["simulate", "a.wav", "out", "--loss", "1.5"],
        ["simulate", "a.wav", "out", "--loss", "nan"],
        ["simulate", "a.wav", "out", "--seed", "-1"],
        ["simulate", "a.wav", "out", "--arm", "carrier-pigeon"],
        ["simulate", "a.wav", "out", "--opus-frame-ms", "25"],
        ["call"],
        ["call", "--listen", "--invite", "x"],
        ["call", "--listen", "--arm", "x"],
        ["demo", "--loss", "2"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_ends_with_2_and_one_line(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert "--help` shows" in one_line_error(capsys)
    assert list(tmp_path.iterdir()) == []


def test_bad_sounds_end_with_1_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "empty.wav": b"",
        "text.wav": b"hello\n",
        "short.wav": b"RIFF\x24\x00\x00\x00WAVE",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    before = {path.name for path in tmp_path.iterdir()}
    for name in (*bad, "missing.wav"):
        for command, target in (("encode", "out.sotto"), ("simulate", "out")):
            assert run([command, str(tmp_path / name), str(tmp_path / target)]) == 1
            assert name in one_line_error(capsys)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_bad_recordings_end_with_1_and_leave_nothing(
    sotto: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sotto.read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 0x40
    bad = {
        "empty.sotto": b"",
        "cut.sotto": whole[: len(whole) // 2],
        "flipped.sotto": bytes(flipped),
        "wav.sotto": b"RIFF" + bytes(100),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    before = {path.name for path in tmp_path.iterdir()}
    for name in (*bad, "missing.sotto"):
        assert run(["info", str(tmp_path / name)]) == 1
        assert name in one_line_error(capsys)
        assert run(["decode", str(tmp_path / name), str(tmp_path / "out.wav")]) == 1
        assert name in one_line_error(capsys)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_an_impossible_output_is_refused_before_the_work(
    talk: Path, sotto: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert run(["encode", str(talk), str(tmp_path / "no" / "a.sotto")]) == 1
    assert "does not exist" in one_line_error(capsys)
    assert run(["decode", str(sotto), str(tmp_path)]) == 1
    assert "is a folder" in one_line_error(capsys)
    assert run(["simulate", str(talk), str(tmp_path / "file")]) == 1
    assert "is a file" in one_line_error(capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_encode_info_decode_and_morph_make_a_round_trip(
    talk: Path, sotto: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["info", str(sotto), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    for key in (
        "seconds", "events", "payload_bits", "descriptor_bits", "bits_per_second", "layers",
    ):  # fmt: skip
        assert key in facts
    assert facts["seconds"] == pytest.approx(4.0, abs=0.05)
    assert 0 < facts["descriptor_bits"] <= 48 * 8
    assert 0 < facts["bits_per_second"] < 600
    assert facts["events"] > 10

    assert run(["decode", str(sotto), str(tmp_path / "again.wav")]) == 0
    spoken = read_wav(tmp_path / "again.wav")
    assert len(spoken) == len(read_wav(talk))
    assert np.sqrt(np.mean(spoken**2)) > 0.002

    between = tmp_path / "between.wav"
    assert run(["morph", str(sotto), str(sotto), str(between), "--amount", "0.5"]) == 0
    assert len(read_wav(between)) == len(spoken)


def test_fewer_layers_cost_fewer_bits(
    talk: Path, sotto: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base.sotto"
    assert run(["encode", str(talk), str(base), "--layers", "0"]) == 0
    capsys.readouterr()
    assert run(["info", str(base), "--json"]) == 0
    low = json.loads(capsys.readouterr().out)
    assert run(["info", str(sotto), "--json"]) == 0
    full = json.loads(capsys.readouterr().out)
    assert low["layers"] == 0
    assert full["layers"] == MAX_LAYERS
    assert low["payload_bits"] < 0.7 * full["payload_bits"]


def test_an_internal_error_is_one_line_and_its_traceback_goes_to_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scratch_home: Path
) -> None:
    import app.doctor

    def broken(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(app.doctor, "examine", broken)
    assert run(["doctor"]) == 1
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "KeyError" in text
    assert "Traceback" in (scratch_home / "logs" / "sottovoce.log").read_text()


def test_evaluate_refuses_a_folder_that_is_no_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(tmp_path)]) == 1
    assert "near.wav" in one_line_error(capsys)


def test_without_a_display_the_window_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert run([]) == 1
    assert "sottovoce call" in one_line_error(capsys)


def test_a_capacity_trace_and_a_wire_rate_bind_a_simulated_call(talk: Path, tmp_path: Path) -> None:
    trace = tmp_path / "narrow.trace"
    trace.write_text("0 4000\n1 0\n2.5 4000\n")
    out = tmp_path / "out"
    options = ["--arm", "phonemes", "--loss", "0", "--trace", str(trace), "--wire-kbps", "2.5"]
    assert run(["simulate", str(talk), str(out), *options]) == 0
    figures = json.loads((out / "report.json").read_text())["phonemes"]
    assert figures["packets_lost"] > 0  # only the trace can have lost any
    assert figures["wire_bps"] < 5_300  # 6200 without the option, 4400 with it: the start is dear


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--opus-library", "/nonexistent/libopus.so"], "--opus-library"),
        (["--trace", "/nonexistent/a.trace"], "text file"),
        (["--trace", __file__], "Line 1"),
    ],
)
def test_a_library_or_trace_that_is_none_is_refused_at_once(
    talk: Path, tmp_path: Path, options: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", str(talk), str(tmp_path / "out"), *options]) == 1
    assert advice in one_line_error(capsys)


def test_deep_plc_is_refused_where_the_library_has_none(
    talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if opus_features().deep_plc:
        pytest.skip("this libopus has deep PLC")
    assert run(["simulate", str(talk), str(tmp_path / "out"), "--opus-deep-plc"]) == 1
    assert "--opus-library" in one_line_error(capsys)


def test_doctor_and_simulation_use_the_library_that_is_named(
    talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [path for path in _bundled() if opus_features(path) != opus_features()]
    if not others:
        pytest.skip("there is only one libopus here")
    run(["doctor", "--opus-library", others[0]])
    assert opus_features(others[0]).version in capsys.readouterr().out
    sent = []
    for library in ([], ["--opus-library", others[0]]):
        out = tmp_path / str(len(sent))
        assert run(["simulate", str(talk), str(out), "--arm", "opus", *library]) == 0
        sent.append((out / "far_opus.wav").read_bytes())
    assert sent[0] != sent[1]
