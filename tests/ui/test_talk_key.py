"""Push-to-talk: held or toggled, never in a text field, closed when the window is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.keys import bind_keys
from app.ui.talk_key import TalkKey, combination_of


class Desk(QWidget):
    """A window with a button and a text field, and what the key said."""

    def __init__(self) -> None:
        super().__init__()
        self.button, self.field = QPushButton("a button"), QLineEdit()
        self.clicks = 0
        self.button.clicked.connect(self._clicked)
        layout = QVBoxLayout(self)
        layout.addWidget(self.button)
        layout.addWidget(self.field)
        self.said: list[bool] = []
        self.key = TalkKey(self, self.said.append)

    def _clicked(self) -> None:
        self.clicks += 1


@pytest.fixture
def desk(qapp: QApplication, qtbot: QtBot) -> Iterator[Desk]:
    made = Desk()
    qtbot.addWidget(made)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow, timeout=5000)
    made.button.setFocus()
    yield made
    qapp.removeEventFilter(made.key)


def test_a_held_key_opens_while_it_is_down(desk: Desk, qtbot: QtBot) -> None:
    desk.key.configure("F9", "hold")
    desk.key.enable(True)
    qtbot.keyPress(desk.button, Qt.Key.Key_F9)
    assert desk.said == [True]
    qtbot.keyRelease(desk.button, Qt.Key.Key_F9)
    assert desk.said == [True, False]
    qtbot.keyClick(desk.button, Qt.Key.Key_F8)
    assert len(desk.said) == 2


def test_a_toggled_key_opens_by_one_press_and_closes_by_the_next(desk: Desk, qtbot: QtBot) -> None:
    desk.key.configure("Space", "toggle")
    desk.key.enable(True)
    qtbot.keyClick(desk.button, Qt.Key.Key_Space)
    assert desk.said == [True]
    QApplication.sendEvent(desk, QEvent(QEvent.Type.WindowDeactivate))
    assert desk.said == [True]  # one may look at something else while talking
    qtbot.keyClick(desk.button, Qt.Key.Key_Space)
    assert desk.said == [True, False]
    assert desk.clicks == 0  # the key talks, it presses nothing
    qtbot.keyClick(desk.button, Qt.Key.Key_Return)
    assert desk.clicks == 1


def test_leaving_the_window_lets_go_of_a_held_key(desk: Desk, qtbot: QtBot) -> None:
    desk.key.configure("Space", "hold")
    desk.key.enable(True)
    qtbot.keyPress(desk.button, Qt.Key.Key_Space)
    QApplication.sendEvent(desk, QEvent(QEvent.Type.WindowDeactivate))
    assert desk.said == [True, False]


def test_in_a_text_field_the_key_is_a_letter(desk: Desk, qtbot: QtBot) -> None:
    desk.key.configure("Space", "hold")
    desk.key.enable(True)
    desk.field.setFocus()
    qtbot.keyClicks(desk.field, "a b")
    assert desk.field.text() == "a b"
    assert desk.said == []


def test_switched_off_it_swallows_nothing_and_closes(desk: Desk, qtbot: QtBot) -> None:
    desk.key.configure("Space", "toggle")
    desk.key.enable(True)
    qtbot.keyClick(desk.button, Qt.Key.Key_Space)
    desk.key.enable(False)
    assert desk.said == [True, False]
    qtbot.keyClick(desk.button, Qt.Key.Key_Space)
    assert desk.clicks == 1


def test_switched_off_it_is_asked_about_no_event(desk: Desk) -> None:
    class Counting(TalkKey):
        asked = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            self.asked += 1
            return super().eventFilter(watched, event)

    key = Counting(desk, desk.said.append)
    counts = []
    for on in (False, True, True, False):
        key.enable(on)
        before = key.asked
        QApplication.sendEvent(desk.button, QEvent(QEvent.Type.User))
        counts.append(key.asked - before)
    assert counts == [0, 1, 1, 0]


def test_a_key_that_is_none_becomes_the_space_bar() -> None:
    alone = Qt.KeyboardModifier.NoModifier
    assert combination_of("F9") == (Qt.Key.Key_F9, alone)
    assert combination_of("") == combination_of("no such key") == (Qt.Key.Key_Space, alone)


def test_a_key_that_means_something_else_on_the_page_talks_while_it_is_wanted(
    desk: Desk, qtbot: QtBot
) -> None:
    muted: list[bool] = []
    bind_keys(desk, {"M": lambda: muted.append(True)})
    desk.key.configure("M", "hold")
    desk.key.enable(True)
    qtbot.keyPress(desk.button, Qt.Key.Key_M)
    assert (desk.said, muted) == ([True], [])
    qtbot.keyRelease(desk.button, Qt.Key.Key_M)
    assert desk.said == [True, False]
    desk.key.enable(False)
    qtbot.keyClick(desk.button, Qt.Key.Key_M)
    assert muted == [True]


def test_a_combination_is_wanted_whole_and_let_go_of_in_any_order(desk: Desk, qtbot: QtBot) -> None:
    control = Qt.KeyboardModifier.ControlModifier
    desk.key.configure("Ctrl+T", "hold")
    desk.key.enable(True)
    qtbot.keyClick(desk.button, Qt.Key.Key_T)
    assert desk.said == []
    qtbot.keyPress(desk.button, Qt.Key.Key_T, control)
    assert desk.said == [True]
    qtbot.keyRelease(desk.button, Qt.Key.Key_T)  # Ctrl was let go of first
    assert desk.said == [True, False]
    desk.key.configure("Space", "hold")
    qtbot.keyClick(desk.button, Qt.Key.Key_Space, control)
    assert desk.said == [True, False]
