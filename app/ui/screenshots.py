"""Takes the pictures of the README.

``python -m app.ui.screenshots [FOLDER [SECONDS [SLOWER [LANGUAGE]]]]``

Two real calls talk to each other over sockets on this machine while the window of one of them is
photographed in every state, light and dark, large and 800 by 600. Two talkers, four recognisers
and a camera want four processor cores; ``SLOWER`` lets all clocks run slower where there are less.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtWidgets import QApplication, QWidget

from app.audio import FilePort
from app.call import Call
from app.settings import Settings
from app.talker import conversation, find_talkers
from app.ui.application import application
from app.ui.call_window import POLL_MS, CallWindow
from app.ui.picture import save_picture
from app.ui.theme import theme
from engine.errors import SottovoceError
from transport.ice import IceSettings
from transport.impair import ImpairmentSettings
from transport.state import RtcSettings

LARGE: Final = (1280, 820)
MEDIUM: Final = (1080, 680)
SMALL: Final = (800, 600)
PATIENCE_S: Final = 90.0  # models load, and the machine may be busy
LINK: Final = ImpairmentSettings(loss=0.2, delay_ms=60, jitter_ms=30)


def slow_time(factor: float) -> None:
    """From now on every clock of this process runs ``factor`` times slower than life."""
    real, began_s = time.monotonic, time.monotonic()
    time.monotonic = lambda: began_s + (real() - began_s) / factor


class Studio:
    """Two people, one window, and a folder for the pictures."""

    def __init__(self, folder: Path, seconds: float, slower: float, language: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.application: QApplication = application("light", language)
        self._home = tempfile.TemporaryDirectory(prefix="sottovoce-pictures-")
        talkers = find_talkers(())
        tracks = conversation(talkers[0].pcm, talkers[1].pcm, 120.0)
        self.ports = [FilePort(track, name="microphone", held=True) for track in tracks]
        self.calls = [
            self._call(n, name) for n, name in enumerate(("Grace Hopper", "Ada Lovelace"))
        ]
        self.seconds = seconds
        settings = Settings(
            name="Grace Hopper", recent_peers=("Ada Lovelace", "Alan Turing", "Hedy Lamarr")
        )
        self.window = CallWindow(
            settings, lambda _settings: self.calls[0], save=lambda _settings: None
        )
        self.window._timer.setInterval(round(POLL_MS * slower))

    def _call(self, number: int, name: str) -> Call:
        settings = Settings(
            name=name,
            echo_cancellation=False,
            noise_suppression=False,
            gain_control=False,
            recordings=str(Path(self._home.name) / str(number)),
        )
        here = RtcSettings(ice=IceSettings(addresses=("127.0.0.1",)))
        return Call(settings, self.ports[number], rtc=here, seed=number + 1)

    def wait(self, ready: Callable[[], object], what: str) -> None:
        """Let the window live until ``ready``. Raises SottovoceError when it never is."""
        end_s = time.monotonic() + PATIENCE_S
        while not ready():
            self.application.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end_s:
                raise SottovoceError(f"No pictures: waited {PATIENCE_S:.0f} s for {what}.")

    def live(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end_s, "the clock")

    def hear(self) -> None:
        """Until the other side has talked for a while."""
        mine = self.calls[0]

        def talking() -> bool:
            since_ms = 1000.0 * mine.stats().seconds - 5000.0
            heard = [e for e in mine.far_events() if e.at_ms > since_ms and e.phoneme]
            return len(heard) > 25

        self.wait(talking, "the other side to talk")

    def shoot(self, name: str, widget: QWidget | None = None) -> None:
        path = self.folder / f"{name}.png"
        save_picture(widget or self.window, path)
        print(f"{path} {path.stat().st_size // 1000} kB")

    def size(self, size: tuple[int, int]) -> None:
        self.window.resize(*size)
        self.live(0.6)

    def look(self, choice: str) -> None:
        theme().choose(choice)
        theme().settle()
        self.live(0.6)

    def take_all(self) -> None:
        window, (mine, theirs) = self.window, self.calls
        self.size(LARGE)
        window.show()
        self.live(0.3)
        self.shoot("start")
        window.start.invite.click()
        self.wait(lambda: window.invite.code.code, "an invite")
        self.live(0.3)
        self.shoot("invite")
        answer = theirs.accept_invite(window.invite.code.code).result(PATIENCE_S)
        window.invite.answer.field.setText(answer)
        window.invite.answer.go.click()
        self.wait(lambda: window.pages.currentWidget() is window.page, "the call")
        for call in self.calls:
            call.set_impairment(LINK)
        for port in self.ports:
            port.release()
        self.size(MEDIUM)
        self.live(self.seconds)
        self.hear()
        self.shoot("talking")
        self.size(LARGE)
        window.page.header.light.click()
        self.live(2.0)
        self.hear()
        self.shoot("call")
        self.look("dark")
        window.page.details.open("voice")
        self.live(1.0)
        self.hear()
        self.shoot("call-dark")
        window.page.details.open("link")
        window.page.details.link.choose_preset("train")
        self.size(SMALL)
        self.live(1.0)
        self.shoot("call-small")
        self.look("light")
        self.size(LARGE)
        theirs.request_recording()
        self.wait(lambda: mine.stats().recording == "asked", "the question")
        self.live(0.5)
        self.shoot("consent")
        window.page.consent.agree.click()
        self.wait(lambda: mine.stats().recording == "on", "the recording")
        window.blind.open(mine)
        dialog = window.blind.dialog
        if dialog is not None:
            dialog.start()
            self.live(1.0)
            self.shoot("abx", dialog)
            dialog.reject()
        self.live(1.0)
        window.page.bar.hang_up.click()
        self.wait(lambda: window.pages.currentWidget() is window.ended, "the end")
        self.live(0.3)
        self.shoot("ended")
        self._dialogs()

    def _dialogs(self) -> None:
        from app.ui.settings_dialog import SettingsDialog
        from app.ui.setup_wizard import SetupWizard
        from app.ui.voice_lab import VoiceLab

        settings = dataclasses.replace(self.window.settings, name="Grace Hopper")
        speech = self.ports[0]._speech
        dialogs = {
            "settings": SettingsDialog(settings, self.window),
            "wizard": SetupWizard(
                settings, self.window, lambda _mic, _out: FilePort(speech, repeat=True)
            ),
            "voice-lab": VoiceLab("", self.window),
        }
        for name, dialog in dialogs.items():
            dialog.show()
            self.live(1.0)
            if isinstance(dialog, SetupWizard):
                dialog.next.click()
                self.live(2.0)
            self.shoot(name, dialog)
            dialog.reject()

    def close(self) -> None:
        self.window.close()
        for call in self.calls:
            call.close()
        self._home.cleanup()


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    folder = Path(arguments[0]) if arguments else Path("assets/screenshots")
    seconds = float(arguments[1]) if len(arguments) > 1 else 45.0
    slower = max(1.0, float(arguments[2])) if len(arguments) > 2 else 1.0
    language = arguments[3] if len(arguments) > 3 else "en"
    slow_time(slower)
    studio = Studio(folder, seconds, slower, language)
    try:
        studio.take_all()
    except SottovoceError as error:
        print(f"sottovoce: {error}", file=sys.stderr)
        return 1
    finally:
        studio.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
