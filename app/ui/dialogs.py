"""Dialogs before the window: each opens and is gone when it is closed; nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QWidget


def open_dialog(dialog: QDialog, closed: Callable[[bool], object]) -> None:
    """Show ``dialog`` in a turn of its own (it was just made, and a call may be going on).

    ``closed`` is told whether it was accepted.
    """

    def finished(result: int) -> None:
        closed(result == QDialog.DialogCode.Accepted)
        dialog.deleteLater()

    dialog.finished.connect(finished)
    QTimer.singleShot(0, dialog, dialog.open)


def open_voice_lab(loudspeaker: str, parent: QWidget) -> None:
    from app.ui.voice_lab import VoiceLab

    open_dialog(VoiceLab(loudspeaker, parent), lambda _accepted: None)
