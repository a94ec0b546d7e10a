"""Several windows share a screen without covering each other; one gives way to another language."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QRect
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from app.call_controls import CallControls
from app.settings import Settings
from app.ui import translations
from app.ui.application import place_beside
from app.ui.call_window import CallWindow
from app.ui.program import Program
from app.ui.settings_dialog import SettingsDialog


def placed(qtbot: QtBot, screen: QRect) -> list[QWidget]:
    windows = []
    for number in range(2):
        window = QWidget()
        qtbot.addWidget(window)
        window.setMinimumSize(720, 520)
        window.resize(1180, 780)
        place_beside(window, number, 2, screen)
        windows.append(window)
    return windows


def test_on_a_wide_screen_two_windows_stand_side_by_side(qtbot: QtBot) -> None:
    screen = QRect(0, 30, 1920, 1050)
    one, two = placed(qtbot, screen)
    assert not one.frameGeometry().intersects(two.frameGeometry())
    assert screen.contains(one.frameGeometry()) and screen.contains(two.frameGeometry())
    assert one.height() > 900


def test_on_a_narrow_one_they_are_staggered(qtbot: QtBot) -> None:
    one, two = placed(qtbot, QRect(0, 0, 1366, 768))
    assert one.size() == two.size()
    assert one.pos() != two.pos()


@pytest.fixture
def program(qapp: QApplication) -> Iterator[Program]:
    def refuse(_settings: Settings) -> CallControls:
        raise AssertionError("this test makes no call")

    def make(settings: Settings) -> CallWindow:
        return CallWindow(settings, refuse, save=lambda _settings: None)

    made = Program(Settings(name="Ada", language="en"), make)
    made.window.show()
    yield made
    made.window.close()
    made.window.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    translations.install(qapp, "en")


def speak(program: Program, language: str) -> None:
    preferences = program.window.preferences
    preferences.change(dataclasses.replace(preferences.settings, language=language))


def test_another_language_is_spoken_at_once(program: Program, qtbot: QtBot) -> None:
    old = program.window
    old.setGeometry(60, 70, 900, 640)
    size = old.size()
    speak(program, "de")
    qtbot.waitUntil(lambda: program.window is not old, timeout=5000)
    new = program.window
    assert new.isVisible() and not (isValid(old) and old.isVisible())
    assert new.page.bar.hang_up.text() == "Auflegen"
    assert new.size() == size
    assert new.settings.name == "Ada" and new.settings.language == "de"
    program.open_link("")  # a later start finds the new one
    speak(program, "en")
    qtbot.waitUntil(lambda: program.window is not new, timeout=5000)
    assert program.window.page.bar.hang_up.text() == "Hang up"


def test_a_call_is_not_interrupted_by_another_language(program: Program, qtbot: QtBot) -> None:
    old = program.window
    old.go(old.join)  # on the way into a call
    speak(program, "de")
    qtbot.wait(100)
    assert program.window is old
    old.go(old.start)
    qtbot.waitUntil(lambda: program.window is not old, timeout=5000)
    assert program.window.page.bar.hang_up.text() == "Auflegen"


def test_changing_ones_mind_changes_nothing(program: Program, qtbot: QtBot) -> None:
    old = program.window
    old.go(old.join)
    speak(program, "de")
    speak(program, "en")
    old.go(old.start)
    qtbot.wait(400)
    assert program.window is old


def test_the_settings_offer_every_language(program: Program) -> None:
    dialog = SettingsDialog(program.window.settings, program.window)
    dialog.complete()
    offered = [dialog.language.itemData(n) for n in range(dialog.language.count())]
    assert offered == ["", *translations.languages()]
    dialog.reject()
