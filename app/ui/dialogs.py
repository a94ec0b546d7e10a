"""Dialogs before the window: each opens and is gone when it is closed; nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QDialog, QLayout, QStackedWidget, QWidget

from app.ui.turns import Turns, each

DIRECT = Qt.FindChildOption.FindDirectChildrenOnly


def open_dialog(dialog: QDialog, closed: Callable[[bool], object], *, beside: bool = False) -> None:
    """Show ``dialog`` in a turn of its own (it was just made, and a call may be going on).

    ``closed`` is told whether it was accepted. ``beside``: the window can be used meanwhile; one
    can hang up, and Qt need not tell each of its widgets that it is blocked.
    """

    def finished(result: int) -> None:
        closed(result == QDialog.DialogCode.Accepted)
        take_down(dialog)

    dialog.finished.connect(finished)
    QTimer.singleShot(0, dialog, dialog.show if beside else dialog.open)


def take_down(dialog: QDialog) -> None:
    """Delete ``dialog``, each page in a turn of its own. What still goes on in it (timers, the
    making of pages, a look at the devices) ends first, because it writes to them."""
    for child in dialog.findChildren(QObject, options=DIRECT):
        if isinstance(child, Turns):
            child.stop()  # at once: its next turn would come before it is deleted
        if not isinstance(child, QWidget | QLayout):
            child.deleteLater()
    stacks = dialog.findChildren(QStackedWidget)
    pages = [page for stack in stacks for page in stack.findChildren(QWidget, options=DIRECT)]
    Turns(dialog, each(part.deleteLater for part in (*pages, dialog)))


def open_voice_lab(loudspeaker: str, parent: QWidget) -> None:
    from app.ui.voice_lab import VoiceLab

    open_dialog(VoiceLab(loudspeaker, parent), lambda _accepted: None)
