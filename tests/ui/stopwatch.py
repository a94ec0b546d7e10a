"""An application that measures how long each of its events takes to handle."""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication


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
        kind = f"{type(receiver).__name__} {event.type()}"
        self._depth += 1
        try:
            return super().notify(receiver, event)
        finally:
            self._depth -= 1
            if self.handled is not None:
                self.handled.append((1000.0 * (time.thread_time() - began_s), kind))
