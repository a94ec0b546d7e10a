"""What the tests of calls notice beside the window."""

from __future__ import annotations

import ctypes
import sysconfig
import threading
from pathlib import Path

import pytest

from tests.ui.bystanders import loaded_libraries, threads_made_here


@pytest.mark.skipif(not loaded_libraries(), reason="the system does not tell")
def test_a_library_that_is_loaded_is_noticed() -> None:
    before = loaded_libraries()
    folder = Path(sysconfig.get_config_var("DESTSHARED"))
    fresh = next(path for path in sorted(folder.glob("*.so")) if path.name not in before)
    ctypes.CDLL(str(fresh))
    assert fresh.name in loaded_libraries() - before


def test_only_the_threads_that_this_one_makes_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = threads_made_here(monkeypatch)

    def work() -> None:
        other = threading.Thread(target=int, name="made elsewhere")
        other.start()
        other.join()

    mine = threading.Thread(target=work, name="made here")
    mine.start()
    mine.join()
    assert made == ["made here"]
