"""Push-to-talk by a key of the user's choice, held or toggled, anywhere in the window.

An event filter on the application: it swallows the key while push-to-talk is on, except in text
fields, and lets go of it when the window loses the keyboard. Without push-to-talk it is taken off:
Qt would ask it about every event of every widget.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QKeyCombination, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

MODIFIERS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
    | Qt.KeyboardModifier.ShiftModifier
)
KINDS = (QEvent.Type.KeyPress, QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride)
RETURN = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


def combination_of(name: str) -> tuple[Qt.Key, Qt.KeyboardModifier]:
    """``Space``, ``F9``, ``Ctrl+T`` ... → the key and what is held with it; Space for a name that is
    none."""
    sequence = QKeySequence(name)
    if not sequence.isEmpty():
        first: QKeyCombination = sequence[0]  # type: ignore[index]
        if first.key() != Qt.Key.Key_unknown:
            return first.key(), first.keyboardModifiers() & MODIFIERS
    return Qt.Key.Key_Space, Qt.KeyboardModifier.NoModifier


class TalkKey(QObject):
    """``pressed(True)`` when the microphone is to open, ``pressed(False)`` when to close."""

    def __init__(self, window: QWidget, pressed: Callable[[bool], None]) -> None:
        super().__init__(window)
        self._window = window
        self._pressed = pressed
        self._key, self._with = combination_of("")
        self._toggles = False
        self._enabled = False
        self._open = False

    def configure(self, key_name: str, mode: str) -> None:
        """``mode`` is 'toggle'; anything else is 'hold'."""
        self._key, self._with = combination_of(key_name)
        self._toggles = mode == "toggle"

    def enable(self, enabled: bool) -> None:
        application = QApplication.instance()
        if enabled == self._enabled or application is None:
            return
        self._enabled = enabled
        self._set(False)
        if enabled:
            application.installEventFilter(self)
        else:
            application.removeEventFilter(self)

    def _set(self, opened: bool) -> None:
        if opened != self._open:
            self._open = opened
            self._pressed(opened)

    def _held_with(self, event: QKeyEvent) -> bool:
        held = event.modifiers() & MODIFIERS
        if not self._with & Qt.KeyboardModifier.ShiftModifier:
            held &= ~Qt.KeyboardModifier.ShiftModifier  # some keyboards need it for the key itself
        return held == self._with

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.WindowDeactivate and watched is self._window and not self._toggles:
            self._set(False)
        if kind not in KINDS:
            return False
        if not isinstance(event, QKeyEvent) or not self._window.isActiveWindow():
            return False
        focus = QApplication.focusWidget()
        if isinstance(focus, QLineEdit | QAbstractSpinBox) or (
            isinstance(focus, QPlainTextEdit) and not focus.isReadOnly()
        ):
            return False
        if event.key() in RETURN and self._key not in RETURN:
            # Space is taken, so Return has to press buttons for those who have no mouse.
            if kind == QEvent.Type.KeyPress and isinstance(focus, QAbstractButton):
                focus.click()
                return True
            return False
        if event.key() != self._key or not (self._open or self._held_with(event)):
            return False
        if kind == QEvent.Type.ShortcutOverride:  # a key of the page, as M is: it talks now
            event.accept()
            return True
        if not event.isAutoRepeat():
            if not self._toggles:
                self._set(kind == QEvent.Type.KeyPress)
            elif kind == QEvent.Type.KeyPress:
                self._set(not self._open)
        return True
