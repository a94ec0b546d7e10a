"""Where the program's time comes from, so that ports and loops can be driven by a test.

``SystemClock`` is what calls run on. ``ManualClock`` stands still until it is moved, so that an
hour of audio can pass a port in a millisecond.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> float:
        """Milliseconds since an arbitrary moment; never goes back."""


class SystemClock:
    def now_ms(self) -> float:
        return time.monotonic() * 1000.0


class ManualClock:
    def __init__(self, start_ms: float = 0.0) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> float:
        return self._now_ms

    def advance(self, ms: float) -> None:
        self._now_ms += max(0.0, ms)
