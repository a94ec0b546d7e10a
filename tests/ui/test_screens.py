"""Every page and dialog on a small screen and on a 4K one, in each language, in both themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QDialog, QSpinBox
from pytestqt.qtbot import QtBot

from app.audio import FilePort
from app.call_state import CallState
from app.settings import Settings
from app.stats import CallStats
from app.ui import translations
from app.ui.abx_dialog import AbxDialog
from app.ui.call_window import CallWindow
from app.ui.palette import DARK, LIGHT
from app.ui.settings_dialog import SettingsDialog
from app.ui.setup_wizard import SetupWizard
from app.ui.theme import theme
from app.ui.voice_lab import VoiceLab
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow
from tests.ui.fitting import cut_texts, outside

SMALL, LARGE = (800, 600), (3840, 2160)
TITLE_PX = 40  # of a small screen, for the window's title
LANGUAGES = sorted(translations.languages())
BUSY = CallStats(peer_name="W" * 40, recording="asking", muted=True, events_received=99_999)
REFUSED = CallStats(state=CallState.ACTIVE, peer_name="W" * 40, recording="failed", peer_muted=True)


@pytest.fixture(params=LANGUAGES)
def language(qapp: QApplication, request: pytest.FixtureRequest) -> Iterator[str]:
    """Each language that ships; English again afterwards."""
    assert translations.install(qapp, request.param) == request.param
    yield request.param
    translations.install(qapp, "en")


@pytest.mark.parametrize("stats", [BUSY, REFUSED], ids=["busy", "refused"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["800x600", "4K"])
def test_every_page_fits_every_screen(
    make_window: MakeWindow, qtbot: QtBot, language: str, size: tuple[int, int], stats: CallStats
) -> None:
    window = make_window(recent_peers=("Bo", "W" * 40))
    window.resize(*size)
    window.page.open_details(True)
    window.page.bar.show_stats(stats, "F9")
    window.page.header.show_stats(stats, True)
    for button in (window.ended.recording, window.ended.report):
        button.show()
    window.go(window.page)
    cards = window.page.meters.cards
    qtbot.waitUntil(lambda: all(card.isVisible() for card in cards), timeout=5000)
    bad = []
    for place in range(window.pages.count()):
        window.pages.setCurrentIndex(place)
        page = window.pages.currentWidget()
        tabs = list(window.page.details.tabs.buttons) if page is window.page else [""]
        for tab in tabs:
            if tab:
                window.page.details.open(tab)
            QApplication.processEvents()
            assert (window.width(), window.height()) == size
            bad += cut_texts(page) + outside(page)
    assert bad == []


def dialogs(
    window: CallWindow, folder: Path, qtbot: QtBot
) -> list[tuple[QDialog, list[Callable[[], object]]]]:
    """Each dialog with what leads from one of its pages to the next."""
    settings = SettingsDialog(Settings(), window)
    settings.complete()
    port = FilePort(np.zeros(160, np.float32))
    wizard = SetupWizard(Settings(name="Ada"), window, lambda _mic, _out: port)
    call = make_call("Ada", np.zeros(160, np.float32), folder)
    abx = AbxDialog(call, folder, window)
    turn = [lambda tab=tab: settings._open(tab) for tab in ("sound", "network")]
    step = [lambda: wizard._go(1), lambda: wizard._go(2)]
    finish = [abx.start, *(lambda: abx.answer("A") for _trial in range(abx.count.value()))]
    finish.append(lambda: qtbot.waitUntil(lambda: bool(abx._where.text()), timeout=5000))
    return [(settings, turn), (wizard, step), (VoiceLab("", window), []), (abx, finish)]


def test_every_dialog_fits_a_small_screen(
    make_window: MakeWindow, qtbot: QtBot, language: str, tmp_path: Path
) -> None:
    window = make_window()
    bad = []
    for dialog, steps in dialogs(window, tmp_path, qtbot):
        dialog.show()
        for step in [lambda: None, *steps]:
            step()
            QApplication.processEvents()
            name = type(dialog).__name__
            assert dialog.width() <= SMALL[0], name
            assert dialog.height() <= SMALL[1] - TITLE_PX, name
            bad += [f"{name}: {text}" for text in cut_texts(dialog) + outside(dialog)]
        dialog.reject()
    assert bad == []


@pytest.mark.parametrize(("choice", "palette"), [("light", LIGHT), ("dark", DARK)])
def test_every_page_wears_the_theme(make_window: MakeWindow, choice: str, palette: object) -> None:
    window = make_window()
    theme().choose(choice)
    theme().settle()
    assert theme().palette is palette
    ground = QColor(palette.ground)
    for place in range(window.pages.count()):
        window.pages.setCurrentIndex(place)
        QApplication.processEvents()
        picture = window.grab().toImage()
        middle = picture.height() // 2
        side = picture.pixelColor(2, middle)  # beside everything, on every page
        assert abs(side.lightness() - ground.lightness()) < 12, place


class System:
    """Qt's application and its hints, with a desktop that turns dark when it is told to."""

    def __init__(self, application: QApplication) -> None:
        self.scheme = Qt.ColorScheme.Light
        self.setPalette = application.setPalette

    def styleHints(self) -> System:
        return self

    def colorScheme(self) -> Qt.ColorScheme:
        return self.scheme

    def setColorScheme(self, wanted: Qt.ColorScheme) -> None:
        """A wish of the program's own."""


