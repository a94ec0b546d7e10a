"""What the window shows, and keeps, when a call meets trouble: real calls, real sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QTimer
from pytestqt.qtbot import QtBot

from app.audio import AudioPort, FilePort, NullPort
from app.call import Call
from app.call_state import CallState
from app.settings import Settings
from app.ui.call_window import CallWindow
from app.ui.settings_dialog import SettingsDialog
from app.ui.theme import theme
from tests.app.calls import make_call, talk
from tests.speech import any_speech
from tests.ui.conftest import MakeWindow
from tests.ui.stopwatch import MeasuredApplication, assert_never_blocked
from transport.control import Hello
from transport.impair import ImpairmentSettings

pytestmark = pytest.mark.network
PATIENCE_MS = 45_000
SOON_MS = 15_000  # at once, on a machine that has something else to do
LEFT = Qt.MouseButton.LeftButton
ROOT = Path(__file__).resolve().parents[2]
NOTHING_GETS_THROUGH = ImpairmentSettings(loss=1.0)


@contextmanager
def called(qtbot: QtBot, window: CallWindow, mine: Call, theirs: Call) -> Iterator[None]:
    """``window`` shows ``mine``, which talks to ``theirs``."""
    window.attach(mine)
    try:
        invite = mine.create_invite()
        qtbot.waitUntil(invite.done, timeout=PATIENCE_MS)
        answer = theirs.accept_invite(invite.result())
        qtbot.waitUntil(answer.done, timeout=PATIENCE_MS)
        mine.accept_answer(answer.result())
        qtbot.waitUntil(lambda: state_of(window) == "In a call", timeout=PATIENCE_MS)
        yield
    finally:
        mine.close()
        theirs.close()


def state_of(window: CallWindow) -> str:
    return window.page.header.state.text().rpartition("·")[2].strip()


def notice_of(window: CallWindow) -> str:
    return window.page.notice.text.text() if window.page.notice.isVisible() else ""


def test_a_lost_link_is_shown_and_the_same_call_goes_on(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    mine = make_call("Ada", np.zeros(1600, np.float32), tmp_path)
    theirs = make_call("Bo", np.tile(any_speech(6.0), 12), tmp_path)
    window = make_window(mine)
    with called(qtbot, window, mine, theirs):
        talk(theirs)
        qtbot.waitUntil(lambda: mine.stats().events_received > 10, timeout=PATIENCE_MS)
        for call in (mine, theirs):
            call.set_impairment(NOTHING_GETS_THROUGH)
        qtbot.waitUntil(lambda: state_of(window).startswith("Link lost"), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: "trying to get it back" in notice_of(window), timeout=SOON_MS)
        assert window.page.header.light.text() == "Lost"
        assert window.pages.currentWidget() is window.page
        seconds = mine.stats().seconds

        for call in (mine, theirs):
            call.set_impairment(None)
        qtbot.waitUntil(lambda: state_of(window) == "In a call", timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: not notice_of(window), timeout=SOON_MS)
        # the same call: its clock goes on
        qtbot.waitUntil(lambda: mine.stats().seconds > seconds, timeout=PATIENCE_MS)
        had = mine.stats().events_received
        qtbot.waitUntil(lambda: mine.stats().events_received > had + 5, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: bool(window.page.speech.far.spoken()), timeout=SOON_MS)

        theirs.hang_up()
        qtbot.waitUntil(lambda: window.pages.currentWidget() is window.ended, timeout=PATIENCE_MS)
        assert "The other side hung up." in window.ended.words.text()


PEER = """
import sys, time
from pathlib import Path
import numpy as np
from tests.app.calls import make_call
call = make_call("Bo", np.zeros(1600, np.float32), Path(sys.argv[2]))
print(call.accept_invite(sys.argv[1]).result(45), flush=True)
time.sleep(120)
"""


def test_a_peer_that_is_killed_is_missed_and_one_can_still_hang_up(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    mine = make_call("Ada", np.zeros(1600, np.float32), tmp_path)
    window = make_window(mine)
    qtbot.mouseClick(window.start.invite, LEFT)
    qtbot.waitUntil(lambda: bool(window.invite.code.code), timeout=PATIENCE_MS)
    arguments = [sys.executable, "-c", PEER, window.invite.code.code, str(tmp_path)]
    peer = subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    try:
        assert peer.stdout is not None
        answer = peer.stdout.readline().decode().strip()
        assert answer, "the peer made no answer"
        window.invite.answer.field.setText(answer)
        qtbot.mouseClick(window.invite.answer.go, LEFT)
        qtbot.waitUntil(lambda: state_of(window) == "In a call", timeout=PATIENCE_MS)
        peer.kill()  # SIGKILL: no farewell leaves it
        peer.wait(10)
        qtbot.waitUntil(lambda: state_of(window).startswith("Link lost"), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: bool(notice_of(window)), timeout=SOON_MS)
        assert window.page.bar.hang_up.isEnabled()
        qtbot.mouseClick(window.page.bar.hang_up, LEFT)
        qtbot.waitUntil(lambda: window.pages.currentWidget() is window.ended, timeout=SOON_MS)
        assert window.ended.name.text() == "Bo"
        assert "Call ended after" in window.ended.words.text()
        qtbot.mouseClick(window.ended.back, LEFT)
        assert window.pages.currentWidget() is window.start  # ready for the next call
        assert window.desk.call is None
    finally:
        peer.kill()
        peer.wait(10)
        mine.close()


class PluggedPort(FilePort):
    """A headset whose plug can be pulled; as with real devices, silence flows meanwhile."""

    def unplug(self) -> None:
        self.notice = "The sound device 'Headset' cannot be opened (gone): choose another one."
        self._held = True

    def plug_in(self) -> None:
        self.notice = ""
        self._held = False


def test_devices_are_changed_unplugged_and_replugged_in_the_call(
    make_window: MakeWindow, qtbot: QtBot, qapp: MeasuredApplication, tmp_path: Path
) -> None:
    speech = np.tile(any_speech(6.0), 12)
    headset = PluggedPort(speech, name="Headset")
    opened: list[Settings] = []

    def open_audio(settings: Settings) -> AudioPort:
        opened.append(settings)
        return headset if settings.input_device == "Headset" else NullPort()

    mine = make_call("Ada", np.zeros(1600, np.float32), tmp_path)
    theirs = make_call("Bo", np.zeros(1600, np.float32), tmp_path)
    window = make_window(mine, open_audio=open_audio)
    with called(qtbot, window, mine, theirs):

        def choose_headset() -> None:
            (dialog,) = window.findChildren(SettingsDialog)
            dialog.complete()
            dialog.microphone.set_choices([("", "default"), ("Headset", "Headset")], "Headset")
            dialog.theme.setCurrentIndex(dialog.theme.findData("dark"))
            dialog.accept()

        qtbot.mouseClick(window.page.header.settings, LEFT)
        qtbot.waitUntil(lambda: bool(window.findChildren(SettingsDialog)), timeout=SOON_MS)
        choose_headset()
        assert [settings.input_device for settings in opened] == ["Headset"]
        assert window.settings.input_device == "Headset"
        qtbot.waitUntil(lambda: mine._audio is headset, timeout=SOON_MS)
        qtbot.waitUntil(lambda: theirs.stats().events_received > 10, timeout=PATIENCE_MS)
        assert mine.state is CallState.ACTIVE

        headset.unplug()
        qtbot.waitUntil(lambda: "Headset" in notice_of(window), timeout=SOON_MS)
        qtbot.waitUntil(lambda: mine.stats().near.rms_dbfs < -80.0, timeout=SOON_MS)
        assert state_of(window) == "In a call"
        headset.plug_in()
        qtbot.waitUntil(lambda: not notice_of(window), timeout=SOON_MS)
        had = theirs.stats().events_received
        qtbot.waitUntil(lambda: theirs.stats().events_received > had + 5, timeout=PATIENCE_MS)
        assert mine.state is CallState.ACTIVE

        # other colours in the middle of it: every turn of the event loop stays short
        window.page.open_details(True)
        qtbot.waitUntil(lambda: theme().settled, timeout=SOON_MS)
        qtbot.wait(800)
        handled = qapp.begin()
        for choice in ("light", "dark"):
            QTimer.singleShot(0, lambda choice=choice: theme().choose(choice))
            qtbot.waitUntil(lambda dark=choice == "dark": theme().palette.dark == dark)
            qtbot.waitUntil(lambda: theme().settled, timeout=SOON_MS)
            qtbot.wait(200)
        qapp.handled = None
        assert_never_blocked(handled)


def test_a_peer_of_another_version_is_named_on_the_last_page(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    silence = np.zeros(1600, np.float32)
    mine, theirs = make_call("Ada", silence, tmp_path), make_call("Bo", silence, tmp_path)
    theirs.network.say_hello = lambda name: theirs.network.say(Hello(name, 9))  # type: ignore[method-assign]
    window = make_window(mine)
    window.attach(mine)
    invite = mine.create_invite()
    qtbot.waitUntil(invite.done, timeout=PATIENCE_MS)
    mine.accept_answer(theirs.accept_invite(invite.result()).result(PATIENCE_MS / 1000))
    qtbot.waitUntil(lambda: window.pages.currentWidget() is window.ended, timeout=PATIENCE_MS)
    assert "Bo speaks version 9" in window.ended.words.text()
    assert "update this one" in window.ended.words.text()
    mine.close()
    theirs.close()


def test_a_full_disk_is_said_and_the_call_goes_on(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    silence = np.zeros(1600, np.float32)
    mine = make_call("Ada", silence, tmp_path, recordings=str(blocked))
    theirs = make_call("Bo", silence, tmp_path)
    window = make_window(mine)
    with called(qtbot, window, mine, theirs):
        theirs.request_recording()
        qtbot.waitUntil(window.page.consent.isVisible, timeout=PATIENCE_MS)
        assert "Bo asks to record" in window.page.consent.text.text()
        qtbot.mouseClick(window.page.consent.agree, LEFT)
        qtbot.waitUntil(lambda: "choose another folder" in notice_of(window), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: theirs.stats().recording == "on", timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: window.page.bar.record.text() == "Stop", timeout=SOON_MS)
        assert "They may record" in window.page.header.recording.text()
        qtbot.mouseClick(window.page.bar.record, LEFT)
        qtbot.waitUntil(lambda: theirs.stats().recording == "off", timeout=PATIENCE_MS)
        qtbot.waitUntil(window.page.header.recording.isHidden, timeout=SOON_MS)
        assert window.page.bar.record.text() == "Record"
        assert state_of(window) == "In a call"
