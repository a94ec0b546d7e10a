"""Runs the fuzzers for a few seconds each; CI and people run them for longer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESSES = sorted(Path(__file__).parent.glob("fuzz_*.py"))
SECONDS = int(os.environ.get("SOTTOVOCE_FUZZ_SECONDS", "5"))


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="pip install atheris to run the fuzzer"
)
@pytest.mark.timeout(SECONDS + 100)
@pytest.mark.parametrize("harness", HARNESSES, ids=lambda path: path.stem)
def test_the_fuzzer_finds_nothing(harness: Path, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(harness), f"-max_total_time={SECONDS}", "-timeout=10", "-verbosity=0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS + 90,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
