"""An application that measures how long each of its events takes to handle, and the limits."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

FRAME_MS: Final = 16.0  # a screen shows 60 pictures a second
QUICK_MS: Final = 8.0  # what every turn of a running call keeps to; opening a page may take more
MAX_SLOW: Final = 0.03


class MeasuredApplication(QApplication):
    """While ``handled`` is a list, the processor time of every outermost event goes there.

    Processor time, not the clock's: other processes of a busy machine are not the window's fault.
    """

    handled: list[tuple[float, str]] | None = None
    """(ms, kind of event)."""
    _depth = 0

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        if self.handled is None or self._depth:
            return super().notify(receiver, event)
        began_s = time.thread_time()
        owner = receiver.parent()
        of = f" of {type(owner).__name__}" if owner is not None else ""
        kind = f"{type(receiver).__name__}{of}: {event.type().name}"
        self._depth += 1
        try:
            return super().notify(receiver, event)
        finally:
            self._depth -= 1
            if self.handled is not None:
                self.handled.append((1000.0 * (time.thread_time() - began_s), kind))


def assert_never_blocked(handled: list[tuple[float, str]], at_least: int = 30) -> None:
    """No event over a frame, and hardly one over half a frame.

    One single event may take two frames: another process of a busy machine can empty the caches,
    which processor time does not leave out. A second slow event, or a really slow one, is a fault.
    """
    work = sorted(entry for entry in handled if entry[0] > 0.5)
    assert len(work) >= at_least, f"only {len(work)} events: was the window shown at all?"
    slow = [entry for entry in work if entry[0] > QUICK_MS]
    assert work[-2][0] < FRAME_MS, f"the window was busy for {work[-2:]} ms"
    assert work[-1][0] < 2 * FRAME_MS, f"the window was busy for {work[-1]} ms"
    assert len(slow) <= 1 + MAX_SLOW * len(work), f"of {len(work)} events too many are slow: {slow}"
