"""Keeps Python's garbage collector from stopping a call.

A full collection looks at every object there is: with the models' libraries loaded some 280,000,
150 ms in which no thread of the program runs a line of Python. Nothing is collected while a call
loads its models; while it goes on, what was there before is set aside and only what the call itself
makes is looked at.
"""

from __future__ import annotations

import gc
import threading

_lock = threading.Lock()
_loading: set[object] = set()
_calls: set[object] = set()


class Rest:
    """From the beginning of one call to its end."""

    def __init__(self) -> None:
        with _lock:
            _loading.add(self)
            _calls.add(self)
            gc.disable()

    def loaded(self) -> None:
        """The models are there: leave what is there alone until the last call ended."""
        with _lock:
            if self in _loading:
                _loading.discard(self)
                gc.freeze()  # moves lists about; looks at nothing
                if not _loading:
                    gc.enable()

    def end(self) -> None:
        """After the last call, garbage of before it is collected in its time."""
        self.loaded()
        with _lock:
            _calls.discard(self)
            if not _calls:
                gc.unfreeze()
