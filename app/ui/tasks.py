"""What takes its time: futures that end in the window's thread, asked about by a timer and never
waited for, and the threads on which windows write to the disk and ask for sound devices."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final

from app.ui.outside_words import in_user_language
from app.ui.view_models import tr
from engine.errors import SottovoceError

log = logging.getLogger(__name__)

DISK: Final = ThreadPoolExecutor(1, thread_name_prefix="disk")
"""One for all windows: what is given to it last is written last, also before the program ends."""
DEVICES: Final = ThreadPoolExecutor(1, thread_name_prefix="devices")


def start_threads() -> None:
    """Make both threads now: ``app.helper`` says why not in a call."""
    for pool in (DISK, DEVICES):
        pool.submit(int)


def error_line(error: BaseException) -> str:
    """One line for the user."""
    if isinstance(error, SottovoceError):
        return in_user_language(" ".join(str(error).split()))
    return tr("Something went wrong ({0}). The log says more.").format(type(error).__name__)


class Tasks:
    """Pending futures and what to do with their results."""

    def __init__(self) -> None:
        self._pending: list[tuple[Future[Any], Callable[[Any], None], Callable[[str], None]]] = []

    def add(
        self,
        future: Future[Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        self._pending.append((future, done, failed))

    def forget(self) -> None:
        """Nobody wants the results any more."""
        self._pending.clear()

    def poll(self) -> None:
        """Deliver what is finished. Call it from the window's thread."""
        ready = [task for task in self._pending if task[0].done()]
        self._pending = [task for task in self._pending if not task[0].done()]
        for future, done, failed in ready:
            try:
                result = future.result(timeout=0)
            except CancelledError:
                continue
            except Exception as error:
                if not isinstance(error, SottovoceError):
                    log.error("a task of the window failed", exc_info=error)
                failed(error_line(error))
            else:
                done(result)
