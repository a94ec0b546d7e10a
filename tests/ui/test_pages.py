"""Pages and dialogs without a call: rubbish, hostile names, small screens, themes, devices."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.audio import AudioPort, FilePort
from app.settings import Settings
from app.stats import CallStats
from app.ui.devices_list import DeviceNames
from app.ui.icons import ICON_DIR
from app.ui.palette import DARK
from app.ui.settings_dialog import SettingsDialog
from app.ui.setup_wizard import SetupWizard
from app.ui.spectrogram import Spectrogram
from app.ui.theme import theme
from app.ui.voice_lab import VoiceLab
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow
from tests.ui.stopwatch import MeasuredApplication, assert_never_blocked

HOSTILE = "\u202eEve\x00\n\x1b[31m<img src=x>&" + "W" * 10_000


@pytest.mark.parametrize(
    "rubbish",
    ["hello?", "\x00\x01\x02", "a" * 5_000, "<script>alert(1)</script>", "https://example.org/"],
    ids=["text", "control", "long", "markup", "link"],
)
def test_pasted_rubbish_gives_one_clear_line_and_another_try(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path, rubbish: str
) -> None:
    call = make_call("Ada", np.zeros(160, np.float32), tmp_path)
    window = make_window(call)
    qtbot.mouseClick(window.start.join, Qt.MouseButton.LeftButton)
    QGuiApplication.clipboard().setText(rubbish)
    qtbot.mouseClick(window.join.invite.paste, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(window.join.invite.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(window.join.error.isVisible, timeout=20_000)
    line = window.join.error.text()
    assert 10 < len(line) < 200
    assert "\n" not in line
    assert "paste" in line or "copy" in line or "copied" in line
    assert not window.join.invite.field.isReadOnly()
    assert window.pages.currentWidget() is window.join


def test_a_hostile_name_is_cleaned_elided_and_never_markup(make_window: MakeWindow) -> None:
    window = make_window(name=HOSTILE, recent_peers=(HOSTILE, "Bo"))
    window.resize(800, 600)
    page = window.page
    page.header.show_stats(CallStats(peer_name=HOSTILE), False)
    window.go(page)
    assert window.width() == 800
    assert len(page.header.name.text()) <= 40
    assert page.header.name.textFormat() is Qt.TextFormat.PlainText
    assert page.header.name.width() < 800
    assert "\n" not in page.header.name.text()


def test_everything_that_can_be_used_has_a_name(make_window: MakeWindow) -> None:
    window = make_window()
    window.page.open_details(True)
    kinds = (QAbstractButton, QLineEdit, QSlider, QComboBox, QPlainTextEdit)
    settings = SettingsDialog(Settings(), window)
    settings.complete()
    wizard = SetupWizard(Settings(), window, lambda _mic, _out: FilePort(np.zeros(160, np.float32)))
    parents: list[QWidget] = [window, settings, wizard, VoiceLab("", window)]
    nameless = []
    for parent in parents:
        for kind in kinds:
            for widget in parent.findChildren(kind):
                text = widget.text() if isinstance(widget, QAbstractButton) else ""
                inner = isinstance(widget.parent(), QLineEdit)  # Qt's own clear button
                if not (widget.accessibleName() or text or inner):
                    nameless.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    assert not nameless
    for dialog in (settings, wizard):
        dialog.reject()


def test_an_invite_on_the_clipboard_is_offered_and_joined_by_one_press(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    silence = np.zeros(160, np.float32)
    theirs, mine = make_call("Bo", silence, tmp_path), make_call("Ada", silence, tmp_path)
    code = theirs.create_invite().result(30)
    window = make_window(mine)
    QGuiApplication.clipboard().setText("just some words")
    assert window.start.offer.isHidden()
    QGuiApplication.clipboard().setText(f"  sottovoce:{code}\n")
    qtbot.waitUntil(lambda: not window.start.offer.isHidden(), timeout=5000)
    QGuiApplication.clipboard().setText("other words")
    qtbot.waitUntil(window.start.offer.isHidden, timeout=5000)
    QGuiApplication.clipboard().setText(code)
    qtbot.waitUntil(window.start.offer.isVisible, timeout=5000)
    qtbot.mouseClick(window.start.offer, Qt.MouseButton.LeftButton)
    assert window.pages.currentWidget() is window.join
    assert code in window.join.invite.field.text()
    qtbot.waitUntil(lambda: bool(window.join.code.code), timeout=30_000)
    assert not window.join.error.isVisible()
    theirs.close()
    mine.close()


def test_settings_come_back_as_they_were_chosen(make_window: MakeWindow) -> None:
    window = make_window()
    old = Settings(
        name="Ada", input_device="A headset that is away", turn_servers=("turn:a:b@c:1",)
    )
    dialog = SettingsDialog(old, window)
    assert dialog.applied_to(old) == old
    dialog.mode.setCurrentIndex(dialog.mode.findData("toggle"))
    dialog.name.setText("  Grace\u202e ")
    dialog.stun.setPlainText("stun:one:1\n\n stun:two:2 ")
    dialog.theme.setCurrentIndex(dialog.theme.findData("dark"))
    chosen = dialog.applied_to(old)
    assert (chosen.name, chosen.push_to_talk, chosen.theme) == ("Grace", "toggle", "dark")
    assert chosen.stun_servers == ("stun:one:1", "stun:two:2")
    window.preferences.change(chosen)
    theme().settle()
    assert theme().palette is DARK


@pytest.mark.parametrize("kind", ["settings", "wizard"])
def test_devices_are_chosen_by_name_and_kept(make_window: MakeWindow, kind: str) -> None:
    window = make_window()
    old = Settings(name="Ada", output_device="Old speakers")
    port = FilePort(np.zeros(160, np.float32))
    dialog: SettingsDialog | SetupWizard
    if kind == "settings":
        dialog = SettingsDialog(old, window)
        dialog.complete()
    else:
        dialog = SetupWizard(old, window, lambda _mic, _out: port)
    dialog._devices_found(DeviceNames(("Desk mic", "Headset"), ("Headset", "Room")))
    assert dialog.loudspeaker.key() == "Old speakers"  # away, and still chosen
    dialog.microphone.setCurrentIndex(dialog.microphone.findData("Headset"))
    dialog.loudspeaker.setCurrentIndex(dialog.loudspeaker.findData("Room"))
    chosen = dialog.applied_to(old)
    assert (chosen.input_device, chosen.output_device) == ("Headset", "Room")
    dialog.reject()


def test_the_wizard_checks_the_level_and_plays_back(make_window: MakeWindow, qtbot: QtBot) -> None:
    seconds = np.arange(16_000 * 2) / 16_000
    speech = (0.1 * np.sin(2 * np.pi * 300 * seconds)).astype(np.float32)
    ports: list[FilePort] = []

    def open_port(_microphone: str, _loudspeaker: str) -> AudioPort:
        ports.append(FilePort(speech, repeat=True))
        return ports[-1]

    window = make_window()
    wizard = SetupWizard(Settings(name="Ada"), window, open_port)
    wizard.show()
    qtbot.mouseClick(wizard.next, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "good" in wizard._advice.text(), timeout=10_000)
    qtbot.mouseClick(wizard.next, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(wizard.record, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(wizard.plain.isEnabled, timeout=10_000)
    qtbot.mouseClick(wizard.plain, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: ports[-1].queued_ms() > 0, timeout=5000)
    qtbot.mouseClick(wizard.next, Qt.MouseButton.LeftButton)
    assert wizard.applied_to(Settings()).wizard_done


def test_the_voice_lab_says_what_is_missing(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    lab = VoiceLab("", make_window())
    lab.begin()
    assert "recording" in lab.note.text()
    broken = tmp_path / "broken.sotto"
    broken.write_bytes(b"not at all")
    lab.words.path.setText(str(broken))
    lab.begin()
    qtbot.waitUntil(lambda: bool(lab.note.text()), timeout=20_000)
    assert "sotto" in lab.note.text()
    assert "\n" not in lab.note.text()
    assert lab.speak.isEnabled()
    lab.reject()


def test_every_icon_is_a_drawing_that_takes_the_colour() -> None:
    names = {path.stem for path in ICON_DIR.glob("*.svg")}
    assert {"mic", "mic-off", "hang-up", "sottovoce"} <= names
    for path in ICON_DIR.glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg")
        if path.stem != "sottovoce":
            assert "currentColor" in path.read_text()


def test_the_first_run_is_done_by_keyboard_alone(make_window: MakeWindow, qtbot: QtBot) -> None:
    window = make_window(name="")
    speech = np.tile(np.sin(np.arange(1600) / 10).astype(np.float32) * 0.1, 10)
    wizard = SetupWizard(Settings(), window, lambda _mic, _out: FilePort(speech, repeat=True))
    wizard.show()
    wizard.activateWindow()
    qtbot.waitUntil(wizard.name.hasFocus, timeout=5000)
    qtbot.keyClicks(wizard.name, "Grace")
    for _step in range(3):
        qtbot.keyClick(QApplication.focusWidget() or wizard, Qt.Key.Key_Return)
    assert not wizard.isVisible()
    assert wizard.applied_to(Settings()).name == "Grace"
    assert wizard.applied_to(Settings()).wizard_done
    window.preferences.apply(wizard.applied_to(Settings()), None)
    assert window.start.name.text() == "Grace"


def test_a_gap_in_what_was_played_keeps_the_pictures_in_step(qapp: object) -> None:
    tone = np.sin(np.arange(16_000) / 4).astype(np.float32) * 0.3
    spectrogram = Spectrogram()
    spectrogram.push(tone)
    before = spectrogram._filled
    spectrogram.skip(500.0)
    spectrogram.push(tone)
    gap = spectrogram._pixels[:, before : before + 50]
    assert not gap.any()
    assert spectrogram._pixels[:, before + 50 : before + 100].any()
    filled = spectrogram._filled
    spectrogram.push(np.tile(tone, 3))  # more than is drawn at once, yet time has passed
    assert spectrogram._filled - filled == pytest.approx(300, abs=4)
    spectrogram.skip(1e9)  # a machine that slept overnight
    assert not spectrogram._pixels.any()


def test_new_colours_reach_every_zone_one_turn_at_a_time(
    make_window: MakeWindow, qapp: MeasuredApplication
) -> None:
    window = make_window()
    window.go(window.page)
    window.page.open_details(True)
    qapp.processEvents()
    theme().choose("dark")
    assert not theme().settled
    handled = qapp.begin()
    while not theme().settled:
        qapp.processEvents()
    qapp.handled = None
    assert_never_blocked(handled, at_least=15)
    zones = (window.page.header, window.page.bar, window.start.invite, window.page.meters.rates)
    for zone in zones:
        assert zone.styleSheet() == window.page.speech.styleSheet()
        assert DARK.surface in zone.styleSheet()
        assert zone.updatesEnabled()
    lab = VoiceLab("", window)
    theme().choose("light")
    lab.reject()
    lab.deleteLater()  # a zone that dies while it waits
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme().settle()
