"""Holds the one call of a window: makes it, begins it and lets go of it on another thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app.call_controls import CallControls
from app.settings import Settings
from app.ui.tasks import Tasks

OpenCall = Callable[[Settings], CallControls]
Begin = Callable[[CallControls], Future[Any]]
Failed = Callable[[str], None]


class CallDesk:
    """The imports behind a first call take seconds, and a call that begins makes a certificate and
    a dozen threads: all that happens on the desk's own thread, which is there from the start."""

    def __init__(self, open_call: OpenCall) -> None:
        self.call: CallControls | None = None
        self._open_call = open_call
        self._tasks = Tasks()
        self._begun: Future[tuple[CallControls, Future[Any]]] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="window")
        self._pool.submit(int)

    def begin(
        self, settings: Settings, begin: Begin, then: Callable[[Any], None], failed: Failed
    ) -> None:
        """``begin`` the call, a new one where there is none, and give ``then`` what comes of it."""
        old = self.call

        def work() -> tuple[CallControls, Future[Any]]:
            call = old or self._open_call(settings)
            return call, begin(call)

        def begun(result: tuple[CallControls, Future[Any]]) -> None:
            self._begun = None
            self.call, future = result
            self.when(future, then, failed)

        self._begun = self._pool.submit(work)
        self._tasks.add(self._begun, begun, failed)

    def when(self, future: Future[Any], then: Callable[[Any], None], failed: Failed) -> None:
        """Go on when ``future`` is done, in the window's thread."""
        self._tasks.add(future, then, failed)

    def poll(self) -> None:
        self._tasks.poll()

    def forget(self) -> CallControls | None:
        """Let go of the call without ending it."""
        self._tasks.forget()
        call, self.call = self.call, None
        return call

    def drop(self) -> None:
        """End the call, if there is one or one is being made, and let go of it."""
        begun, self._begun = self._begun, None
        call = self.forget()
        if begun is not None and not begun.cancel():
            self._pool.submit(_end, begun)  # behind what makes it
        if call is not None:
            self._pool.submit(call.hang_up)

    def close(self) -> None:
        self.drop()
        self._pool.shutdown(wait=False)


def _end(begun: Future[tuple[CallControls, Future[Any]]]) -> None:
    if begun.exception() is None:
        begun.result()[0].hang_up()
