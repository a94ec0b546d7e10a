"""The window of one person: start, invite or join, call, ended.

Twenty times a second it reads the call's stats and shows them; what is pressed goes to the call.
Whatever takes time (imports, sockets, codes) runs elsewhere and comes back through ``Tasks``.
"""

from __future__ import annotations

import logging

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from app.call_controls import CallControls
from app.call_state import CallState
from app.settings import Settings, save_settings
from app.stats import CallStats
from app.ui.blind_test import BlindTest
from app.ui.call_desk import CallDesk, OpenCall
from app.ui.call_page import CallPage
from app.ui.dialogs import open_voice_lab
from app.ui.ended_page import EndedPage
from app.ui.exchange import Exchange
from app.ui.icons import app_icon
from app.ui.incoming import Incoming
from app.ui.keys import bind_keys
from app.ui.preferences import OpenAudio, Preferences, Save
from app.ui.start_page import StartPage
from app.ui.talk_key import TalkKey
from app.ui.tones import NoSounds, Sounds
from app.ui.view_models import display_name, tr

log = logging.getLogger(__name__)

POLL_MS = 50
COMFORTABLE = QSize(1180, 820)  # two columns of meters, the details, and nothing to scroll


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
        save: Save = save_settings,
    ) -> None:
        super().__init__()
        self.preferences = Preferences(settings, save, open_audio)
        self.desk = CallDesk(open_call)
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
        self.incoming = Incoming(self, self.start, self.exchange)
        self.pages = QStackedWidget()
        for page in (self.start, self.invite, self.join, self.page, self.ended):
            self.pages.addWidget(page)
        self.setCentralWidget(self.pages)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(720, 520)
        self.resize(COMFORTABLE.boundedTo(self.screen().availableSize()))
        self._talk_key = TalkKey(self, self._talk)
        self._connect()
        self._use_settings(settings)
        self.go(self.start)
        self.page.warm_up()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.poll)
        self._timer.start(POLL_MS)

    @property
    def settings(self) -> Settings:
        return self.preferences.settings

    def _connect(self) -> None:
        self.preferences.changed.connect(self._use_settings)
        self.preferences.not_saved.connect(self._tell)
        self.start.invite_wanted.connect(self.begin_invite)
        self.start.join_wanted.connect(self.begin_join)
        self.start.clipboard_accepted.connect(self._join_clipboard)
        self.start.name_changed.connect(self.preferences.rename)
        self.start.settings_wanted.connect(self.open_settings)
        self.start.wizard_wanted.connect(self.open_wizard)
        self.start.lab_wanted.connect(lambda: open_voice_lab(self.settings.output_device, self))
        for page in (self.invite, self.join):
            page.left.connect(self.leave)
            bind_keys(page, {"Esc": self.leave})
        self.ended.left.connect(lambda: self.go(self.start))
        # queued: the pressed button is painted first
        queued = Qt.ConnectionType.QueuedConnection
        self.page.header.settings.clicked.connect(self.open_settings, queued)
        self.page.abx_wanted.connect(self.begin_blind_test, queued)
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
            self.incoming.look()

    def begin_invite(self) -> None:
        self.go(self.invite)
        self.exchange.begin_invite()

    def begin_join(self) -> None:
        self.exchange.begin_join()
        self.go(self.join)

    def _join_clipboard(self) -> None:
        self.begin_join()
        self.exchange.join_clipboard()

    def open_link(self, link: str) -> None:
        """A ``sottovoce:`` link was clicked; empty: the program was merely started again."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.raise_()
        self.activateWindow()
        if not link:
            return
        if self.desk.call is None:
            self.go(self.join)
            self.exchange.join_link(link)
        else:
            self.page.remark = tr("An invite came by a link. Hang up first to use it.")
            for page in (self.invite, self.join):
                page.show_error(self.page.remark)

    def _tell(self, line: str) -> None:
        """On whichever page is shown."""
        self.start.notice.show_text(line)
        self.page.remark = line

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

    def begin_blind_test(self) -> None:
        self.blind.open(self.desk.call)

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
        if stats.state is CallState.ACTIVE and not self._met:  # only now it is known who it is
            self._begin(call, stats)  # opening a page is enough for one turn
        elif stats.state is CallState.ENDED:
            self._end(stats)
        elif self.pages.currentWidget() is self.page:
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
        self.preferences.remember_peer(stats.peer_name)

    def _end(self, stats: CallStats) -> None:
        self._met = False
        self.blind.close()
        self._talk_key.enable(False)
        self._sounds.play("ended")
        self.desk.forget()
        self.preferences.remember_call(stats)
        self.ended.show_stats(stats)
        self.page.attach(None)
        self.go(self.ended)

    def _talk(self, opened: bool) -> None:
        if self.desk.call is not None:
            self.desk.call.set_talk_key(opened)

    # settings

    def open_settings(self) -> None:
        self.preferences.edit(self, lambda: self.desk.call)

    def open_wizard(self) -> None:
        self.preferences.check_sound(self, lambda: self.desk.call)

    def _use_settings(self, settings: Settings) -> None:
        self.start.show_settings(settings)
        self._talk_key.configure(settings.push_to_talk_key, settings.push_to_talk)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and hasattr(self, "incoming"):
            self.incoming.look()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._timer.stop()
        self.preferences.close()
        self.blind.close()
        self._sounds.stop()
        self.page.attach(None)
        self.desk.close()
        super().closeEvent(event)
