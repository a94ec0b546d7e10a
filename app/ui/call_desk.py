"""Holds the one call of a window: makes it on another thread, and lets go of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app.call_controls import CallControls
from app.settings import Settings
from app.ui.tasks import Tasks

OpenCall = Callable[[Settings], CallControls]
Failed = Callable[[str], None]


class CallDesk:
    """``open_call`` runs on a pool: the imports behind a first call take seconds."""

    def __init__(self, open_call: OpenCall) -> None:
        self.call: CallControls | None = None
        self._open_call = open_call
        self._tasks = Tasks()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="window")

    def open(
        self, settings: Settings, then: Callable[[CallControls], None], failed: Failed
    ) -> None:
        """Give ``then`` the call, a new one where there is none."""
        if self.call is not None:
            then(self.call)
            return

        def opened(call: CallControls) -> None:
            self.call = call
            then(call)

        self._tasks.add(self._pool.submit(self._open_call, settings), opened, failed)

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
        """End the call, if there is one, and let go of it."""
        call = self.forget()
        if call is not None:
            call.hang_up()

    def close(self) -> None:
        self.drop()
        self._pool.shutdown(wait=False, cancel_futures=True)
