"""Logging to a rotating file on a thread of its own, without anything anyone said.

The log holds states, counters and errors. Phonemes, text, audio, voice descriptors and invite
codes never reach it: modules log numbers only, and a filter here cuts long or binary arguments.
Who logs something never waits for the disk. Each line is handed to the system as soon as the thread
comes to it, so that a program that is killed lacks the last moments at most.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from app.helper import Helper
from app.settings import log_dir

MAX_BYTES = 1 << 20
KEEP_FILES = 3
PATIENCE_S = 2.0  # for a slow disk, when the program ends
MAX_WAITING = 2_000  # lines on their way to the disk; drops the newest
MAX_TEXT = 300  # an invite code or a descriptor is longer than any message we write


def _cut(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:40]}… <{len(value)} characters>"
    if hasattr(value, "shape"):
        return f"<array {tuple(value.shape)}>"
    return value


class _NoContent(logging.Filter):
    """Replaces bytes, arrays and very long texts in a record's arguments by their size."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_cut(value) for value in record.args)
        elif isinstance(record.args, dict):
            record.args = {key: _cut(value) for key, value in record.args.items()}
        if isinstance(record.msg, str) and not record.args:
            record.msg = _cut(record.msg)
        return True


class _Later(logging.handlers.QueueHandler):
    """Hands records to a thread that writes them to ``file``."""

    def __init__(self, file: logging.Handler, path: Path) -> None:
        super().__init__(queue.Queue(1))  # not used: the thread has its own
        self.path = path
        self._file = file
        self._room = threading.Semaphore(MAX_WAITING)
        self._dropped = 0
        self._writer = Helper("log").start()

    def enqueue(self, record: logging.LogRecord) -> None:
        if not self._room.acquire(blocking=False):  # a disk that hangs
            self._dropped += 1
            return
        if self._dropped:
            record.msg, self._dropped = (
                f"{record.msg} (before it {self._dropped} lines were lost)",
                0,
            )
        self._writer.do(partial(self._write, record))

    def _write(self, record: logging.LogRecord) -> None:
        self._room.release()
        self._file.handle(record)

    def flush(self) -> None:
        """Returns when what was logged until now is in the file."""
        written = threading.Event()
        self._writer.do(written.set)
        written.wait(PATIENCE_S)

    def close(self) -> None:
        self._writer.close(PATIENCE_S)
        self._file.close()
        super().close()


def log_path() -> Path:
    return log_dir() / "sottovoce.log"


def finish_logging() -> None:
    """Returns when what was logged until now is in the file, or the disk took too long."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def set_up_logging() -> Path | None:
    """Send the root logger to the rotating file. Returns its path, None where it cannot be made."""
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if os.environ.get("SOTTOVOCE_DEBUG") else logging.INFO)
    for quiet in ("aiortc", "aioice", "matplotlib", "numba", "httpx", "asyncio"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    path = log_path()
    for handler in root.handlers:
        if isinstance(handler, _Later) and handler.path == path:
            return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=KEEP_FILES, encoding="utf-8", delay=True
        )
    except OSError as error:
        print(f"sottovoce: no log file ({error})", file=sys.stderr)
        root.addHandler(logging.NullHandler())
        return None
    file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    )
    handler = _Later(file, path)
    handler.addFilter(_NoContent())
    root.addHandler(handler)
    return path
