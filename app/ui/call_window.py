"""The window of one person: start, invite or join, call, ended.

Twenty times a second it reads the call's stats and shows them; what is pressed goes to the call.
Whatever takes time (imports, sockets, codes) runs elsewhere and comes back through ``Tasks``.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from app.call_controls import CallControls
from app.call_state import CallState
from app.settings import Settings, save_settings
from app.ui.abx_dialog import AbxDialog
from app.ui.call_page import CallPage
from app.ui.codes import code_link, looks_like_invite
from app.ui.ended_page import EndedPage
from app.ui.exchange_page import InvitePage, JoinPage
from app.ui.icons import app_icon
from app.ui.start_page import StartPage
from app.ui.talk_key import TalkKey
from app.ui.tasks import Tasks, error_line
from app.ui.theme import theme
from app.ui.tones import NoSounds, Sounds
from app.ui.view_models import display_name, state_text, tr
from engine.errors import SottovoceError

log = logging.getLogger(__name__)

POLL_MS = 50
MAX_CLIPBOARD = 2_000  # characters; no code is longer
OpenCall = Callable[[Settings], CallControls]
LIVE = (CallState.ACTIVE, CallState.RECONNECTING)


class CallWindow(QMainWindow):
    """``open_call`` makes a call from the settings, on another thread."""

    def __init__(
        self,
        settings: Settings,
        open_call: OpenCall,
        *,
        sounds: Sounds | None = None,
        save: Callable[[Settings], None] = save_settings,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.call: CallControls | None = None
        self._open_call, self._save = open_call, save
        self._sounds: Sounds = sounds or NoSounds()
        self._tasks = Tasks()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="window")
        self._abx: AbxDialog | None = None
        self._seen = CallState.IDLE
        self.start, self.invite, self.join = StartPage(), InvitePage(), JoinPage()
        self.page, self.ended = CallPage(), EndedPage()
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
        self.start.lab_wanted.connect(self.open_lab)
        self.invite.pasted.connect(self._answer_pasted)
        self.join.pasted.connect(self.join_with)
        for page in (self.invite, self.join):
            page.left.connect(self.leave)
            escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), page)
            escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            escape.activated.connect(self.leave)
        self.ended.left.connect(lambda: self.go(self.start))
        self.page.abx_wanted.connect(self.open_abx)
        keys = {
            "M": self.page.toggle_mute,
            "A": self.page.switch_arm,
            "R": self.page.toggle_recording,
            "D": self.page.header.light.toggle,
            "P": self.page.bar.talk.click,
            "Ctrl+H": self.hang_up,
        }
        for key, action in keys.items():
            shortcut = QShortcut(QKeySequence(key), self.page)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
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
        self.invite.reset()
        self.go(self.invite)
        self.invite.show_status(tr("Asking the network for an address …"), busy=True)
        self._with_call(
            lambda call: self._tasks.add(
                call.create_invite(), self._got_invite, self._invite_failed
            ),
            self._invite_failed,
        )

    def _got_invite(self, code: str) -> None:
        self.invite.set_code(code, code_link(code))
        self.invite.show_status(tr("Waiting for their answer."), busy=False)
        self.invite.code.copy_code.setFocus()

    def _invite_failed(self, line: str) -> None:
        self.invite.show_status("", busy=False)
        self.invite.show_error(line)
        self._drop_call()

    def _answer_pasted(self, code: str) -> None:
        if self.call is None:
            return
        self.invite.show_error("")
        self._tasks.add(
            self.call.accept_answer(code), lambda _none: self._ring(), self.invite.show_error
        )

    def begin_join(self) -> None:
        self.join.reset()
        self.go(self.join)

    def _join_clipboard(self) -> None:
        self.begin_join()
        self.join.invite.field.setText(QGuiApplication.clipboard().text()[:MAX_CLIPBOARD])
        self.join_with(self.join.invite.field.text())

    def join_with(self, code: str) -> None:
        """Join by a pasted code or link."""
        self.join.show_error("")
        self.join.invite.lock(True)
        self.join.show_status(tr("Making your answer …"), busy=True)
        self._with_call(
            lambda call: self._tasks.add(
                call.accept_invite(code), self._got_answer, self._join_failed
            ),
            self._join_failed,
        )

    def _got_answer(self, code: str) -> None:
        self.join.set_code(code)
        self.join.code.copy_code.setFocus()
        self._ring()

    def _join_failed(self, line: str) -> None:
        self.join.show_status("", busy=False)
        self.join.show_error(line)
        self.join.invite.lock(False)
        self.join.invite.field.selectAll()
        self.join.invite.field.setFocus()
        if self.call is not None and self.call.stats().state is not CallState.IDLE:
            self._drop_call()

    def _ring(self) -> None:
        self._sounds.play("ringing", repeat=True)

    def leave(self) -> None:
        self._drop_call()
        self.go(self.start)

    # the call

    def _with_call(
        self, then: Callable[[CallControls], None], failed: Callable[[str], None]
    ) -> None:
        """Make the call on the pool (imports take seconds the first time), then go on here."""
        if self.call is not None:
            then(self.call)
            return

        def opened(call: CallControls) -> None:
            self.call = call
            self._seen = CallState.IDLE
            then(call)

        self._tasks.add(self._pool.submit(self._open_call, self.settings), opened, failed)

    def _drop_call(self) -> None:
        self._tasks.forget()
        self._sounds.stop()
        call, self.call = self.call, None
        self.page.attach(None)
        if call is not None:
            call.hang_up()

    def attach(self, call: CallControls) -> None:
        """Show a call that somebody else made."""
        self.call = call
        self._seen = CallState.IDLE

    def hang_up(self) -> None:
        if self.call is not None:
            self.call.hang_up()

    def poll(self) -> None:
        """One turn of the window: 20 a second."""
        self._tasks.poll()
        call = self.call
        if call is None:
            return
        stats = call.stats()
        if stats.state is not self._seen:
            self._seen = stats.state
            self._entered(call, stats.state)
        if self.call is None:
            return
        if stats.state in LIVE:
            if not stats.muted and stats.push_to_talk:
                self._talk_key.enable(True)
            else:
                self._talk_key.enable(False)
            self.page.show_stats(stats, self.settings.push_to_talk_key)
            if self._abx is not None:
                self._abx.show_stats(stats)
        elif stats.state in (CallState.CONNECTING, CallState.VERIFYING):
            words = state_text(stats.state)
            if self.pages.currentWidget() is self.join and self.join.code.code:
                words = tr("Ringing until they paste your answer.")
            for page in (self.invite, self.join):
                if (self.pages.currentWidget() is page and page.busy.isHidden() is False) or (
                    self.pages.currentWidget() is page and page.code.code
                ):
                    page.show_status(words, busy=True)

    def _entered(self, call: CallControls, state: CallState) -> None:
        if state in LIVE and self.pages.currentWidget() is not self.page:
            self._sounds.play("connected")
            self.page.attach(call)
            self.go(self.page)
            name = call.stats().peer_name
            self.setWindowTitle(tr("{0} – Sottovoce").format(display_name(name)))
            self.change_settings(self.settings.with_peer(name))
        elif state is CallState.ENDED:
            self._close_abx()
            self._talk_key.enable(False)
            self._tasks.forget()
            self._sounds.play("ended")
            self.ended.show_stats(call.stats())
            self.page.attach(None)
            self.call = None
            self.go(self.ended)

    def _talk(self, opened: bool) -> None:
        if self.call is not None:
            self.call.set_talk_key(opened)

    # dialogs

    def open_abx(self) -> None:
        if self.call is None or self._abx is not None:
            return
        self.page.set_blind(True)
        self._abx = AbxDialog(self.call, self.settings.recordings_folder(), self)
        self._abx.finished.connect(self._close_abx)
        self._abx.show()

    def _close_abx(self) -> None:
        dialog, self._abx = self._abx, None
        if dialog is not None:
            self.page.set_blind(False)
            dialog.close()
            dialog.deleteLater()

    def open_settings(self) -> None:
        from app.ui.settings_dialog import SettingsDialog

        dialog = SettingsDialog(self.settings, self)
        if dialog.exec():
            self.change_settings(dialog.settings())
        dialog.deleteLater()

    def open_wizard(self) -> None:
        from app.ui.setup_wizard import SetupWizard

        wizard = SetupWizard(self.settings, self)
        if wizard.exec():
            self.change_settings(wizard.settings())
        wizard.deleteLater()

    def open_lab(self) -> None:
        from app.ui.voice_lab import VoiceLab

        lab = VoiceLab(self.settings.output_device, self)
        lab.exec()
        lab.deleteLater()

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
        self._drop_call()
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().closeEvent(event)


def run_gui(settings: Settings) -> int:
    """Open the window and stay until it is closed. Returns the exit code."""
    from app.ui.application import run

    return run(settings)
