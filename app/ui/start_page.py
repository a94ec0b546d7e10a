"""The first page: one's name, Invite, Join, and the people called lately."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from app.settings import MAX_NAME_LENGTH, Settings, clean_name
from app.ui.buttons import ChoiceButton, IconButton
from app.ui.icons import pixmap
from app.ui.notice_bar import NoticeBar
from app.ui.theme import theme
from app.ui.view_models import display_name, tr
from app.ui.widgets import GRID, column, label, row

SHOWN_PEERS = 6
PEER_WIDTH = 180  # px; longer names are elided


class StartPage(QWidget):
    invite_wanted = Signal()
    join_wanted = Signal()
    name_changed = Signal(str)
    wizard_wanted = Signal()
    lab_wanted = Signal()
    settings_wanted = Signal()
    clipboard_accepted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._settings = Settings()
        logo = QLabel()
        logo.setPixmap(pixmap("sottovoce", "#0A756F", 56, 2.0))
        logo.setAccessibleName(tr("Sottovoce"))
        motto = label(
            tr("Speech for links that cannot carry a telephone call."), "muted", wrap=True
        )
        head = row(logo, 8, column(label("Sottovoce", "display"), motto, spacing=0))
        head.setStretch(2, 1)
        self.notice = NoticeBar()
        self.offer = IconButton(tr("Join with the invite on your clipboard"), "paste", "primary")
        self.offer.clicked.connect(self.clipboard_accepted)
        self.offer.hide()
        self.name = QLineEdit()
        self.name.setPlaceholderText(tr("How others see you"))
        self.name.setAccessibleName(tr("Your name"))
        self.name.setMaxLength(MAX_NAME_LENGTH)
        self.name.editingFinished.connect(self._name_edited)
        name_label = label(tr("Your name"), "small")
        name_label.setBuddy(self.name)
        self.invite = self._choice(
            tr("Invite"), tr("Make a code to send"), "invite", self.invite_wanted
        )
        self.join = self._choice(
            tr("Join"), tr("Paste the code you were sent"), "join", self.join_wanted
        )
        self._peers_title = label(tr("Called lately"), "small")
        peers = QWidget()
        self._peers = QGridLayout(peers)
        self._peers.setContentsMargins(0, 0, 0, 0)
        self._peers.setSpacing(GRID)
        settings = IconButton(tr("Settings"), "settings", "quiet")
        settings.clicked.connect(self.settings_wanted)
        wizard = IconButton(tr("Check my sound"), "wizard", "quiet")
        wizard.clicked.connect(self.wizard_wanted)
        lab = IconButton(tr("Voice lab"), "lab", "quiet")
        lab.clicked.connect(self.lab_wanted)
        middle = QWidget()
        middle.setMaximumWidth(640)
        content = QVBoxLayout(middle)
        content.setContentsMargins(24, 24, 24, 16)
        content.setSpacing(GRID)
        content.addStretch(2)
        content.addLayout(head)
        content.addSpacing(2 * GRID)
        content.addWidget(self.notice)
        content.addWidget(self.offer)
        content.addLayout(column(name_label, self.name, spacing=4))
        content.addSpacing(GRID)
        choices = row(spacing=2 * GRID)
        choices.addWidget(self.invite, 1)
        choices.addWidget(self.join, 1)
        content.addLayout(choices)
        content.addSpacing(GRID)
        content.addWidget(self._peers_title)
        content.addWidget(peers)
        content.addStretch(3)
        content.addLayout(row(wizard, lab, None, settings))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addStretch(1)
        layout.addWidget(middle, 8)
        layout.addStretch(1)
        fields = (self.notice, self.offer, self.name, self.invite, self.join)
        for zone in (*fields, peers, wizard, lab, settings):
            theme().dress(zone)

    def _choice(
        self, title: str, words: str, icon_name: str, signal: SignalInstance
    ) -> ChoiceButton:
        button = ChoiceButton(title, words, icon_name)
        button.clicked.connect(signal)
        return button

    def show_settings(self, settings: Settings) -> None:
        """At once, or as soon as the page is shown: a call may be going on."""
        self._settings = settings
        if self.isVisible():
            self._refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._refresh()

    def _refresh(self) -> None:
        settings = self._settings
        if not self.name.hasFocus():
            self.name.setText(settings.name)
        while (item := self._peers.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        shown = settings.recent_peers[:SHOWN_PEERS]
        self._peers_title.setVisible(bool(shown))
        for number, name in enumerate(shown):
            button = IconButton("", "phone", size=16)
            full = display_name(name)
            button.setText(
                button.fontMetrics().elidedText(
                    full.replace("&", "&&"), Qt.TextElideMode.ElideRight, PEER_WIDTH - 56
                )
            )
            button.setToolTip(tr("Invite {0} again").format(full))
            button.setAccessibleName(tr("Invite {0} again").format(full))
            button.clicked.connect(self.invite_wanted)
            self._peers.addWidget(button, number // 3, number % 3)
        for place in range(3):
            self._peers.setColumnStretch(place, 1)

    def offer_clipboard(self, offered: bool) -> None:
        """An invite lies on the clipboard (or no longer does)."""
        if self.offer.isHidden() == offered:
            self.offer.setVisible(offered)

    def _name_edited(self) -> None:
        name = clean_name(self.name.text())
        self.name.setText(name)
        self.name_changed.emit(name)
