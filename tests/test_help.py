"""Every script that people run explains itself."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import pytest

import benchmarks
import engine.training


def scripts() -> list[str]:
    """Modules with a command line in ``benchmarks`` and ``engine.training``."""
    names = []
    for package in (benchmarks, engine.training):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            spec = info.module_finder.find_spec(info.name, None)  # type: ignore[call-arg]
            assert spec is not None and spec.origin is not None
            with open(spec.origin, encoding="utf-8") as source:
                if '__name__ == "__main__"' in source.read():
                    names.append(info.name)
    return names


def test_there_are_scripts() -> None:
    assert {"benchmarks.codec_matrix", "engine.training.codec"} <= set(scripts())


@pytest.mark.parametrize("name", scripts())
def test_help_is_printed(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    module = importlib.import_module(name)
    try:
        code = module.main()
    except SystemExit as ended:
        code = ended.code
    assert not code
    assert "usage:" in capsys.readouterr().out
