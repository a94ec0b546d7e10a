"""Several windows share a screen without covering each other, where it is wide enough."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.ui.application import place_beside


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
