"""The real window on real calls: mouse, keyboard, consent, and how long its thread is busy."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.call_state import CallState
from app.helper import Helper
from app.ui.application import warm_up
from app.ui.call_window import CallWindow
from app.ui.palette import DARK
from app.ui.settings_dialog import SettingsDialog
from app.ui.theme import theme
from tests.app.calls import make_call, talk
from tests.speech import any_speech
from tests.ui.bystanders import loaded_libraries, threads_made_here
from tests.ui.conftest import MakeWindow
from tests.ui.stopwatch import MeasuredApplication, assert_never_blocked

pytestmark = pytest.mark.network
PATIENCE_MS = 45_000
SOON_MS = 15_000  # at once, on a machine that has something else to do
LEFT = Qt.MouseButton.LeftButton


BUNDLE = (
    "near.wav",
    "far_phonemes.wav",
    "far_opus.wav",
    "events.jsonl",
    "packets.csv",
    "stats.csv",
    "phonemes.TextGrid",
    "manifest.json",
    "report.html",
)


class Bell:
    """Writes down what would be heard."""

    def __init__(self, rung: list[str]) -> None:
        self._rung = rung

    def play(self, name: str, *, repeat: bool = False) -> None:
        self._rung.append(f"{name} again and again" if repeat else name)

    def stop(self) -> None:
        pass


def press(qtbot: QtBot, window: CallWindow, key: Qt.Key, text: str = "") -> None:
    focus = QApplication.focusWidget() or window
    qtbot.keyClicks(focus, text) if text else qtbot.keyClick(focus, key)


def test_two_people_invite_talk_compare_record_and_hang_up(
    make_window: MakeWindow,
    qtbot: QtBot,
    qapp: MeasuredApplication,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warm_up().join()  # as the program does while the start page is shown
    opened: list[Path] = []
    monkeypatch.setattr("app.ui.ended_page._open", opened.append)
    speech = np.tile(any_speech(6.0), 4)
    mine = make_call("Ada", speech, tmp_path, bundle=True)
    theirs = make_call("Bo", speech, tmp_path)
    rung: list[str] = []
    window = make_window(mine, sounds=Bell(rung), recordings=str(tmp_path / "abx"))

    elsewhere = Helper("the other side").start()
    made = threads_made_here(monkeypatch)  # from here to the ended page
    qtbot.mouseClick(window.start.invite, LEFT)
    qtbot.waitUntil(lambda: bool(window.invite.code.code), timeout=PATIENCE_MS)
    qtbot.mouseClick(window.invite.code.copy_code, LEFT)
    code = QGuiApplication.clipboard().text()
    assert code == window.invite.code.code
    answers: list[Future[str]] = []
    elsewhere.do(lambda: answers.append(theirs.accept_invite(code)))
    qtbot.waitUntil(lambda: bool(answers) and answers[0].done(), timeout=PATIENCE_MS)
    QGuiApplication.clipboard().setText(answers[0].result())
    qtbot.mouseClick(window.invite.answer.paste, LEFT)
    handled = qapp.begin()  # measured from here, the change to the page of the call included
    libraries = loaded_libraries()
    qtbot.mouseClick(window.invite.answer.go, LEFT)
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.page, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: window.page.header.name.text() == "Bo", timeout=SOON_MS)
    assert window.settings.recent_peers == ("Bo",)
    assert rung == ["ringing again and again", "connected"]

    talk(mine)
    talk(theirs)
    page = window.page
    qtbot.waitUntil(lambda: mine.stats().events_received > 15, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: bool(page.speech.far.spoken()), timeout=SOON_MS)
    qtbot.waitUntil(lambda: bool(page.speech.near.spoken()), timeout=PATIENCE_MS)
    assert page.header.badge.text() == "Synthetic voice"
    assert page.header.badge.isVisible()

    qtbot.mouseClick(page.header.light, LEFT)
    qtbot.waitUntil(page.meters.isVisible, timeout=SOON_MS)
    qtbot.wait(800)
    QTimer.singleShot(0, lambda: theme().choose("dark"))
    qtbot.waitUntil(lambda: theme().palette is DARK, timeout=SOON_MS)
    qtbot.waitUntil(lambda: theme().settled, timeout=SOON_MS)

    qtbot.mouseClick(page.bar.switch.buttons["opus"], LEFT)
    qtbot.waitUntil(lambda: mine.stats().arm == "opus", timeout=SOON_MS)
    qtbot.waitUntil(page.header.badge.isHidden, timeout=SOON_MS)
    qtbot.mouseClick(page.details.compare.rates.buttons["12000"], LEFT)
    qtbot.mouseClick(page.details.compare.frames.buttons["20"], LEFT)
    qtbot.waitUntil(
        lambda: (mine.stats().opus_rate_bps, mine.stats().opus_frame_ms) == (12_000, 20),
        timeout=SOON_MS,
    )
    qtbot.keyClick(page.bar.mute, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: mine.stats().arm == "phonemes", timeout=SOON_MS)
    qtbot.waitUntil(page.header.badge.isVisible, timeout=SOON_MS)

    qtbot.mouseClick(page.bar.mute, LEFT)
    qtbot.waitUntil(lambda: mine.stats().muted, timeout=SOON_MS)
    qtbot.waitUntil(lambda: page.bar.mute.text() == "Unmute", timeout=SOON_MS)
    qtbot.mouseClick(page.bar.mute, LEFT)

    page.bar.volume.setFocus()
    qtbot.keyClick(page.bar.volume, Qt.Key.Key_PageDown)
    qtbot.waitUntil(lambda: mine.stats().volume == pytest.approx(0.8), timeout=SOON_MS)
    page.bar.mute.setFocus()

    page.details.open("link")
    page.details.link.choose_preset("train")
    qtbot.waitUntil(lambda: bool(page.details.link.now.text()), timeout=SOON_MS)
    assert "%" in page.details.link.sliders["loss"].value.text()
    for tab in ("voice", "chat", "compare"):
        page.details.open(tab)
        qtbot.wait(300)

    # both sides see the question before anything is written
    qtbot.mouseClick(page.bar.record, LEFT)
    qtbot.waitUntil(page.consent.isVisible, timeout=SOON_MS)
    qtbot.waitUntil(lambda: theirs.stats().recording == "asked", timeout=PATIENCE_MS)
    theirs.request_recording()
    qtbot.waitUntil(page.header.recording.isVisible, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: bool(mine.stats().recording_path), timeout=PATIENCE_MS)

    qtbot.mouseClick(page.header.settings, LEFT)
    qtbot.waitUntil(lambda: bool(window.findChildren(SettingsDialog)), timeout=SOON_MS)
    (settings,) = window.findChildren(SettingsDialog)
    qtbot.waitUntil(settings.isVisible, timeout=SOON_MS)
    for tab in ("sound", "network"):
        qtbot.mouseClick(settings.tabs.buttons[tab], LEFT)
        qtbot.wait(200)
    settings.reject()

    # a blind test hides what would give the arms away, and is saved with the recording
    qtbot.mouseClick(page.details.compare.abx, LEFT)
    qtbot.waitUntil(lambda: window.blind.dialog is not None, timeout=SOON_MS)
    dialog = window.blind.dialog
    assert dialog is not None
    qtbot.waitUntil(dialog.isVisible, timeout=SOON_MS)
    qtbot.waitUntil(lambda: "may be heard" in page.header.badge.text(), timeout=SOON_MS)
    dialog.count.setValue(4)
    qtbot.mouseClick(dialog.begin, LEFT)
    session = dialog.session
    assert session is not None
    while not session.finished:
        for ear in ("A", "B", "X"):
            dialog.hear(ear)
            assert mine._switches.arm == session.arm_of(ear)
        dialog.answer(session.order[len(session.answers)])
    assert session.p_value == pytest.approx(1 / 16)
    kept: list[str] = []
    dialog.saved.connect(kept.append)
    qtbot.waitUntil(lambda: bool(kept), timeout=SOON_MS)
    dialog.accept()
    folder = Path(mine.stats().recording_path)
    folder = folder if folder.is_dir() else folder.parent
    saved = list(folder.glob("abx-*.json"))
    assert [str(path) for path in saved] == kept
    assert len(saved) == 1
    assert json.loads(saved[0].read_text())["correct"] == 4

    # the evaluation bundle is made beside the call
    qtbot.mouseClick(page.bar.record, LEFT)
    qtbot.waitUntil(page.header.recording.isHidden, timeout=SOON_MS)
    qtbot.wait(500)

    qtbot.mouseClick(page.bar.hang_up, LEFT)
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.ended, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: theirs.state is CallState.ENDED, timeout=PATIENCE_MS)
    qtbot.wait(300)
    qapp.handled = None
    assert made == []
    assert loaded_libraries() - libraries == set()
    assert "Bo" in window.ended.name.text()
    assert rung[-1] == "ended"
    assert window.settings.volume == pytest.approx(0.8)  # remembered
    assert window.ended.recording.isVisible()
    qtbot.waitUntil(window.ended.report.isVisible, timeout=PATIENCE_MS)
    theirs.close()
    mine.close()
    assert {path.name for path in folder.iterdir()} >= {*BUNDLE, saved[0].name}
    assert opened == []
    qtbot.mouseClick(window.ended.report, LEFT)
    assert opened == [folder / "report.html"]

    assert_never_blocked(handled)


def test_a_whole_call_by_keyboard_alone(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = make_call("Bo", np.zeros(16_000, np.float32), tmp_path)
    mine = make_call("Ada", any_speech(4.0), tmp_path)
    window = make_window(mine)
    invite = theirs.create_invite()
    qtbot.waitUntil(invite.done, timeout=PATIENCE_MS)

    made = threads_made_here(monkeypatch)
    assert window.start.invite.hasFocus()
    press(qtbot, window, Qt.Key.Key_Tab)
    assert window.start.join.hasFocus()
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.join.invite.field.hasFocus()

    # rubbish first: one clear line, and another try
    press(qtbot, window, Qt.Key.Key_unknown, "is this a code?")
    press(qtbot, window, Qt.Key.Key_Return)
    qtbot.waitUntil(window.join.error.isVisible, timeout=PATIENCE_MS)
    assert "\n" not in window.join.error.text()
    assert "invite" in window.join.error.text()
    assert window.join.invite.field.hasFocus()

    QGuiApplication.clipboard().setText(invite.result())
    field = window.join.invite.field
    qtbot.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    press(qtbot, window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(window.join.code.code), timeout=PATIENCE_MS)
    assert not window.join.error.isVisible()
    assert window.join.code.copy_code.hasFocus()
    press(qtbot, window, Qt.Key.Key_Space)
    theirs.accept_answer(QGuiApplication.clipboard().text())
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.page, timeout=PATIENCE_MS)

    assert window.page.bar.mute.hasFocus()
    press(qtbot, window, Qt.Key.Key_M)
    qtbot.waitUntil(lambda: mine.stats().muted, timeout=SOON_MS)
    press(qtbot, window, Qt.Key.Key_M)
    qtbot.waitUntil(lambda: not mine.stats().muted, timeout=SOON_MS)
    press(qtbot, window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: theirs.stats().recording == "asked", timeout=SOON_MS)
    press(qtbot, window, Qt.Key.Key_R)  # taken back
    qtbot.waitUntil(lambda: theirs.stats().recording == "off", timeout=SOON_MS)
    press(qtbot, window, Qt.Key.Key_D)
    qtbot.waitUntil(window.page.details.isVisible, timeout=SOON_MS)
    press(qtbot, window, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: mine.stats().push_to_talk, timeout=SOON_MS)
    qtbot.waitUntil(lambda: window._talk_key._enabled, timeout=SOON_MS)
    qtbot.keyPress(window.page.bar.mute, Qt.Key.Key_Space)
    assert mine._switches.talk_key
    qtbot.keyRelease(window.page.bar.mute, Qt.Key.Key_Space)
    assert not mine._switches.talk_key
    assert not mine.stats().muted  # Space talked, it did not press the button
    qtbot.keyClick(window.page.bar.mute, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.ended, timeout=PATIENCE_MS)
    assert made == []
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.pages.currentWidget() is window.start
    theirs.close()
    mine.close()
