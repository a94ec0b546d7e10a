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


def test_what_was_there_is_set_aside_until_the_last_call_ended() -> None:
    old = [[n] for n in range(100)]
    garbage.call_began()
    garbage.call_began()
    new = [[n] for n in range(100)]
    watched = {id(item) for item in gc.get_objects()}
    assert not watched & {id(item) for item in old}
    assert watched >= {id(item) for item in new}
    garbage.call_loaded()
    assert not {id(item) for item in gc.get_objects()} & {id(item) for item in new}
    garbage.call_ended()
    assert gc.get_freeze_count() > 0
    garbage.call_ended()
    assert {id(item) for item in gc.get_objects()} >= {id(item) for item in [*old, *new]}


def test_garbage_of_before_a_call_is_collected_after_it() -> None:
    class Knot:
        pass

    knot = Knot()
    knot.itself = knot  # type: ignore[attr-defined]
    number = id(knot)
    garbage.call_began()
    del knot
    gc.collect()
    garbage.call_ended()
    assert any(id(item) == number and type(item).__name__ == "Knot" for item in gc.get_objects())
    gc.collect()
    assert not any(type(item).__name__ == "Knot" for item in gc.get_objects())


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
