"""The doctor names what is wrong, and never falls ill itself."""

from __future__ import annotations

import json
import sys

import pytest

from app import doctor
from app.cli import run
from app.doctor import Check, examine, render


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_this_machine_has_what_is_needed() -> None:
    checks = by_name(examine())
    for name in ("Python", "Packages", "libopus", "UDP", "Folders"):
        assert checks[name].status == "good", checks[name]
    assert any(name.startswith("Model ") for name in checks)


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert doctor._display().status == "note"


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
        doctor, "examine", lambda: [Check("a", "good", "1"), Check("b", "bad", "2")]
    )
    assert run(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[1] == {"name": "b", "status": "bad", "found": "2"}


def test_it_prints_one_line_a_check() -> None:
    text = render([Check("a", "good", "1\n2"), Check("long name", "note", "3")])
    assert text.splitlines()[0] == "ok    a          1 2"
    assert len(text.splitlines()) == 3