def test_the_window_follows_the_system_into_the_dark_and_back(
    make_window: MakeWindow, qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_window()
    system = System(qapp)
    monkeypatch.setattr(theme(), "_application", system)
    theme().choose("system")
    for scheme, palette in (
        (Qt.ColorScheme.Dark, DARK),
        (Qt.ColorScheme.Light, LIGHT),
        (Qt.ColorScheme.Dark, DARK),
    ):
        system.scheme = scheme
        qapp.styleHints().colorSchemeChanged.emit(scheme)
        assert theme().palette is palette
    theme().choose("light")  # whatever the system does
    qapp.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme().palette is LIGHT
    theme().settle()


def test_meters_side_by_side_are_of_one_height(make_window: MakeWindow, qtbot: QtBot) -> None:
    window = make_window()
    window.resize(1920, 1080)
    window.go(window.page)
    window.page.open_details(True)
    cards = window.page.meters.cards
    qtbot.waitUntil(lambda: all(card.isVisible() for card in cards), timeout=5000)
    qtbot.waitUntil(lambda: cards[0].y() == cards[1].y() < cards[2].y(), timeout=5000)
    heights = [card.height() for card in cards]
    assert max(heights) - min(heights) <= 2, heights


@pytest.mark.parametrize("choice", ["light", "dark"])
def test_a_number_can_be_turned_up_and_down(make_window: MakeWindow, choice: str) -> None:
    window = make_window()
    theme().choose(choice)
    theme().settle()
    field = QSpinBox(window)
    theme().dress(field)
    field.resize(90, 36)
    field.show()
    QApplication.processEvents()
    picture = field.grab().toImage()
    muted = QColor(theme().palette.muted)
    for top in (0, 18):  # an arrow in either half
        near = [picture.pixelColor(x, y) for x in range(66, 88) for y in range(top + 4, top + 16)]
        assert sum(abs(c.lightness() - muted.lightness()) < 40 for c in near) >= 6, top
    field.deleteLater()


def test_a_text_that_does_not_fit_is_found(make_window: MakeWindow) -> None:
    """The measure itself can fail."""
    window = make_window()
    window.start.invite.setFixedWidth(20)
    window.start.name.parentWidget().setMinimumWidth(2000)
    QApplication.processEvents()
    assert outside(window.start)
    window.page.bar.mute.setText("a word that is far too long")
    window.go(window.page)
    assert any("far too long" in text for text in cut_texts(window.page))
