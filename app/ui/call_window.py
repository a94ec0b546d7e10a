"""The window of one person: start, invite or join, call, ended.

Twenty times a second it reads the call's stats and shows them; what is pressed goes to the call.
Whatever takes time (imports, sockets, codes) runs elsewhere and comes back through ``Tasks``.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QGuiApplication
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from app.audio import AudioPort
from app.call_controls import CallControls
from app.call_state import CallState
from app.settings import Settings, save_settings
from app.stats import CallStats
from app.ui.blind_test import BlindTest
from app.ui.call_desk import CallDesk, OpenCall
from app.ui.call_header import LIVE
from app.ui.call_page import CallPage
from app.ui.codes import looks_like_invite
from app.ui.dialogs import check_sound, edit_settings, open_voice_lab
from app.ui.ended_page import EndedPage
from app.ui.exchange import Exchange
from app.ui.icons import app_icon
from app.ui.keys import bind_keys
from app.ui.start_page import StartPage
from app.ui.talk_key import TalkKey
from app.ui.tasks import error_line
from app.ui.theme import theme
from app.ui.tones import NoSounds, Sounds
from app.ui.view_models import display_name, tr
from engine.errors import SottovoceError

log = logging.getLogger(__name__)

POLL_MS = 50
MAX_CLIPBOARD = 2_000  # characters; no code is longer
OpenAudio = Callable[[Settings], AudioPort]


class CallWindow(QMainWindow):
    """``open_call`` makes a call from the settings, on another thread; ``open_audio`` the devices
    that are changed to during one."""

    def __init__(
        self,
        settings: Settings,
        open_call: OpenCall,
        *,
        open_audio: OpenAudio | None = None,
        sounds: Sounds | None = None,
        save: Callable[[Settings], None] = save_settings,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.desk = CallDesk(open_call)
        self._save, self._open_audio = save, open_audio
        self._sounds: Sounds = sounds or NoSounds()
        self._met = False
        self.exchange = Exchange(
            self.desk,
            lambda: self.settings,
            lambda: self._sounds.play("ringing", repeat=True),
        )
        self.invite, self.join = self.exchange.invite, self.exchange.join
        self.start = StartPage()
        self.page, self.ended = CallPage(), EndedPage()
        self.blind = BlindTest(self, self.page, lambda: self.settings.recordings_folder())
        self.pages = QStackedWidget()
        for page in (self.start, self.invite, self.join, self.page, self.ended):
            self.pages.addWidget(page)
        self.setCentralWidget(self.pages)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(720, 520)
        self.resize(1180, 780)
        self._talk_key = TalkKey(self, self._talk)
        self._connect()
        self._use_settings(settings)
        self.go(self.start)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.poll)
        self._timer.start(POLL_MS)

    def _connect(self) -> None:
        self.start.invite_wanted.connect(self.begin_invite)
        self.start.join_wanted.connect(self.begin_join)
        self.start.clipboard_accepted.connect(self._join_clipboard)
        self.start.name_changed.connect(
            lambda name: self.change_settings(dataclasses.replace(self.settings, name=name))
        )
        self.start.settings_wanted.connect(self.open_settings)
        self.start.wizard_wanted.connect(self.open_wizard)
        self.start.lab_wanted.connect(lambda: open_voice_lab(self.settings, self))
        for page in (self.invite, self.join):
            page.left.connect(self.leave)
            bind_keys(page, {"Esc": self.leave})
        self.ended.left.connect(lambda: self.go(self.start))
        self.page.abx_wanted.connect(lambda: self.blind.open(self.desk.call))
        self.page.header.settings.clicked.connect(self.open_settings)
        bind_keys(
            self.page,
            {
                "M": self.page.toggle_mute,
                "A": self.page.switch_arm,
                "R": self.page.toggle_recording,
                "D": self.page.header.light.toggle,
                "P": self.page.bar.talk.click,
                "Ctrl+H": self.hang_up,
            },
        )
        QGuiApplication.clipboard().dataChanged.connect(self._look_at_clipboard)

    # pages

    def go(self, page: QWidget) -> None:
        """Show ``page`` with the keyboard where one begins."""
        self.pages.setCurrentWidget(page)
        first: dict[QWidget, QWidget] = {
            self.start: self.start.invite if self.settings.name else self.start.name,
            self.invite: self.invite.code.copy_code,
            self.join: self.join.invite.field,
            self.page: self.page.bar.mute,
            self.ended: self.ended.back,
        }
        first[page].setFocus()
        if page is self.start:
            self.setWindowTitle("Sottovoce")
            self._look_at_clipboard()

    def begin_invite(self) -> None:
        self.go(self.invite)
        self.exchange.begin_invite()

    def begin_join(self) -> None:
        self.exchange.begin_join()
        self.go(self.join)

    def _join_clipboard(self) -> None:
        self.begin_join()
        self.exchange.join_clipboard()

    def leave(self) -> None:
        self._sounds.stop()
        self.desk.drop()
        self.page.attach(None)
        self.go(self.start)

    # the call

    def attach(self, call: CallControls) -> None:
        """Show a call that somebody else made, from before it is connected."""
        self.desk.call = call
        self.page.attach(call)
        self.go(self.page)

    def hang_up(self) -> None:
        if self.desk.call is not None:
            self.desk.call.hang_up()

    def poll(self) -> None:
        """One turn of the window: 20 a second."""
        self.desk.poll()
        call = self.desk.call
        if call is None:
            return
        stats = call.stats()
        if stats.state in LIVE and not self._met:
            self._begin(call, stats)
        elif stats.state is CallState.ENDED:
            self._end(stats)
            return
        if self.pages.currentWidget() is self.page:
            self._talk_key.enable(stats.push_to_talk and not stats.muted)
            self.page.show_stats(stats, self.settings.push_to_talk_key)
            self.blind.show_stats(stats)
        else:
            self.exchange.show_stats(stats)

    def _begin(self, call: CallControls, stats: CallStats) -> None:
        self._met = True
        self._sounds.play("connected")
        if self.pages.currentWidget() is not self.page:
            self.page.attach(call)
            self.go(self.page)
        self.setWindowTitle(tr("{0} – Sottovoce").format(display_name(stats.peer_name)))
        self.change_settings(self.settings.with_peer(stats.peer_name))

    def _end(self, stats: CallStats) -> None:
        self._met = False
        self.blind.close()
        self._talk_key.enable(False)
        self._sounds.play("ended")
        self.desk.forget()
        if stats.seconds > 0:
            self.change_settings(
                dataclasses.replace(
                    self.settings,
                    volume=stats.volume,
                    opus_rate_bps=stats.opus_rate_bps,
                    opus_frame_ms=stats.opus_frame_ms,
                )
            )
        self.ended.show_stats(stats)
        self.page.attach(None)
        self.go(self.ended)

    def _talk(self, opened: bool) -> None:
        if self.desk.call is not None:
            self.desk.call.set_talk_key(opened)

    # dialogs

    def open_settings(self) -> None:
        """Also during a call: other devices and processing are used at once."""
        old, new = self.settings, edit_settings(self.settings, self)
        self.change_settings(new)
        call = self.desk.call
        if call is None:
            return
        devices = (new.input_device, new.output_device)
        if devices != (old.input_device, old.output_device) and self._open_audio is not None:
            call.set_audio(self._open_audio(new))
        call.set_processing(new.echo_cancellation, new.noise_suppression, new.gain_control)

    def open_wizard(self) -> None:
        self.change_settings(check_sound(self.settings, self))

    # settings

    def change_settings(self, settings: Settings) -> None:
        """Use and keep ``settings``; a folder that cannot be written to is only mentioned."""
        if settings == self.settings:
            return
        self._use_settings(settings)
        try:
            self._save(settings)
        except SottovoceError as error:
            self.start.notice.show_text(error_line(error))

    def _use_settings(self, settings: Settings) -> None:
        if settings.theme != self.settings.theme:
            theme().choose(settings.theme)
        self.settings = settings
        self.start.show_settings(settings)
        self._talk_key.configure(settings.push_to_talk_key, settings.push_to_talk)

    def _look_at_clipboard(self) -> None:
        if self.pages.currentWidget() is self.start and self.isActiveWindow():
            text = QGuiApplication.clipboard().text()
            self.start.offer_clipboard(looks_like_invite(text[:MAX_CLIPBOARD]))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and hasattr(self, "pages"):
            self._look_at_clipboard()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        self.blind.close()
        self._sounds.stop()
        self.page.attach(None)
        self.desk.close()
        super().closeEvent(event)


def run_gui(settings: Settings) -> int:
    """Open the window and stay until it is closed. Returns the exit code."""
    from app.ui.application import run

    return run(settings)
