"""The layers stay layers: what may import what, what the engine may touch, how long a module is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("engine", "transport", "app")
MAX_LINES = 400
TOP_LEVEL = {
    "app", "engine", "transport", "assets", "tests", "benchmarks", "pyproject.toml", "README.md",
    "Makefile", "LICENSE", "sottovoce",
}  # fmt: skip

ALLOWED = {
    "engine": {"engine"},
    "transport": {"transport", "engine"},
    "app": {"app", "transport", "engine"},
}
# What computes must not wait, open or draw.
IMPURE = {
    "asyncio", "aiortc", "aioice", "av", "PySide6", "pyqtgraph", "sounddevice", "soundfile",
    "socket", "multiprocessing", "subprocess", "time", "typer", "rich",
}  # fmt: skip
FILE_SYSTEM = {"os", "io", "pathlib", "shutil", "tempfile", "glob"}
MAY_OPEN_FILES = {"engine/codec.py", "engine/weights.py", "engine/whisper_weights.py"}
CLOCKS = {"time", "monotonic", "perf_counter", "sleep", "now"}


def modules(*layers: str) -> list[Path]:
    return [path for layer in layers for path in sorted((ROOT / layer).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, anywhere in it, but for those under ``TYPE_CHECKING``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing_only.update(id(inner) for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, node.lineno


@pytest.mark.parametrize("path", modules(*LAYERS), ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    wrong = [
        f"line {line}: {module}"
        for module, line in imports(path)
        if module.split(".")[0] in LAYERS and module.split(".")[0] not in ALLOWED[layer]
    ]
    assert not wrong, f"{name_of(path)} imports upwards: {wrong}"


@pytest.mark.parametrize(
    "path",
    [p for p in modules("engine") if "training" not in p.parts],
    ids=name_of,
)
def test_the_engine_only_computes(path: Path) -> None:
    forbidden = set(IMPURE)
    if name_of(path) not in MAY_OPEN_FILES:
        forbidden |= FILE_SYSTEM
    if name_of(path) == "engine/opus.py":
        forbidden -= {"os"}  # a library's path may come from the environment
    wrong = [
        f"line {line}: {module}"
        for module, line in imports(path)
        if module.split(".")[0] in forbidden
    ]
    assert not wrong, f"{name_of(path)} is not pure: {wrong}"


@pytest.mark.parametrize("path", modules("transport", "app"), ids=name_of)
def test_training_is_never_imported_by_the_program(path: Path) -> None:
    assert not [line for module, line in imports(path) if module.startswith("engine.training")]


@pytest.mark.parametrize("path", modules(*LAYERS, "benchmarks", "tests"), ids=name_of)
def test_modules_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name_of(path)} has {lines} lines: split it by noun"


@pytest.mark.parametrize("path", [p for p in modules(*LAYERS) if p.stat().st_size], ids=name_of)
def test_modules_open_with_what_they_are_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_top_level_stays_small() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    extra = {name for name in names - TOP_LEVEL if not name.startswith(".")}
    assert not extra


def test_the_engine_loads_without_windows_or_network() -> None:
    """What a server that only encodes pays for: no Qt, no aiortc, no asyncio loop."""
    code = (
        "import sys, engine.codec; "
        "bad = {'PySide6', 'aiortc', 'sounddevice', 'typer'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
