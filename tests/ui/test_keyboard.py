"""Everything that can be used can be reached by Tab and the arrow keys, on every page and dialog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.audio import FilePort
from app.settings import Settings
from app.ui.abx_dialog import AbxDialog
from app.ui.buttons import Segments
from app.ui.settings_dialog import SettingsDialog
from app.ui.setup_wizard import SetupWizard
from app.ui.voice_lab import VoiceLab
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow

USABLE = (
    QAbstractButton, QAbstractSpinBox, QComboBox, QKeySequenceEdit, QLineEdit, QPlainTextEdit,
    QSlider,
)  # fmt: skip
WITH_PARTS = (QAbstractSpinBox, QComboBox, QKeySequenceEdit, QLineEdit)
MOST_STOPS = 60


def usable(root: QWidget) -> set[QWidget]:
    found = {widget for kind in USABLE for widget in root.findChildren(kind)}
    return {
        widget
        for widget in found
        if widget.isVisible() and widget.isEnabled() and not isinstance(widget.parent(), WITH_PARTS)
    }


def with_parents(widget: QWidget | None, root: QWidget) -> set[QWidget]:
    found: set[QWidget] = set()
    while widget is not None and widget is not root:
        found.add(widget)
        widget = widget.parentWidget()
    return found


def unreached(root: QWidget, qtbot: QtBot) -> list[str]:
    """What neither Tab nor an arrow key comes to."""
    QApplication.processEvents()
    wanted, reached = usable(root), set[QWidget]()
    stops: list[QWidget] = []
    while len(stops) < MOST_STOPS:
        qtbot.keyClick(QApplication.focusWidget() or root, Qt.Key.Key_Tab)
        focus = QApplication.focusWidget()
        if focus is None or focus in stops:
            break
        stops.append(focus)
        reached |= with_parents(focus, root)
    for group in {s for s in root.findChildren(Segments) if s.isVisible() and s.isEnabled()}:
        buttons = list(group.buttons.values())
        first = next((button for button in buttons if button in reached), None)
        if first is None:
            continue
        first.setFocus()
        for key in [Qt.Key.Key_Left] * len(buttons) + [Qt.Key.Key_Right] * len(buttons):
            qtbot.keyClick(QApplication.focusWidget() or first, key)
            reached |= with_parents(QApplication.focusWidget(), root)
    return [f"{type(w).__name__} {w.accessibleName()}" for w in wanted - reached]


def test_every_page_is_walked_through_by_keyboard(make_window: MakeWindow, qtbot: QtBot) -> None:
    window = make_window(recent_peers=("Bo", "Cy"))
    window.resize(1180, 820)
    window.invite.set_code("abc", "sottovoce:abc")
    window.join.set_code("abc")
    for page in (window.start, window.invite, window.join, window.ended):
        window.go(page)
        assert unreached(page, qtbot) == []
    window.go(window.page)
    window.page.open_details(True)
    cards = window.page.meters.cards
    qtbot.waitUntil(lambda: all(card.isVisible() for card in cards), timeout=5000)
    for tab in window.page.details.tabs.buttons:
        window.page.details.open(tab)
        assert unreached(window.page, qtbot) == [], tab


def test_every_dialog_is_walked_through_by_keyboard(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    window = make_window()
    call = make_call("Ada", np.zeros(160, np.float32), tmp_path)
    settings = SettingsDialog(Settings(), window)
    settings.complete()
    port = FilePort(np.zeros(160, np.float32))
    wizard = SetupWizard(Settings(), window, lambda _mic, _out: port)
    abx = AbxDialog(call, tmp_path, window)
    pages: list[tuple[QWidget, list[Callable[[], object]]]] = [
        (settings, [button.click for button in settings.tabs.buttons.values()]),
        (wizard, [lambda number=number: wizard._go(number) for number in range(3)]),  # type: ignore[misc]
        (VoiceLab("", window), [lambda: None]),
        (abx, [lambda: None, abx.start]),
    ]
    for dialog, steps in pages:
        dialog.show()
        dialog.activateWindow()
        for number, step in enumerate(steps):
            step()
            assert unreached(dialog, qtbot) == [], (type(dialog).__name__, number)
        dialog.close()
    call.close()
