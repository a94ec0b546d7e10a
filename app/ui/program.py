"""The program's one window, and another one in its place when the language changes.

Texts are made with their widgets, so a new language takes a new window. It comes at once when no
call is going on, and when the call is over otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from app.settings import Settings
from app.ui.call_window import CallWindow
from app.ui.translations import install

LOOK_MS = 300  # how often a call that holds the change up is looked at


class Program(QObject):
    """``make_window`` opens nothing and shows nothing; ``window`` is the one in use."""

    def __init__(self, settings: Settings, make_window: Callable[[Settings], CallWindow]) -> None:
        super().__init__()
        self._make_window = make_window
        self._spoken = settings.language
        self.window = self._made(settings)
        self._look = QTimer(self)
        self._look.timeout.connect(self._change_language)

    def open_link(self, link: str) -> None:
        self.window.open_link(link)

    def _made(self, settings: Settings) -> CallWindow:
        window = self._make_window(settings)
        window.preferences.changed.connect(self._settings_changed)
        return window

    def _settings_changed(self, settings: Settings) -> None:
        if settings.language != self._spoken:
            self._look.start(0)
        else:
            self._look.stop()

    def _change_language(self) -> None:
        old = self.window
        resting = (old.start, old.ended)
        if old.desk.call is not None or old.pages.currentWidget() not in resting:
            self._look.start(LOOK_MS)
            return
        self._look.stop()
        self._spoken = old.settings.language
        application = QApplication.instance()
        if application is not None:
            install(application, self._spoken)
        old.preferences.changed.disconnect(self._settings_changed)
        self.window = self._made(old.settings)
        self.window.setGeometry(old.geometry())
        self.window.show()  # before the old one goes: the last window to close ends the program
        old.close()
        old.deleteLater()
