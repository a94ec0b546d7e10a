"""The instrument that tells whether a window blocks tells a busy one from a waiting one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject

from tests.ui.stopwatch import FRAME_MS, MeasuredApplication, assert_never_blocked

QUICK = [(1.0, "paint")] * 100


class Receiver(QObject):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def event(self, event: QEvent) -> bool:
        self._work()
        return True


def burn() -> None:
    end_s = time.thread_time() + 1.5 * FRAME_MS / 1000.0
    while time.thread_time() < end_s:
        pass


def wait() -> None:
    time.sleep(2.0 * FRAME_MS / 1000.0)


def measured(qapp: MeasuredApplication, work: Callable[[], None]) -> float:
    qapp.handled = handled = []
    QCoreApplication.sendEvent(Receiver(work), QEvent(QEvent.Type.User))
    qapp.handled = None
    ((took_ms, kind),) = [entry for entry in handled if entry[1].startswith("Receiver")]
    assert kind == "Receiver: User"
    return took_ms


def test_work_counts_and_waiting_for_the_processor_does_not(qapp: MeasuredApplication) -> None:
    assert measured(qapp, burn) >= 1.4 * FRAME_MS
    assert measured(qapp, wait) < 0.5 * FRAME_MS


@pytest.mark.parametrize(
    "slow",
    [[17.0, 17.0], [33.0], [9.0] * 10],
    ids=["two over a frame", "one over two frames", "many over half a frame"],
)
def test_a_window_that_blocks_is_told(slow: list[float]) -> None:
    assert_never_blocked(QUICK)
    assert_never_blocked([*QUICK, (20.0, "paint")])
    with pytest.raises(AssertionError, match=r"busy|too many"):
        assert_never_blocked([*QUICK, *((ms, "paint") for ms in slow)])


def test_a_window_that_was_never_shown_is_told() -> None:
    with pytest.raises(AssertionError, match="shown at all"):
        assert_never_blocked(QUICK[:3])
