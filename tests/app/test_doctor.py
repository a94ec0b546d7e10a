"""The doctor names what is wrong, and never falls ill itself."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest

from app import desktop, doctor
from app.cli import run
from app.doctor import Check, examine, render


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_this_machine_has_what_is_needed() -> None:
    checks = by_name(examine())
    for name in ("Python", "Packages", "libopus", "UDP", "Folders"):
        assert checks[name].status == "good", checks[name]
    models = [check for name, check in checks.items() if name.startswith("Model ")]
    assert len(models) >= 5
    assert [check for check in models if check.status != "good"] == []


def test_ports_that_are_closed_are_said_with_what_closes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(socket.socket):
        def bind(self, _address: object) -> None:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", Closed)
    found = doctor._ports()
    assert found.status == "bad"
    assert "firewall" in found.found


def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    good = doctor._folders()
    assert good.status != "bad" and "log in" in good.found
    monkeypatch.setattr(doctor.os, "access", lambda _path, _mode: False)
    assert doctor._folders().status == "bad"
    assert "cannot be written to" in doctor._folders().found


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert doctor._display().status == "note"


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="menu entries are made on Linux")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desktop of its own, without anybody's entries."""
    for name, folder in (
        ("HOME", ""),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_DIRS", "shared"),
        ("XDG_CONFIG_DIRS", "none"),
    ):
        monkeypatch.setenv(name, str(tmp_path / folder))
    return tmp_path


@needs_linux
def test_it_says_whether_the_menu_and_links_know_the_program(home: Path) -> None:
    before = by_name(doctor._desktop())
    assert before["Menu entry"].status == before["Links"].status == "note"
    assert "sottovoce desktop" in before["Menu entry"].found
    done = desktop.install()
    after = by_name(doctor._desktop())
    assert after["Menu entry"].status == "good"
    assert str(desktop.entry_path()) in after["Menu entry"].found
    if shutil.which("xdg-mime"):
        assert "open here" in done[-1]
        assert after["Links"].status == "good"
    desktop.remove()
    assert by_name(doctor._desktop())["Menu entry"].status == "note"


@needs_linux
@pytest.mark.parametrize("command", ["/gone/sottovoce open %u", '"an open quotation mark', ""])
def test_an_entry_whose_program_is_gone_is_told(home: Path, command: str) -> None:
    entry = desktop.entry_path()
    entry.parent.mkdir(parents=True)
    entry.write_text(f"[Desktop Entry]\nExec={command}\n")
    found = by_name(doctor._desktop())["Menu entry"]
    assert found.status == "note"  # calls work without it
    assert "not there" in found.found
    assert "sottovoce desktop" in found.found


@needs_linux
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("other.desktop", "note", "other.desktop opens"),
        ("", "note", "nothing opens"),
        (None, "note", "no xdg-mime"),
        (desktop.ENTRY, "good", desktop.ENTRY),
    ],
    ids=["another program", "nobody", "no tool", "we do"],
)
def test_it_says_who_opens_links(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str | None,
    status: str,
    words: str,
) -> None:
    monkeypatch.setattr(desktop, "_asked", lambda *_words: answer)
    found = by_name(doctor._desktop())["Links"]
    assert found.status == status
    assert words in found.found


def test_a_check_that_breaks_is_reported_not_raised() -> None:
    def broken() -> Check:
        raise ValueError("what")

    assert doctor._guarded("x", broken) == [Check("x", "bad", "ValueError: what")]


def test_an_altered_model_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from engine import weights

    folder = tmp_path_factory.mktemp("models")
    (folder / "voice.safetensors").write_bytes(b"rubbish")
    monkeypatch.setattr(weights, "MODELS_DIR", folder)
    (found,) = doctor._models()
    assert found.status == "bad"
    assert "voice" in found.found


def test_the_command_prints_json_and_ends_with_an_error_when_something_is_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        doctor, "examine", lambda library: [Check("a", "good", "1"), Check("b", "bad", "2")]
    )
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[1] == {"name": "b", "status": "bad", "found": "2"}


def test_it_prints_one_line_a_check() -> None:
    text = render([Check("a", "good", "1\n2"), Check("long name", "note", "3")])
    assert text.splitlines()[0] == "ok    a          1 2"
    assert len(text.splitlines()) == 3
