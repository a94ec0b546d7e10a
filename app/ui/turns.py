"""A longer job on the window's thread, cut into pieces: one a turn of the event loop.

Between two pieces the window paints, hears the mouse and follows its call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from PySide6.QtCore import QObject, QTimer

_DONE = object()


class Turns(QObject):
    """``job`` does a piece of its work each time it is asked for its next value."""

    def __init__(self, owner: QObject, job: Iterator[object]) -> None:
        """Begins with the next turn; what ``owner`` does not live to see is left out."""
        super().__init__(owner)
        self._job = job
        self._wait()

    def finish(self) -> None:
        """All that is left, now."""
        for _piece in self._job:
            pass

    def stop(self) -> None:
        self._job = iter(())

    def _wait(self) -> None:
        QTimer.singleShot(0, self, self._next)

    def _next(self) -> None:
        if next(self._job, _DONE) is not _DONE:
            self._wait()
        else:
            self.deleteLater()


def each(steps: Iterable[Callable[[], object]]) -> Iterator[object]:
    """A job of which every one of ``steps`` is a piece."""
    return (step() for step in steps)
