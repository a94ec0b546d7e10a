"""The instrument that tells whether a window blocks: what it counts, and what it lets pass."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QTimer

from tests.ui.stopwatch import (
    FRAME_MS,
    LATE_MS,
    LONGEST_WAIT_MS,
    MOST_PACE,
    Handled,
    MeasuredApplication,
    Others,
    Pace,
    assert_never_blocked,
)

needs_schedstat = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="needs Linux's /proc"
)
QUICK = [Handled(1.0, "paint")] * 100


class Receiver(QObject):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def event(self, event: QEvent) -> bool:
        self._work()
        return True


def burn(frames: float = 1.5) -> None:
    end_s = time.thread_time() + frames * FRAME_MS / 1000.0
    while time.thread_time() < end_s:
        pass


def wait() -> None:
    time.sleep(2.0 * FRAME_MS / 1000.0)


def measured(qapp: MeasuredApplication, work: Callable[[], None]) -> list[Handled]:
    """What ``Receiver`` events took whose handler is ``work``."""
    with qapp.measured() as handled:
        QCoreApplication.sendEvent(Receiver(work), QEvent(QEvent.Type.User))
    return [entry for entry in handled if entry.kind == "Receiver: User"]


def test_work_and_waiting_are_told_apart(qapp: MeasuredApplication) -> None:
    (busy,) = measured(qapp, burn)
    assert busy.work_ms >= 1.4 * FRAME_MS
    (idle,) = measured(qapp, wait)
    assert idle.work_ms < 0.5 * FRAME_MS
    assert idle.waited_ms >= 1.5 * FRAME_MS or qapp._schedstat < 0


def test_events_of_a_dialogs_own_loop_count_for_themselves(qapp: MeasuredApplication) -> None:
    inner = Receiver(lambda: burn(1.5))

    def dialog() -> None:
        burn(0.5)
        loop = QEventLoop()
        QTimer.singleShot(0, lambda: QCoreApplication.sendEvent(inner, QEvent(QEvent.Type.User)))
        QTimer.singleShot(300, loop.quit)
        loop.exec()
        burn(0.7)

    with qapp.measured() as handled:
        QCoreApplication.sendEvent(Receiver(dialog), QEvent(QEvent.Type.User))
    outer = [entry.work_ms for entry in handled if entry.kind == "Receiver: User"]
    assert max(outer) < 1.3 * FRAME_MS  # not the 2.7 of all together
    assert sorted(outer)[-1] >= 0.6 * FRAME_MS
    assert max(handled).work_ms >= 1.4 * FRAME_MS
    assert max(entry.waited_ms for entry in handled) < 100.0  # the idle loop is no waiting


def test_the_pace_is_one_where_nothing_is_in_the_way(qapp: MeasuredApplication) -> None:
    pace = Pace()
    before_s = pace.best_s
    assert 1.0 <= pace.now() <= MOST_PACE
    pace.best_s = before_s / 3.0  # as if the machine had been three times faster
    assert pace.now() == MOST_PACE


@needs_schedstat
def test_a_lock_that_another_thread_keeps_is_told(qapp: MeasuredApplication) -> None:
    lock, taken = threading.Lock(), threading.Event()

    def keep() -> None:
        with lock:
            taken.set()
            time.sleep(1.5 * LONGEST_WAIT_MS / 1000.0)

    threading.Thread(target=keep).start()
    taken.wait()
    (entry,) = measured(qapp, lambda: lock.acquire() and lock.release())
    assert entry.waited_ms > 1.2 * LONGEST_WAIT_MS
    with pytest.raises(AssertionError, match="waited"):
        assert_never_blocked([*QUICK, entry])


@needs_schedstat
def test_a_thread_without_a_processor_is_noticed() -> None:
    others, stop = Others(), threading.Event()

    def pin_and_burn() -> None:  # two on one processor: each goes without it half of the time
        os.sched_setaffinity(threading.get_native_id(), {min(os.sched_getaffinity(0))})
        while not stop.is_set():
            sum(range(100))
            hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000)  # lets the interpreter go

    threads = [threading.Thread(target=pin_and_burn) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    others.remember()
    time.sleep(0.5)
    starved_ms = others.starved_ms()
    stop.set()
    for thread in threads:
        thread.join()
    assert 100.0 < starved_ms < 1000.0


@pytest.mark.parametrize(
    "slow",
    [
        [Handled(16.5, "paint")],
        [Handled(24.5, "paint", 0.0, MOST_PACE)],
        [Handled(9.0, "paint")] * 15,
        [Handled(1.0, "paint", LONGEST_WAIT_MS + 1.0)],
        [Handled(1.0, "paint", LONGEST_WAIT_MS + 61.0, 1.0, 60.0)],
        [Handled(1.0, "paint", LATE_MS + 1.0)] * 5,
    ],
    ids=[
        "one over a frame",
        "one over a frame on a slow machine",
        "many over half a frame",
        "one that waits",
        "one that waits on a busy machine",
        "many that wait a little",
    ],
)
def test_a_window_that_blocks_is_told(slow: list[Handled]) -> None:
    assert_never_blocked(QUICK)
    assert_never_blocked([*QUICK, Handled(15.0, "paint", LONGEST_WAIT_MS - 1.0)])
    assert_never_blocked([*QUICK, Handled(1.0, "paint", LONGEST_WAIT_MS + 50.0, 1.0, 60.0)])
    assert_never_blocked([*QUICK, Handled(23.5, "paint", 0.0, MOST_PACE)])
    with pytest.raises(AssertionError, match=r"busy|too many|waited"):
        assert_never_blocked([*QUICK, *slow])


def test_one_event_of_a_long_call_is_enough() -> None:
    call = [Handled(1.0, "paint")] * 5000
    assert_never_blocked(call)
    with pytest.raises(AssertionError, match="busy"):
        assert_never_blocked([*call, Handled(16.1, "paint")])


def test_a_window_that_was_never_shown_is_told() -> None:
    with pytest.raises(AssertionError, match="shown at all"):
        assert_never_blocked(QUICK[:3])
