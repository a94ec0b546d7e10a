"""An application that measures how long each of its events takes to handle, and the limits.

Two things hold a window up: work, and waiting (for a lock, a disk, another thread's turn of the
interpreter). Both are measured for every event. What other processes of a busy machine take is
not the window's fault and is left out: work is the thread's processor time, and waiting is what the
clock says less that and less the time in which the thread could have run but had no processor. Nor
is it the window's fault when another thread got the interpreter's turn and then no processor to
use it: of a long wait the longest time is taken off that any other thread went without one.
Processor time itself grows where others fill the caches or the other half of a core. So after an
event that looks too long, the same small job is done again whose time is known, and the event is
judged at the pace that the machine had then: on a quiet one it is 1, and nothing is forgiven.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from PySide6.QtCore import QAbstractEventDispatcher, QEvent, QObject, QThread
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

FRAME_MS: Final = 16.0  # a screen shows 60 pictures a second
QUICK_MS: Final = 8.0  # what a turn of a running call keeps to; opening a page may take more
MOST_PACE: Final = 1.5  # however slow the machine gets, no more than this is put down to it
MAX_SLOW: Final = 0.1  # so few events may take more than that
LONGEST_WAIT_MS: Final = 100.0  # for some forty turns of the interpreter, 1 to 2 ms each
LATE_MS: Final = 33.0  # two frames
MAX_LATE: Final = 0.005  # so few events may wait that long
REMEMBER_S: Final = 0.02  # how old a reading of the other threads may be
_TASKS: Final = Path("/proc/self/task")
_SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")  # Linux: ns run, ns waited for a processor


class Handled(NamedTuple):
    work_ms: float
    kind: str
    waited_ms: float = 0.0
    """0 where the system does not tell it."""
    pace: float = 1.0
    """How many times slower than at its best the machine was; only measured for long work."""
    starved_ms: float = 0.0
    """The longest that another thread had no processor meanwhile; only measured for long waits."""

    @property
    def own_ms(self) -> float:
        """The work at the machine's best pace."""
        return self.work_ms / self.pace

    @property
    def held_ms(self) -> float:
        """The waiting that is not the machine's doing."""
        return max(0.0, self.waited_ms - self.starved_ms)


class Pace:
    """Times a job of the kind that windows do: a little Python, a little painting."""

    def __init__(self) -> None:
        self._picture = QImage(400, 300, QImage.Format.Format_ARGB32_Premultiplied)
        self.best_s = min(self._once() for _ in range(40))

    def now(self) -> float:
        """1 at the machine's best, up to MOST_PACE where it is slowed down."""
        times = sorted(self._once() for _ in range(9))
        self.best_s = min(self.best_s, times[0])
        return min(times[4] / self.best_s, MOST_PACE)

    def _once(self) -> float:
        began_s = time.thread_time()
        painter = QPainter(self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self._picture.rect(), QColor("white"))
        for line in range(12):
            painter.drawRoundedRect(10, 10 + 20 * line, 380, 40, 8, 8)
            painter.drawText(20, 30 + 20 * line, f"line {line} of what a window shows")
        painter.end()
        for _number in range(5_000):
            pass
        return time.thread_time() - began_s


