"""While a call goes on, the garbage collector leaves alone what was there before it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app import garbage
from tests.app.calls import make_call, wait_for


@pytest.fixture(autouse=True)
def nothing_set_aside() -> Iterator[None]:
    assert gc.get_freeze_count() == 0, "a call of another test still runs"
    yield
    wait_for(lambda: gc.get_freeze_count() == 0, "the calls to give back what they set aside")


def looked_at() -> set[int]:
    return {id(item) for item in gc.get_objects()}


def some() -> list[list[int]]:
    return [[n] for n in range(100)]


def test_nothing_is_collected_while_models_load() -> None:
    one, other = garbage.Rest(), garbage.Rest()
    assert not gc.isenabled()
    one.loaded()
    assert not gc.isenabled()
    other.end()  # it never got that far
    assert gc.isenabled()
    one.end()
    one.end()
    assert gc.isenabled()


def test_what_was_there_is_set_aside_until_the_last_call_ended() -> None:
    old = some()
    one, other = garbage.Rest(), garbage.Rest()
    models = some()
    one.loaded()
    new = some()
    assert not looked_at() & {id(item) for item in [*old, *models]}
    assert looked_at() >= {id(item) for item in new}
    other.loaded()
    assert not looked_at() & {id(item) for item in new}
    one.end()
    assert gc.get_freeze_count() > 0
    other.end()
    assert looked_at() >= {id(item) for item in [*old, *models, *new]}


def test_garbage_of_before_a_call_is_collected_after_it() -> None:
    class Knot:
        pass

    def knots() -> int:
        return sum(type(item) is Knot for item in gc.get_objects())

    knot = Knot()
    knot.itself = knot  # type: ignore[attr-defined]
    rest = garbage.Rest()
    rest.loaded()
    del knot
    gc.collect()
    rest.end()
    assert knots() == 1
    gc.collect()
    assert knots() == 0


@pytest.mark.network
def test_a_call_leaves_the_collector_little_to_look_at(tmp_path: Path) -> None:
    call = make_call("Ada", np.zeros(1600, np.float32), tmp_path)
    before = len(gc.get_objects())
    call.create_invite().result(30)
    wait_for(lambda: call._worker is not None, "the engine worker")
    wait_for(lambda: len(gc.get_objects()) < before / 5, "the models to be set aside")
    call.close()


@pytest.mark.network
def test_a_call_that_never_began_sets_nothing_aside(tmp_path: Path) -> None:
    make_call("Ada", np.zeros(1600, np.float32), tmp_path).close()
