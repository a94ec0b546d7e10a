"""Keeps Python's garbage collector from stopping a call.

A full collection looks at every object there is: with the models' libraries loaded some 280,000,
150 ms in which no thread of the program runs a line of Python. While a call goes on, what was there
before is set aside and only what the call itself makes is looked at.
"""

from __future__ import annotations

import gc
import threading

_lock = threading.Lock()
_calls = 0


def call_began() -> None:
    """Leave what is there alone until the last call ended."""
    global _calls
    with _lock:
        _calls += 1
        gc.freeze()  # moves lists about; looks at nothing


def call_loaded() -> None:
    """The models are there too."""
    with _lock:
        if _calls:
            gc.freeze()


def call_ended() -> None:
    """After the last call, garbage of before is collected in its time."""
    global _calls
    with _lock:
        _calls = max(0, _calls - 1)
        if _calls == 0:
            gc.unfreeze()
