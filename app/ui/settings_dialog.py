"""The settings as a dialog: sound, talking, network, looks. ``settings()`` is what was chosen."""

from __future__ import annotations

import dataclasses
from collections import deque

from PySide6.QtCore import QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QKeySequenceEdit,
    QLineEdit,
    QPlainTextEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.settings import MAX_NAME_LENGTH, Settings, clean_name
from app.ui.buttons import IconButton, Segments
from app.ui.details_panel import scrolling
from app.ui.devices_list import DeviceNames, DevicesList
from app.ui.form import Choice, button_row, device_choices, field, form_page
from app.ui.theme import theme
from app.ui.translations import languages
from app.ui.view_models import arm_name, tr
from app.ui.widgets import column, label, row
from engine.events import MAX_LAYERS

MAX_SERVERS = 8


def _lines(text: str) -> tuple[str, ...]:
    lines = (line.strip()[:500] for line in text.splitlines())
    return tuple(line for line in lines if line)[:MAX_SERVERS]


class SettingsDialog(QDialog):
    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._old = settings
        theme().dress(self)
        self.setWindowTitle(tr("Settings"))
        self.resize(560, 520)
        self.tabs = Segments(
            [("you", tr("You")), ("sound", tr("Sound")), ("network", tr("Network"))],
            tr("Settings"),
        )
        self.tabs.choose("you")
        self._pages = QStackedWidget()
        self._unmade = deque((self._you, self._sound, self._network))
        self._pages.addWidget(scrolling(self._unmade.popleft()()))
        self.tabs.chosen.connect(self._open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(self.tabs)
        layout.addWidget(self._pages, 1)
        layout.addWidget(button_row(self, tr("Save")))
        QTimer.singleShot(0, self, self._make_next)

    def _make_next(self) -> None:
        """One page a turn of the event loop: a call may be going on."""
        if self._unmade:
            self._pages.addWidget(scrolling(self._unmade.popleft()()))
            if self._unmade:
                QTimer.singleShot(0, self, self._make_next)
            else:
                DevicesList(self).found.connect(self._devices_found)

    def complete(self) -> None:
        """Make every page now."""
        while self._unmade:
            self._make_next()

    def _open(self, tab: str) -> None:
        self.complete()
        self._pages.setCurrentIndex(list(self.tabs.buttons).index(tab))

    def _you(self) -> QWidget:
        old = self._old
        self.name = QLineEdit(old.name)
        self.name.setMaxLength(MAX_NAME_LENGTH)
        self.theme = Choice(
            [("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))],
            old.theme,
        )
        own_names = [("", tr("As the system")), *languages().items()]
        self.language = Choice(own_names, old.language)
        self.mode = Choice(
            [
                ("off", tr("Microphone open")),
                ("hold", tr("Push to talk: hold the key")),
                ("toggle", tr("Push to talk: press to open, press to close")),
            ],
            old.push_to_talk,
        )
        self.key = QKeySequenceEdit(QKeySequence(old.push_to_talk_key))
        self.key.setMaximumSequenceLength(1)
        self.key.setClearButtonEnabled(True)
        for inner in self.key.findChildren(QLineEdit):
            inner.setAccessibleName(tr("Push-to-talk key"))
        self.recordings = QLineEdit(old.recordings)
        self.recordings.setPlaceholderText(str(Settings().recordings_folder()))
        browse = IconButton(tr("Choose …"), "folder")
        browse.clicked.connect(self._browse)
        folder = QWidget()
        folder.setLayout(row(self.recordings, browse))
        self.recordings.setAccessibleName(tr("Folder for recordings"))
        return form_page(
            field(tr("Your name"), self.name),
            row(
                field(tr("Language"), self.language),
                field(tr("Colours"), self.theme),
                spacing=12,
            ),
            field(tr("Talking"), self.mode),
            field(tr("Push-to-talk key"), self.key),
            field(tr("Folder for recordings"), folder),
        )

    def _sound(self) -> QWidget:
        old = self._old
        self.microphone = Choice(device_choices(()), old.input_device)
        self.loudspeaker = Choice(device_choices(()), old.output_device)
        self.echo = QCheckBox(tr("Cancel echo"))
        self.noise = QCheckBox(tr("Suppress noise"))
        self.gain = QCheckBox(tr("Control the level"))
        for box, on in (
            (self.echo, old.echo_cancellation),
            (self.noise, old.noise_suppression),
            (self.gain, old.gain_control),
        ):
            box.setChecked(on)
        self.arm = Choice([("phonemes", arm_name("phonemes")), ("opus", arm_name("opus"))], old.arm)
        self.layers = Choice(
            [
                ("0", tr("None: the fewest bits")),
                ("1", tr("One")),
                ("2", tr("Two")),
                ("3", tr("Three")),
                ("4", tr("Four: the closest to you")),
            ],
            str(old.layers),
        )
        return form_page(
            field(tr("Microphone"), self.microphone),
            field(tr("Loudspeaker"), self.loudspeaker),
            column(self.echo, self.noise, self.gain),
            field(tr("Hear first"), self.arm),
            field(tr("Articulation layers sent"), self.layers),
        )

    def _network(self) -> QWidget:
        old = self._old
        self.stun = QPlainTextEdit("\n".join(old.stun_servers))
        self.turn = QPlainTextEdit("\n".join(old.turn_servers))
        for box in (self.stun, self.turn):
            box.setFixedHeight(72)
            box.setTabChangesFocus(True)
        one_a_line = tr("One a line.")
        return form_page(
            field(tr("STUN servers"), self.stun, one_a_line + " stun:host:port"),
            field(tr("TURN servers"), self.turn, one_a_line + " turn:user:password@host:port"),
            label(tr("Changes to the network apply from the next call."), "small", wrap=True),
        )

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Folder for recordings"))
        if chosen:
            self.recordings.setText(chosen)

    def _devices_found(self, names: DeviceNames) -> None:
        self.microphone.set_choices(device_choices(names.inputs), self.microphone.key())
        self.loudspeaker.set_choices(device_choices(names.outputs), self.loudspeaker.key())

    def settings(self) -> Settings:
        """The old settings with what was chosen here."""
        self.complete()
        key = self.key.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        return dataclasses.replace(
            self._old,
            name=clean_name(self.name.text()),
            language=self.language.key(),
            theme=self.theme.key(),
            push_to_talk=self.mode.key(),
            push_to_talk_key=key or "Space",
            recordings=self.recordings.text().strip(),
            input_device=self.microphone.key(),
            output_device=self.loudspeaker.key(),
            echo_cancellation=self.echo.isChecked(),
            noise_suppression=self.noise.isChecked(),
            gain_control=self.gain.isChecked(),
            arm=self.arm.key(),
            layers=int(self.layers.key() or MAX_LAYERS),
            stun_servers=_lines(self.stun.toPlainText()),
            turn_servers=_lines(self.turn.toPlainText()),
        )
