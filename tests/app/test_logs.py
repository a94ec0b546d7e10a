"""The log says what happened and never what was said."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from app import logs
from app.logs import log_path, set_up_logging

pytestmark = pytest.mark.usefixtures("own_log")
ROOT = Path(__file__).resolve().parents[2]


def written() -> str:
    """The log, once what was logged is in it."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return log_path().read_text()


def test_bytes_arrays_and_long_texts_are_cut_to_their_size() -> None:
    set_up_logging()
    log = logging.getLogger("test")
    log.info("voice %s", b"\x01" * 42)
    log.info("pcm %s", np.zeros(160, np.float32))
    log.info("invite %s", "S" * 900)
    log.info("T" * 900)
    log.info("loss %.1f %%", 20.0)
    text = written()
    assert "<42 bytes>" in text
    assert "<array (160,)>" in text
    assert "S" * 50 not in text
    assert "T" * 50 not in text
    assert "loss 20.0 %" in text


def test_the_log_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2_000)
    set_up_logging()
    for number in range(200):
        logging.getLogger("test").info("line %d", number)
    written()
    files = sorted(log_path().parent.iterdir())
    assert len(files) == logs.KEEP_FILES + 1
    assert all(file.stat().st_size <= 2_000 for file in files)


KILLED = """
import logging, os, signal, sys, time
from app.logs import set_up_logging
set_up_logging()
for number in range(200):
    logging.getLogger("test").info("line %d", number)
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_program_leaves_all_but_the_last_moment_in_its_log() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert "line 199" in log_path().read_text()


def test_a_disk_that_hangs_fills_no_memory_and_the_gap_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 5)
    set_up_logging()
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logs._Later)]
    handler = next(h for h in handlers if h.path == log_path())
    disk, hanging = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        disk.wait(10.0)

    handler._writer.do(hang)
    assert hanging.wait(10.0)
    for number in range(50):
        logging.getLogger("test").info("line %d.", number)
    assert handler._writer._jobs.qsize() == 5
    disk.set()
    written()
    logging.getLogger("test").info("goes on")
    text = written()
    assert "line 4." in text and "line 5." not in text
    assert "goes on (before it 45 lines were lost)" in text


def test_setting_up_twice_writes_once() -> None:
    set_up_logging()
    set_up_logging()
    logging.getLogger("test").info("once")
    assert written().count("once") == 1


def test_without_a_place_for_the_log_the_program_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SOTTOVOCE_HOME", str(tmp_path / "file"))
    assert set_up_logging() is None
    assert "no log file" in capsys.readouterr().err
