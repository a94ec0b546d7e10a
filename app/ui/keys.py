"""Keys that work anywhere on a page, except where text is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget


def bind_keys(page: QWidget, actions: Mapping[str, Callable[[], object]]) -> None:
    """``actions``: key → what it does while ``page`` or anything in it has the keyboard."""
    for key, action in actions.items():
        shortcut = QShortcut(QKeySequence(key), page)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(action)
