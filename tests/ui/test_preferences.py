"""Settings are saved beside the window, in order, and a disk that refuses costs one line."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest
import shiboken6
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QScrollArea
from pytestqt.qtbot import QtBot

from app.settings import Settings
from app.ui.devices_list import DevicesList
from app.ui.preferences import Preferences
from app.ui.settings_dialog import SettingsDialog
from app.ui.turns import Turns, each
from engine.errors import SottovoceError
from tests.ui.conftest import MakeWindow


def test_a_slow_disk_holds_nothing_up_and_the_last_change_is_written_last(qtbot: QtBot) -> None:
    disk = threading.Event()
    written: list[str] = []

    def save(settings: Settings) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert disk.wait(10.0)
        written.append(settings.name)

    preferences = Preferences(Settings(name="Ada"), save)
    seen: list[Settings] = []
    preferences.changed.connect(seen.append)
    preferences.rename("Bo")
    preferences.rename("Cy")
    assert preferences.settings.name == "Cy"  # in force at once
    assert [settings.name for settings in seen] == ["Bo", "Cy"]
    assert written == []
    disk.set()
    qtbot.waitUntil(lambda: written == ["Bo", "Cy"], timeout=5000)


def test_a_folder_that_cannot_be_written_to_is_said_and_the_change_stays(
    make_window: MakeWindow, qtbot: QtBot
) -> None:
    window = make_window()

    def refuse(_settings: Settings) -> None:
        raise SottovoceError("Settings cannot be saved to /nowhere: check the folder.")

    window.preferences._save = refuse
    window.preferences.change(dataclasses.replace(window.settings, volume=0.3))
    qtbot.waitUntil(window.start.notice.isVisible, timeout=5000)
    assert "/nowhere" in window.start.notice.text.text()
    assert window.settings.volume == 0.3


def job(done: list[int]) -> list[Callable[[], object]]:
    return [lambda n=n: done.append(n) for n in range(5)]  # type: ignore[misc]


def test_a_job_in_turns_can_be_finished_stopped_or_outlived(qtbot: QtBot) -> None:
    owner = QObject()
    slowly: list[int] = []
    Turns(owner, each(job(slowly)))
    assert slowly == []
    qtbot.waitUntil(lambda: slowly == [0, 1, 2, 3, 4], timeout=2000)

    at_once: list[int] = []
    turns = Turns(owner, each(job(at_once)))
    turns.finish()
    assert at_once == [0, 1, 2, 3, 4]

    never: list[int] = []
    Turns(owner, each(job(never))).stop()
    orphaned: list[int] = []
    parent = QObject()
    Turns(parent, each(job(orphaned)))
    shiboken6.delete(parent)
    qtbot.wait(50)
    assert (at_once, never, orphaned) == ([0, 1, 2, 3, 4], [], [])


def test_settings_lie_beside_the_window_and_leave_what_changed_meanwhile(
    make_window: MakeWindow, qtbot: QtBot
) -> None:
    window = make_window()
    window.go(window.page)
    window.page.header.settings.click()
    qtbot.waitUntil(lambda: bool(window.findChildren(SettingsDialog)))
    (dialog,) = window.findChildren(SettingsDialog)
    qtbot.waitUntil(dialog.isVisible)
    assert not dialog.isModal()  # one can hang up
    window.open_settings()
    assert window.findChildren(SettingsDialog) == [dialog]
    window.preferences.remember_peer("Bo")
    dialog.complete()
    dialog.noise.setChecked(not window.settings.noise_suppression)
    dialog.accept()
    assert window.settings.recent_peers == ("Bo",)
    assert window.settings.noise_suppression == dialog.noise.isChecked()

    before = window.settings
    window.open_settings()
    dialog = window.preferences._dialog
    dialog.complete()
    dialog.name.setText("Grace")
    window.close()
    assert not dialog.isVisible()
    assert window.settings == before


@pytest.mark.parametrize("pieces", [0, 3, 1000])
def test_a_dialog_that_is_closed_goes_page_by_page_however_far_it_was_made(
    make_window: MakeWindow, qtbot: QtBot, pieces: int
) -> None:
    window = make_window()
    window.open_settings()
    dialog = window.preferences._dialog
    assert isinstance(dialog, SettingsDialog)
    for _piece in range(pieces):
        next(dialog._making._job, None)
    gone: list[str] = []
    for page in dialog._pages.findChildren(QScrollArea):
        page.destroyed.connect(lambda: gone.append("page"))
    pages = len(dialog._pages.findChildren(QScrollArea))
    dialog.destroyed.connect(lambda: gone.append("dialog"))
    dialog.reject()
    assert window.preferences._dialog is None
    assert gone == []
    qtbot.waitUntil(lambda: "dialog" in gone, timeout=5000)
    assert gone[-1] == "dialog" and len(gone) == 1 + pages


def test_devices_are_not_looked_for_after_the_dialog_was_closed(
    make_window: MakeWindow, qtbot: QtBot
) -> None:
    window = make_window()
    for pieces in range(30):
        window.open_settings()
        dialog = window.preferences._dialog
        assert isinstance(dialog, SettingsDialog)
        for _piece in range(pieces):
            next(dialog._making._job, None)
        looked = len(dialog.findChildren(DevicesList))
        dialog.reject()
        qtbot.wait(1)
        if shiboken6.isValid(dialog):
            assert len(dialog.findChildren(DevicesList)) <= looked
    assert looked == 1  # the last ones were complete
