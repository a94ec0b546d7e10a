"""A blind test beside a call: opens the dialog, and keeps the call page silent about the arms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.abx_dialog import AbxDialog
from app.ui.call_page import CallPage


class BlindTest:
    """``folder()`` is where results go when nothing is being recorded."""

    def __init__(self, window: QWidget, page: CallPage, folder: Callable[[], Path]) -> None:
        self.dialog: AbxDialog | None = None
        self._window, self._page, self._folder = window, page, folder

    def open(self, call: CallControls | None) -> None:
        if call is None or self.dialog is not None:
            return
        self._page.set_blind(True)
        self.dialog = AbxDialog(call, self._folder(), self._window)
        self.dialog.finished.connect(self.close)
        QTimer.singleShot(0, self.dialog, self.dialog.show)  # making it was enough for a turn

    def close(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            self._page.set_blind(False)
            dialog.close()
            dialog.deleteLater()

    def show_stats(self, stats: CallStats) -> None:
        if self.dialog is not None:
            self.dialog.show_stats(stats)
