"""What holds a window up from outside while a call goes on: libraries being loaded, which holds the
interpreter, and threads being made meanwhile, which wait for that with the interpreter in hand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import pytest

_MAPS: Final = Path("/proc/self/maps")  # Linux


def loaded_libraries() -> set[str]:
    """Names of the shared libraries in this process; none where the system does not tell."""
    lines = _MAPS.read_text().splitlines() if _MAPS.exists() else []
    paths = (line.split(maxsplit=5)[-1] for line in lines if ".so" in line)
    return {Path(path).name for path in paths}


def threads_made_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """From now on the names of the threads that the caller's thread makes go into the list."""
    made: list[str] = []
    here = threading.current_thread()
    start = threading.Thread.start

    def watched(thread: threading.Thread) -> None:
        if threading.current_thread() is here:
            made.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", watched)
    return made
