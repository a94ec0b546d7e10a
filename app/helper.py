"""A thread that is there before it is needed.

While a library is being loaded the system lets no thread be made, and whoever makes one waits with
Python's interpreter in hand: on a busy disk most of a second in which nothing of the program
moves. So what a call or its window hands over goes to threads that were started before the call.
"""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from collections.abc import Callable

log = logging.getLogger(__name__)

Job = Callable[[], object]


class Helper:
    """Does jobs in turn on a daemon thread, which ends with ``close`` or with its owner."""

    def __init__(self, name: str) -> None:
        """Nothing runs before ``start`` or the first job."""
        self.name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._jobs.put, None)

    def start(self) -> Helper:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_work, args=(self._jobs,), name=self.name, daemon=True
                )
                self._thread.start()
        return self

    def do(self, job: Job) -> None:
        """Returns at once; what ``job`` raises goes to the log. After ``close`` nothing is done."""
        self._jobs.put(job)
        if self._thread is None:
            self.start()

    def close(self, timeout_s: float = 0.0) -> None:
        """No more jobs. Waits at most so long for those that were given."""
        self._jobs.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and timeout_s > 0.0:
            thread.join(timeout_s)


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        try:
            job()
        except Exception:
            log.exception("a job of %s failed", threading.current_thread().name)
        del job  # it may hold the last reference to whoever gave it
