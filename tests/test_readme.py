"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from app.cli import cli
from app.wavfile import read_wav, write_wav
from tests.speech import any_speech

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks("python")
    talk = any_speech(3.0)
    write_wav(tmp_path / "talk.wav", talk)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    again = read_wav(tmp_path / "again.wav")
    assert len(again) == len(talk)
    assert np.abs(again).max() > 0.01
    assert re.fullmatch(r"\d+ bit/s and \d+ bits of voice\n", capsys.readouterr().out)


def test_every_command_shown_exists() -> None:
    shown = set(re.findall(r"^sottovoce ([a-z]+)", "\n".join(blocks("sh")), re.M))
    known = {
        command.name or getattr(command.callback, "__name__", "")
        for command in cli.registered_commands
    }
    assert shown
    assert shown <= known


def test_every_make_target_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    shown = set(re.findall(r"(?:`|^)make (?:[A-Z_]+=\S+ )*([a-z]+)", README, re.M))
    assert shown
    assert shown <= targets


def test_every_picture_and_file_linked_is_there() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize(
    ("first", "source"), [("codec", "codec_matrix_readers.md"), ("link", "packet_policy.md")]
)
def test_the_figures_are_those_of_the_last_benchmark(first: str, source: str) -> None:
    def table(text: str) -> dict[str, dict[str, str]]:
        lines = [line for line in text.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        start = next(i for i, row in enumerate(rows) if row[0] == first)
        head, found = rows[start], {}
        for row in rows[start + 2 :]:
            if len(row) != len(head):
                break
            found[row[0]] = dict(zip(head, row, strict=True))
        return found

    shown = table(README)
    measured = table((ROOT / "benchmarks" / "results" / source).read_text(encoding="utf-8"))
    assert shown
    for name, figures in shown.items():
        assert figures.items() <= measured[name].items()
