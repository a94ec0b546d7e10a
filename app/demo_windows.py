"""The demo with a display: one call window for each person, the meters still in the terminal."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from app import libraries
from engine.errors import SottovoceError

if TYPE_CHECKING:
    from app.demo import Demo


def run_with_windows(demo: Demo) -> None:
    """Run the demo on a thread while Qt has this one. Returns when it is over or when both
    windows were closed. Raises SottovoceError when the calls did not begin."""
    from app.ui.application import show_calls

    problems: list[SottovoceError] = []
    over = threading.Event()

    def work() -> None:
        try:
            libraries.load()  # the settings may be opened in the call
            demo.start()
            demo.watch()
        except SottovoceError as error:
            problems.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=work, name="demo", daemon=True)
    thread.start()
    try:
        show_calls([(call, call.settings) for call in demo.calls], still=lambda: not over.is_set())
    finally:
        demo.stop()
        thread.join(timeout=90.0)
    if problems:
        raise problems[0]
