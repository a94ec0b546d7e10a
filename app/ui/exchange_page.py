"""Two codes change hands before a call: the pages Invite and Join.

Invite: our code goes out, their answer comes in. Join: their code comes in, our answer goes out.
The pages show and ask; the window talks to the call.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QProgressBar, QVBoxLayout, QWidget

from app.ui.buttons import IconButton
from app.ui.code_box import CodeBox, QrPicture
from app.ui.details_panel import scrolling
from app.ui.theme import theme
from app.ui.view_models import tr
from app.ui.widgets import GRID, Card, label, row, set_text

MAX_PASTE = 20_000  # characters; more is cut off before anybody looks at it


class PasteRow(QWidget):
    """A field for a pasted code, with Paste and Go."""

    pasted = Signal(str)

    def __init__(self, name: str, hint: str, action: str) -> None:
        super().__init__()
        self.field = QLineEdit()
        self.field.setMaxLength(MAX_PASTE)
        self.field.setPlaceholderText(hint)
        self.field.setAccessibleName(name)
        self.field.returnPressed.connect(self._go)
        self.paste = IconButton(tr("Paste"), "paste")
        self.paste.clicked.connect(self._paste)
        self.go = IconButton(action, "phone", "primary")
        self.go.clicked.connect(self._go)
        self.field.textChanged.connect(lambda text: self.go.setEnabled(bool(text.strip())))
        self.go.setEnabled(False)
        layout = row()
        layout.addWidget(self.field, 1)
        layout.addWidget(self.paste)
        layout.addWidget(self.go)
        self.setLayout(layout)

    def _paste(self) -> None:
        self.field.setText(QGuiApplication.clipboard().text()[:MAX_PASTE])
        self.field.setFocus()

    def fill(self, code: str) -> None:
        """Put a code that came by itself into the field; one press of the button uses it."""
        self.field.setText(code.strip())
        self.go.setFocus()

    def is_open(self) -> bool:
        """Whether a code is waited for and none is there yet."""
        return not self.field.isReadOnly() and not self.field.text().strip()

    def _go(self) -> None:
        text = self.field.text().strip()
        if text:
            self.pasted.emit(text)

    def lock(self, locked: bool) -> None:
        self.field.setReadOnly(locked)
        self.paste.setEnabled(not locked)
        self.go.setEnabled(not locked and bool(self.field.text().strip()))


class ExchangePage(QWidget):
    """What Invite and Join have in common: a heading, two numbered cards, a status, Back."""

    left = Signal()
    pasted = Signal(str)

    def __init__(self, title: str) -> None:
        super().__init__()
        back = IconButton(tr("Back"), "back", "quiet")
        back.setToolTip(tr("Leave and go back (Esc)"))
        back.clicked.connect(self.left)
        self.error = label("", "error", wrap=True)
        self.error.hide()
        self.status = label("", "muted", wrap=True)
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setAccessibleName(tr("Working"))
        self.busy.hide()
        self.cards = QVBoxLayout()
        self.cards.setSpacing(12)
        middle = QWidget()
        middle.setMaximumWidth(720)
        content = QVBoxLayout(middle)
        content.setContentsMargins(24, 16, 24, 16)
        content.setSpacing(12)
        heading = label(title, "title")
        content.addLayout(row(back, None))
        content.addWidget(heading)
        content.addLayout(self.cards)
        content.addWidget(self.error)
        content.addWidget(self.status)
        content.addWidget(self.busy)
        content.addStretch(1)
        holder = QWidget()
        inner = QHBoxLayout(holder)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addStretch(1)
        inner.addWidget(middle, 10)
        inner.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        area = scrolling(holder)
        outer.addWidget(area)
        bar = area.verticalScrollBar()
        for zone in (back, heading, self.error, self.status, self.busy, bar):
            theme().dress(zone)

    def step(self, number: int, title: str) -> Card:
        card = Card()
        badge = label(str(number), "step")
        badge.setFixedSize(24, 24)
        badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        card.body.addLayout(row(badge, label(title, "heading"), None))
        card.setAccessibleName(tr("Step {0}: {1}").format(number, title))
        self.cards.addWidget(card)
        theme().dress(card)
        return card

    def show_error(self, text: str) -> None:
        """One line that says what to do; empty hides it."""
        set_text(self.error, " ".join(text.split()))
        self.error.setAccessibleName(text)
        self.error.setVisible(bool(text))

    def show_status(self, text: str, *, busy: bool) -> None:
        set_text(self.status, text)
        self.busy.setVisible(busy)


def _pinned() -> QLabel:
    return label(
        tr(
            "The codes carry each side's certificate, so send them where nobody can change them: "
            "whoever swaps a code takes the call. A familiar voice proves little here."
        ),
        "small",
        wrap=True,
    )


class InvitePage(ExchangePage):
    def __init__(self) -> None:
        super().__init__(tr("Invite"))
        send = self.step(1, tr("Send them this code"))
        self.code = CodeBox(tr("Your invite"), with_link=True)
        self.qr = QrPicture()
        words = QVBoxLayout()
        words.setSpacing(GRID)
        words.addWidget(self.code)
        words.addWidget(_pinned())
        words.addStretch(1)
        body = row(spacing=16)
        body.addLayout(words, 1)
        body.addWidget(self.qr, 0, Qt.AlignmentFlag.AlignTop)
        send.body.addLayout(body)
        answer = self.step(2, tr("Paste the answer they send back"))
        self.answer = PasteRow(tr("Their answer"), tr("Their answer code"), tr("Call"))
        self.answer.pasted.connect(self.pasted)
        answer.body.addWidget(self.answer)
        self.reset()

    def reset(self) -> None:
        self.set_code("", "")
        self.answer.field.clear()
        self.answer.lock(True)
        self.show_error("")
        self.show_status("", busy=False)

    def set_code(self, code: str, link: str) -> None:
        self.code.set_code(code, link)
        self.qr.set_text(link.upper())  # capitals fit a smaller QR code
        self.answer.lock(not code)


class JoinPage(ExchangePage):
    def __init__(self) -> None:
        super().__init__(tr("Join"))
        paste = self.step(1, tr("Paste the code you were sent"))
        self.invite = PasteRow(tr("Their invite"), tr("Their invite, or the link"), tr("Join"))
        self.invite.pasted.connect(self.pasted)
        paste.body.addWidget(self.invite)
        self._answer_card = self.step(2, tr("Send this answer back to them"))
        self.code = CodeBox(tr("Your answer"), with_link=False)
        self._answer_card.body.addWidget(self.code)
        self._answer_card.body.addWidget(_pinned())
        self.reset()

    def reset(self) -> None:
        self.set_code("")
        self.invite.field.clear()
        self.invite.lock(False)
        self.show_error("")
        self.show_status("", busy=False)

    def set_code(self, code: str) -> None:
        self.code.set_code(code, "")
        self._answer_card.setVisible(bool(code))
