"""Threads that are there before they are needed."""

from __future__ import annotations

import gc
import logging
import threading

import pytest

from app.helper import Helper
from tests.app.calls import wait_for


def running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_jobs_are_done_in_turn_on_a_thread_that_was_there() -> None:
    helper = Helper("in turn").start()
    assert running("in turn")
    done: list[tuple[int, str]] = []
    for number in range(5):
        helper.do(lambda number=number: done.append((number, threading.current_thread().name)))
    helper.close(timeout_s=5.0)
    assert done == [(number, "in turn") for number in range(5)]
    assert not running("in turn")
    helper.do(lambda: done.append((9, "late")))
    helper.close(timeout_s=5.0)
    assert len(done) == 5


def test_a_job_that_fails_is_told_and_the_next_one_done(caplog: pytest.LogCaptureFixture) -> None:
    helper = Helper("fails")
    done = threading.Event()
    with caplog.at_level(logging.ERROR):
        helper.do(lambda: 1 // 0)
        helper.do(done.set)
        assert done.wait(5.0)
    helper.close(timeout_s=5.0)
    assert "a job of fails failed" in caplog.text


def test_a_job_may_close_its_own_helper() -> None:
    helper = Helper("closes itself")
    helper.do(lambda: helper.close(timeout_s=5.0))
    wait_for(lambda: not running("closes itself"), "the thread to end", 5.0)


def test_the_thread_ends_with_its_owner() -> None:
    helper = Helper("owned")
    done = threading.Event()
    helper.do(done.set)
    assert done.wait(5.0)
    del helper
    gc.collect()
    wait_for(lambda: not running("owned"), "the thread to end", 5.0)
