"""Windows for the tests: dressed in the light theme, silent, saving nothing, closed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from app.call_controls import CallControls
from app.settings import Settings
from app.ui.application import application
from app.ui.call_window import CallWindow
from app.ui.preferences import OpenAudio
from app.ui.theme import theme
from app.ui.tones import Sounds
from tests.ui.stopwatch import MeasuredApplication

MakeWindow = Callable[..., CallWindow]


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    QApplication.instance() or MeasuredApplication(["sottovoce"])
    return application("light")


@pytest.fixture
def make_window(qapp: QApplication, qtbot: object) -> Iterator[MakeWindow]:
    """``make_window(call, **settings)``: a window that opens ``call`` when it needs one."""
    windows: list[CallWindow] = []
    theme().choose("light")
    theme().settle()

    def refuse(_settings: Settings) -> CallControls:
        raise AssertionError("this test makes no call")

    def make(
        call: CallControls | None = None,
        open_audio: OpenAudio | None = None,
        sounds: Sounds | None = None,
        **settings: object,
    ) -> CallWindow:
        values = {"name": "Ada", **settings}
        window = CallWindow(
            Settings(**values),  # type: ignore[arg-type]
            refuse if call is None else (lambda _settings: call),
            open_audio=open_audio,
            sounds=sounds,
            save=lambda _settings: None,
        )
        windows.append(window)
        window.show()
        window.activateWindow()
        qapp.processEvents()
        return window

    yield make
    for window in windows:
        window.close()
        window.deleteLater()
    # processEvents leaves deferred deletion alone, and dead windows would be restyled for ever
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
