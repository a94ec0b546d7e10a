"""Clicked links and second starts: they reach the one window, which answers nothing unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtNetwork import QLocalSocket
from pytestqt.qtbot import QtBot

from app import desktop
from app.cli import run
from app.ui.single_instance import MAX_LINE, SingleInstance, hand_over, socket_name
from engine.errors import SottovoceError
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 30_000


@pytest.fixture
def listening(qapp: object, qtbot: QtBot) -> Iterator[tuple[SingleInstance, list[str]]]:
    heard: list[str] = []
    instance = SingleInstance()
    instance.opened.connect(heard.append)
    yield instance, heard
    instance.close()


def start_again(*arguments: str) -> subprocess.Popen[str]:
    """The program, once more, as a desktop starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_window_nobody_takes_a_link(qapp: object) -> None:
    assert not hand_over("sottovoce:abc")


@pytest.mark.network
def test_a_second_start_hands_its_link_to_the_first_and_ends(
    listening: tuple[SingleInstance, list[str]], qtbot: QtBot, tmp_path: Path
) -> None:
    _instance, heard = listening
    theirs = make_call("Bo", np.zeros(160, np.float32), tmp_path)
    code = theirs.create_invite().result(30)
    second = start_again(f"sottovoce:{code}")
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=PATIENCE_MS)
    assert second.returncode == 0, second.stderr and second.stderr.read()
    assert heard == [f"sottovoce:{code}"]
    theirs.close()


def test_a_second_start_without_a_link_just_shows_the_first(
    listening: tuple[SingleInstance, list[str]], qtbot: QtBot
) -> None:
    second = start_again()
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=PATIENCE_MS)
    assert second.returncode == 0
    assert listening[1] == [""]


def test_a_socket_left_behind_by_a_killed_window_is_taken_over(qapp: object, qtbot: QtBot) -> None:
    code = (
        "import os\n"
        "from PySide6.QtCore import QCoreApplication\n"
        "from app.ui.single_instance import SingleInstance\n"
        "application = QCoreApplication([])\n"
        "instance = SingleInstance()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), check=False)
    heard: list[str] = []
    instance = SingleInstance()
    instance.opened.connect(heard.append)
    second = start_again()
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=PATIENCE_MS)
    assert heard == [""]
    instance.close()


def test_a_flood_on_the_socket_is_cut_off(
    listening: tuple[SingleInstance, list[str]], qtbot: QtBot
) -> None:
    socket = QLocalSocket()
    socket.connectToServer(socket_name())
    assert socket.waitForConnected(2000)
    socket.write(b"x" * (4 * MAX_LINE))
    qtbot.waitUntil(
        lambda: socket.state() == QLocalSocket.LocalSocketState.UnconnectedState, timeout=5000
    )
    assert listening[1] == []


@pytest.mark.parametrize("rubbish", ["sottovoce:", "sottovoce:abc", "SOTTOVOCE:<script>"])
def test_a_link_that_is_no_invite_is_refused_in_one_line(
    rubbish: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([rubbish]) == 1
    line = capsys.readouterr().err
    assert line.startswith("sottovoce: ")
    assert line.count("\n") == 1


def test_a_link_is_shown_and_joined_only_by_a_press(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    theirs = make_call("Bo", np.zeros(160, np.float32), tmp_path)
    code = theirs.create_invite().result(30)
    mine = make_call("Ada", np.zeros(160, np.float32), tmp_path)
    window = make_window(mine)
    window.open_link(f"sottovoce:{code}")
    assert window.pages.currentWidget() is window.join
    assert window.join.invite.field.text() == f"sottovoce:{code}"
    assert window.join.invite.go.hasFocus()
    assert window.desk.call is None
    qtbot.wait(200)
    assert window.desk.call is None  # nothing happens unasked
    qtbot.keyClick(window.join.invite.go, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(window.join.code.code), timeout=PATIENCE_MS)
    window.open_link(f"sottovoce:{code}")  # once more, in the middle of it
    assert window.join.code.code
    assert window.desk.call is mine
    assert "Hang up first" in window.join.error.text()
    window.go(window.page)
    window.page.attach(mine)
    window.open_link(f"sottovoce:{code}")
    window.poll()
    assert "Hang up first" in window.page.notice.text.text()
    theirs.close()
    mine.close()


def test_a_damaged_link_is_explained_in_the_window(make_window: MakeWindow) -> None:
    window = make_window()
    window.open_link("sottovoce:abcdefgh")
    assert window.pages.currentWidget() is window.join
    assert "copy" in window.join.error.text()
    assert not window.join.invite.field.isReadOnly()


def test_an_answer_on_the_clipboard_is_filled_in_where_it_is_waited_for(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    mine = make_call("Ada", np.zeros(160, np.float32), tmp_path)
    theirs = make_call("Bo", np.zeros(160, np.float32), tmp_path)
    window = make_window(mine)
    qtbot.mouseClick(window.start.invite, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(window.invite.code.code), timeout=PATIENCE_MS)
    answer = theirs.accept_invite(window.invite.code.code).result(30)
    QGuiApplication.clipboard().setText("only words")
    assert window.invite.answer.field.text() == ""
    QGuiApplication.clipboard().setText(answer)
    qtbot.waitUntil(lambda: window.invite.answer.field.text() == answer, timeout=5000)
    assert window.invite.answer.go.hasFocus()
    assert window.pages.currentWidget() is window.invite  # nothing happens unasked
    mine.close()
    theirs.close()


@pytest.mark.skipif(sys.platform != "linux", reason="menu entries are a matter of Linux desktops")
def test_the_menu_entry_opens_links_and_can_be_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["desktop"]) == 0
    assert str(desktop.entry_path()) in capsys.readouterr().out
    entry = desktop.entry_path().read_text()
    assert "MimeType=x-scheme-handler/sottovoce;" in entry
    start = next(line for line in entry.splitlines() if line.startswith("Exec="))
    assert start.endswith(" open --clicked %u")
    program = start.removeprefix("Exec=").split('"')[1]
    assert os.access(program, os.X_OK)
    assert desktop.icon_path().is_file()
    assert run(["desktop", "--remove"]) == 0
    assert not desktop.entry_path().exists()
    assert run(["desktop", "--remove"]) == 0
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "blocked"))
    with pytest.raises(SottovoceError, match="cannot be written"):
        desktop.install()
