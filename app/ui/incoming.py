"""Codes that come to the window by themselves: from the clipboard, and by a clicked link.

Nothing is answered unasked, because joining opens the microphone and tells the other side one's
address: a code is put where it belongs, and the user presses the button.
"""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMainWindow

from app.ui.codes import looks_like_answer, looks_like_invite
from app.ui.exchange import Exchange
from app.ui.start_page import StartPage

MAX_CLIPBOARD = 2_000  # characters; no code is longer


class Incoming(QObject):
    """Watches the clipboard while ``window`` is the active one."""

    def __init__(self, window: QMainWindow, start: StartPage, exchange: Exchange) -> None:
        super().__init__(window)
        self._window, self._start, self._exchange = window, start, exchange
        QGuiApplication.clipboard().dataChanged.connect(self.look)

    def look(self) -> None:
        """Offer an invite on the start page; fill in an answer where one is waited for."""
        if not self._window.isActiveWindow():
            return
        waiting = self._exchange.invite
        if self._start.isVisible():
            self._start.offer_clipboard(looks_like_invite(self._text()))
        elif waiting.isVisible() and waiting.answer.is_open():
            text = self._text()
            if looks_like_answer(text):
                waiting.answer.fill(text)

    @staticmethod
    def _text() -> str:
        return QGuiApplication.clipboard().text()[:MAX_CLIPBOARD]
