"""A code to hand over: copied in one click, and drawn so that a camera reads it."""

from __future__ import annotations

import pytest
import segno
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.ui.code_box import QUIET_MODULES, CodeBox, QrPicture
from app.ui.exchange_page import InvitePage

LINK = "sottovoce:cbi7tupqp5lqyojpgieu2rdluap27vjanmf6ovcmw67hhx2vwezwwad7aaaadlneroflb2a"


def modules(picture: QImage, count: int) -> list[list[bool]]:
    """Which modules of a drawn code are dark, read at their middles as a reader does."""
    side = picture.width() // (count + 2 * QUIET_MODULES)
    start = (picture.width() - side * count) // 2
    middle = start + side // 2
    return [
        [
            picture.pixelColor(middle + side * x, middle + side * y).lightness() < 128
            for x in range(count)
        ]
        for y in range(count)
    ]


@pytest.mark.parametrize("text", [LINK, "A", "x" * 700], ids=["link", "shortest", "long"])
def test_the_picture_is_the_code(qapp: QApplication, qtbot: QtBot, text: str) -> None:
    shown = QrPicture()
    qtbot.addWidget(shown)
    shown.set_text(text)
    wanted = [[bool(cell) for cell in line] for line in segno.make_qr(text, error="m").matrix]
    picture = shown.grab().toImage()
    assert modules(picture, len(wanted)) == wanted
    rim = [picture.pixelColor(x, 6).lightness() for x in range(20, picture.width() - 20)]
    assert min(rim) > 240  # readers want white around it


def test_the_invite_page_draws_the_link_it_copies(qapp: QApplication, qtbot: QtBot) -> None:
    page = InvitePage()
    qtbot.addWidget(page)
    page.set_code(LINK.removeprefix("sottovoce:"), LINK)
    wanted = segno.make_qr(LINK.upper(), error="m").matrix
    assert modules(page.qr.grab().toImage(), len(wanted)) == [
        [bool(cell) for cell in line] for line in wanted
    ]
    page.reset()
    assert page.qr.isHidden() and not page.answer.paste.isEnabled()


@pytest.mark.parametrize("text", ["", "x" * 5_000], ids=["nothing", "too long"])
def test_what_cannot_be_drawn_is_not_shown(qapp: QApplication, qtbot: QtBot, text: str) -> None:
    shown = QrPicture()
    qtbot.addWidget(shown)
    shown.set_text(LINK)
    assert not shown.isHidden()
    shown.set_text(text)
    assert shown.isHidden()


def test_code_and_link_are_copied_in_one_click_and_the_button_says_so(
    qapp: QApplication, qtbot: QtBot
) -> None:
    box = CodeBox("The code", with_link=True)
    qtbot.addWidget(box)
    assert not box.copy_code.isEnabled() and not box.copy_link.isEnabled()
    box.set_code("abc", LINK)
    box.copy_code.click()
    assert QGuiApplication.clipboard().text() == "abc"
    assert box.copy_code.text() == "Copied"
    box.copy_link.click()
    assert QGuiApplication.clipboard().text() == LINK
    qtbot.waitUntil(lambda: box.copy_code.text() == "Copy code", timeout=5000)
