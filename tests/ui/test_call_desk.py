"""The desk of a window makes and begins calls on a thread of its own and loses none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from app.call_controls import CallControls
from app.settings import Settings
from app.ui.call_desk import CallDesk
from engine.errors import SottovoceError
from tests.app.calls import wait_for
from tests.ui.bystanders import threads_made_here


class Call:
    """Notes where it was begun and how often it was ended."""

    def __init__(self) -> None:
        self.begun_on = ""
        self.ended = 0

    def begin(self) -> Future[str]:
        self.begun_on = threading.current_thread().name
        done: Future[str] = Future()
        done.set_result("a code")
        return done

    def hang_up(self) -> None:
        self.ended += 1


class Desk:
    """A desk that makes ``call`` as soon as ``may_open``, and what it told."""

    def __init__(self) -> None:
        self.call, self.may_open = Call(), threading.Event()
        self.opened = 0
        self.told: list[str] = []
        self.desk = CallDesk(self._open)

    def _open(self, _settings: Settings) -> CallControls:
        assert self.may_open.wait(10.0)
        self.opened += 1
        return self.call  # type: ignore[return-value]

    def begin(self, begin: Callable[[Call], Future[str]] = Call.begin) -> None:
        self.desk.begin(Settings(), begin, self.told.append, self.told.append)  # type: ignore[arg-type]

    def hear(self, count: int = 1) -> None:
        def heard() -> bool:
            self.desk.poll()
            return len(self.told) >= count

        wait_for(heard, "what came of it", 10.0)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.may_open.set()
    made.desk.close()


def test_a_call_is_made_and_begun_on_the_desks_own_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = threads_made_here(monkeypatch)
    desk.may_open.set()
    desk.begin()
    desk.hear()
    assert desk.told == ["a code"]
    assert desk.desk.call is desk.call
    assert desk.call.begun_on.startswith("window")
    assert made == []


def test_a_call_that_could_not_begin_is_tried_again(desk: Desk) -> None:
    def refuse(_call: Call) -> Future[str]:
        failed: Future[str] = Future()
        failed.set_exception(SottovoceError("This is no invite: paste the whole code."))
        return failed

    desk.may_open.set()
    desk.begin(refuse)
    desk.hear()
    desk.begin()
    desk.hear(2)
    assert desk.told == ["This is no invite: paste the whole code.", "a code"]
    assert desk.opened == 1


@pytest.mark.parametrize("leave", [CallDesk.drop, CallDesk.close], ids=["leave", "close"])
def test_who_leaves_while_a_call_is_made_leaves_none_behind(
    desk: Desk, leave: Callable[[CallDesk], None]
) -> None:
    desk.begin()
    leave(desk.desk)
    desk.may_open.set()
    wait_for(lambda: desk.call.ended == 1 or desk.opened == 0, "the call to end", 10.0)
    desk.desk.poll()
    assert desk.desk.call is None
    assert desk.told == []


def test_a_call_that_is_dropped_is_ended_once_and_one_that_is_forgotten_goes_on(desk: Desk) -> None:
    desk.may_open.set()
    desk.begin()
    desk.hear()
    assert desk.desk.forget() is desk.call
    desk.desk.drop()
    desk.begin()
    desk.hear(2)
    desk.desk.drop()
    wait_for(lambda: desk.call.ended, "the call to end", 10.0)
    assert desk.call.ended == 1