class Others:
    """The process's other threads: how long they were ready to run and had no processor."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._read_s = float("-inf")

    def remember(self) -> None:
        """Before an event; does nothing where the last reading is young enough."""
        if time.monotonic() - self._read_s > REMEMBER_S:
            self._before = self._ready_ns()
            self._read_s = time.monotonic()

    def starved_ms(self) -> float:
        """Since ``remember``, the one that waited longest."""
        now = self._ready_ns()
        return max((now[task] - self._before.get(task, 0) for task in now), default=0) / 1e6

    @staticmethod
    def _ready_ns() -> dict[str, int]:
        here = str(threading.get_native_id())
        found: dict[str, int] = {}
        for task in os.listdir(_TASKS) if _SCHEDSTAT.exists() else ():
            with contextlib.suppress(OSError):  # it ended
                if task != here:
                    found[task] = int((_TASKS / task / "schedstat").read_bytes().split()[1])
        return found


class _Reading(NamedTuple):
    clock_s: float
    work_s: float
    ready_s: float  # waited for a processor


class MeasuredApplication(QApplication):
    """While ``handled`` is a list, every outermost event of every event loop goes there.

    A dialog's own loop runs inside the event that opened it: its events count for themselves, and
    that event only for what it did before and after.
    """

    handled: list[Handled] | None = None

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self._open: list[tuple[int, str]] = []  # loop level and kind of the events under way
        self._began: _Reading | None = None
        self._pace: Pace | None = None
        self._others = Others()
        self._schedstat = os.open(_SCHEDSTAT, os.O_RDONLY) if _SCHEDSTAT.exists() else -1
        QAbstractEventDispatcher.instance().aboutToBlock.connect(self._pause)

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        if self.handled is None:
            return super().notify(receiver, event)
        level = QThread.currentThread().loopLevel()
        if self._open and self._open[-1][0] >= level:
            return super().notify(receiver, event)
        self._pause()
        owner = receiver.parent()
        of = f" of {type(owner).__name__}" if owner is not None else ""
        self._open.append((level, f"{type(receiver).__name__}{of}: {event.type().name}"))
        self._others.remember()
        self._began = self._read()
        try:
            return super().notify(receiver, event)
        finally:
            self._pause()
            self._open.pop()
            if self._open:
                self._began = self._read()

    @contextlib.contextmanager
    def measured(self) -> Iterator[list[Handled]]:
        """What is handled inside goes to the list."""
        handled = self.begin()
        try:
            yield handled
        finally:
            self.handled = None

    def begin(self) -> list[Handled]:
        """From now on, until ``handled`` is None again."""
        self._pace = self._pace or Pace()
        self.handled = handled = []
        return handled

    def _pause(self) -> None:
        """Write down what the event under way took so far: it ended, or a loop in it goes on."""
        began, self._began = self._began, None
        if began is None or self.handled is None or not self._open:
            return
        now = self._read()
        work_s, ready_s = now.work_s - began.work_s, now.ready_s - began.ready_s
        waited_s = max(0.0, now.clock_s - began.clock_s - work_s - ready_s)
        if self._schedstat < 0:
            waited_s = 0.0
        pace = self._pace.now() if self._pace and 1000 * work_s > FRAME_MS else 1.0
        starved_ms = self._others.starved_ms() if 1000 * waited_s > LATE_MS else 0.0
        kind = self._open[-1][1]
        self.handled.append(Handled(1000 * work_s, kind, 1000 * waited_s, pace, starved_ms))

    def _read(self) -> _Reading:
        told = b"0 0" if self._schedstat < 0 else os.pread(self._schedstat, 100, 0)
        return _Reading(time.monotonic(), time.thread_time(), int(told.split()[1]) / 1e9)


def assert_never_blocked(handled: list[Handled], at_least: int = 30) -> None:
    """No event takes a frame of work, few take half of it; few wait two frames, and none for
    anything that takes its time: a disk, a device, another thread's long job."""
    work = sorted(entry for entry in handled if entry.work_ms > 0.5)
    assert len(work) >= at_least, f"only {len(work)} events: was the window shown at all?"
    slow = [entry for entry in work if entry.work_ms > QUICK_MS]
    longest = max(handled, key=lambda entry: entry.held_ms)
    late = [entry for entry in handled if entry.held_ms > LATE_MS]
    paces = ", ".join(
        f"{entry.work_ms:.1f} at {entry.pace:.1f}" for entry in work if entry.pace != 1
    )
    print(f"{len(work)} events, at most {work[-1].work_ms:.1f} ms of work in one ({work[-1].kind})")
    print(f"long ones and the machine's pace: {paces or 'none'}")
    print(
        f"at most {longest.held_ms:.0f} ms of waiting ({longest.kind}), over {LATE_MS:.0f} ms in "
        f"{len(late)} of {len(handled)}; with what the machine adds at most "
        f"{max(entry.waited_ms for entry in handled):.0f} ms"
    )
    busy = [entry for entry in work if entry.own_ms >= FRAME_MS]
    assert not busy, f"the window was busy: {busy}"
    assert len(slow) <= MAX_SLOW * len(work), f"of {len(work)} events too many are slow: {slow}"
    assert longest.held_ms < LONGEST_WAIT_MS, f"the window waited: {longest}"
    assert len(late) <= max(1.0, MAX_LATE * len(handled)), (
        f"of {len(handled)} too many waited: {late}"
    )
