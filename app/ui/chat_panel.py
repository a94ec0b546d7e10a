"""Text beside the call, for spelling a name when the link cannot carry it."""

from __future__ import annotations

import unicodedata

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget

from app.call_controls import CallControls
from app.stats import ChatLine
from app.ui.buttons import IconButton
from app.ui.view_models import tr
from app.ui.widgets import GRID, Card, column, row

MAX_LINE = 500
NOTICE = 120  # characters of a line that was not seen


def plain_line(text: str) -> str:
    """One line without control or direction-changing characters."""
    kept = "".join(c for c in text[: 4 * MAX_LINE] if unicodedata.category(c)[0] != "C" or c == " ")
    return kept.strip()[:MAX_LINE]


class ChatPanel(QWidget):
    """What the Chat tab shows."""

    unseen = Signal(str)
    """A line of theirs, shortened, that came while the tab was not shown."""
    opened = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._call: CallControls | None = None
        self._last: ChatLine | None = None
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setMaximumBlockCount(500)  # drops the oldest
        self.lines.setPlaceholderText(tr("Nothing written yet"))
        self.lines.setAccessibleName(tr("Messages"))
        self.lines.setTabChangesFocus(True)
        self.field = QLineEdit()
        self.field.setMaxLength(MAX_LINE)
        self.field.setPlaceholderText(tr("Write to them"))
        self.field.setAccessibleName(tr("Message"))
        self.field.returnPressed.connect(self.send)
        self.button = IconButton(tr("Send"), "chat", "primary")
        self.button.clicked.connect(self.send)
        card = Card(tr("Chat"))
        card.body.addWidget(self.lines, 1)
        card.body.addLayout(row(self.field, self.button))
        layout = column(spacing=GRID)
        layout.addWidget(card, 1)
        self.setLayout(layout)

    def attach(self, call: CallControls | None) -> None:
        self._call = call
        self._last = None
        self.lines.clear()

    def send(self) -> None:
        text = plain_line(self.field.text())
        if text and self._call is not None:
            self._call.send_chat(text)
            self.field.clear()

    def refresh(self) -> None:
        """Show what came in since the last time."""
        if self._call is None:
            return
        new: list[ChatLine] = []
        for line in reversed(self._call.chat()):  # the oldest are dropped: places say nothing
            if line is self._last:
                break
            new.append(line)
        for line in reversed(new):
            self._last = line
            text = plain_line(line.text)
            self.lines.appendPlainText(f"{tr('You') if line.mine else tr('They')}: {text}")
            if not line.mine and not self.isVisible():
                self.unseen.emit(text if len(text) <= NOTICE else f"{text[:NOTICE]} …")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.opened.emit()
