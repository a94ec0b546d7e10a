"""How two codes change hands: what the pages Invite and Join do with the call."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication

from app.call_state import CallState
from app.settings import Settings
from app.stats import CallStats
from app.ui.call_desk import CallDesk
from app.ui.codes import code_link, what_is_wrong
from app.ui.exchange_page import MAX_PASTE, InvitePage, JoinPage
from app.ui.outside_words import in_user_language
from app.ui.view_models import state_text, tr

COMING = (CallState.CONNECTING, CallState.VERIFYING, CallState.RECONNECTING)


class Exchange:
    """``ring`` starts the ringing tone; ``settings()`` are those of now."""

    def __init__(
        self, desk: CallDesk, settings: Callable[[], Settings], ring: Callable[[], None]
    ) -> None:
        self._desk, self._settings, self._ring = desk, settings, ring
        self.invite, self.join = InvitePage(), JoinPage()
        self.invite.pasted.connect(self.answer)
        self.join.pasted.connect(self.accept)

    # inviting

    def begin_invite(self) -> None:
        self.invite.reset()
        self.invite.show_status(tr("Asking the network for an address …"), busy=True)
        self._desk.begin(
            self._settings(), lambda call: call.create_invite(), self._invited, self._invite_failed
        )

    def _invited(self, code: str) -> None:
        self.invite.set_code(code, code_link(code))
        self.invite.show_status(tr("Waiting for their answer."), busy=False)
        self.invite.code.copy_code.setFocus()

    def _invite_failed(self, line: str) -> None:
        self.invite.show_status("", busy=False)
        self.invite.show_error(line)
        self._desk.drop()

    def answer(self, code: str) -> None:
        """The other side's answer was pasted."""
        if self._desk.call is not None:
            self.invite.show_error("")
            self._desk.when(
                self._desk.call.accept_answer(code),
                lambda _none: self._ring(),
                self.invite.show_error,
            )

    # joining

    def begin_join(self) -> None:
        self.join.reset()

    def join_link(self, link: str) -> None:
        """Show what a clicked link holds; the user decides whether to join."""
        self.begin_join()
        self.join.invite.fill(link[:MAX_PASTE])
        wrong = what_is_wrong(link[:MAX_PASTE])
        if wrong:
            self.join.show_error(in_user_language(wrong))
            return
        self.join.show_status(
            tr("This invite came by a link. Join only whom you trust."), busy=False
        )

    def join_clipboard(self) -> None:
        """Join with what lies on the clipboard."""
        text = QGuiApplication.clipboard().text()[:MAX_PASTE]
        self.join.invite.field.setText(text)
        self.accept(text)

    def accept(self, code: str) -> None:
        """The other side's invite was pasted, as a code or a link."""
        self.join.show_error("")
        self.join.invite.lock(True)
        self.join.show_status(tr("Making your answer …"), busy=True)
        self._desk.begin(
            self._settings(),
            lambda call: call.accept_invite(code),
            self._accepted,
            self._join_failed,
        )

    def _accepted(self, code: str) -> None:
        self.join.set_code(code)
        self.join.code.copy_code.setFocus()
        self._ring()

    def _join_failed(self, line: str) -> None:
        self.join.show_status("", busy=False)
        self.join.show_error(line)
        self.join.invite.lock(False)
        self.join.invite.field.selectAll()
        self.join.invite.field.setFocus()
        call = self._desk.call
        if call is not None and call.stats().state is not CallState.IDLE:
            self._desk.drop()

    def show_stats(self, stats: CallStats) -> None:
        """Say how far the connection is, on whichever page shows a code."""
        if stats.state not in COMING:
            return
        for page in (self.invite, self.join):
            if page.isVisible() and page.code.code:
                words = state_text(stats.state)
                if page is self.join and stats.state is CallState.CONNECTING:
                    words = tr("Ringing until they paste your answer.")
                page.show_status(words, busy=True)
