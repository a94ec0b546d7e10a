"""The instrument that tells whether a window blocks: what it counts, and what it lets pass."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QTimer

from tests.ui.stopwatch import (
    FRAME_MS,
    LONGEST_WAIT_MS,
    Handled,
    MeasuredApplication,
    Pace,
    assert_never_blocked,
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
    assert 1.0 <= pace.now() < 20.0
    pace.best_s = before_s / 3.0  # as if the machine had been three times faster
    assert pace.now() >= 2.0


@pytest.mark.parametrize(
    "slow",
    [
        [Handled(16.5, "paint")],
        [Handled(33.0, "paint", 0.0, 2.0)],
        [Handled(9.0, "paint")] * 50,
        [Handled(1.0, "paint", LONGEST_WAIT_MS + 1.0)],
    ],
    ids=[
        "one over a frame",
        "one over a frame on a slow machine",
        "many over half a frame",
        "one that waits",
    ],
)
def test_a_window_that_blocks_is_told(slow: list[Handled]) -> None:
    assert_never_blocked(QUICK)
    assert_never_blocked([*QUICK, Handled(15.0, "paint", 100.0)])
    assert_never_blocked([*QUICK, Handled(24.0, "paint", 0.0, 2.0)])
    with pytest.raises(AssertionError, match=r"busy|too many|waited"):
        assert_never_blocked([*QUICK, *slow])


def test_a_window_that_was_never_shown_is_told() -> None:
    with pytest.raises(AssertionError, match="shown at all"):
        assert_never_blocked(QUICK[:3])
