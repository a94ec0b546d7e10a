"""The settings as a dialog: sound, talking, network, looks; it lies beside a call."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

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
from app.ui.form import Choice, FormPage, Item, button_row, device_choices, field
from app.ui.theme import theme
from app.ui.translations import languages
from app.ui.turns import Turns
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
        self.tabs.chosen.connect(self._open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(self.tabs)
        layout.addWidget(self._pages, 1)
        layout.addWidget(button_row(self, tr("Save")))
        self._making = Turns(self, self._make())  # a call may be going on

    def _make(self) -> Iterator[None]:
        """Every page, a field at a time; a choice takes as long as all others."""
        pages = (self._you, self._sound, self._network)
        for items in pages:
            page = FormPage()
            self._pages.addWidget(scrolling(page))
            self._open(self.tabs.current())
            yield
            for item in items():
                if item is not None:
                    page.add(item)
                yield
        DevicesList(self).found.connect(self._devices_found)

    def complete(self) -> None:
        """Make every page now."""
        self._making.finish()

    def _open(self, tab: str) -> None:
        """Now, or as soon as its page is there."""
        self._pages.setCurrentIndex(list(self.tabs.buttons).index(tab))

    def _you(self) -> Iterator[Item | None]:
        old = self._old
        self.name = QLineEdit(old.name)
        self.name.setMaxLength(MAX_NAME_LENGTH)
        yield field(tr("Your name"), self.name)
        self.language = Choice([("", tr("As the system")), *languages().items()], old.language)
        yield None
        self.theme = Choice(
            [("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))],
            old.theme,
        )
        yield row(
            field(tr("Language"), self.language), field(tr("Colours"), self.theme), spacing=12
        )
        self.mode = Choice(
            [
                ("off", tr("Microphone open")),
                ("hold", tr("Push to talk: hold the key")),
                ("toggle", tr("Push to talk: press to open, press to close")),
            ],
            old.push_to_talk,
        )
        yield field(tr("Talking"), self.mode)
        self.key = QKeySequenceEdit(QKeySequence(old.push_to_talk_key))
        self.key.setMaximumSequenceLength(1)
        self.key.setClearButtonEnabled(True)
        for inner in self.key.findChildren(QLineEdit):
            inner.setAccessibleName(tr("Push-to-talk key"))
        yield field(tr("Push-to-talk key"), self.key)
        self.recordings = QLineEdit(old.recordings)
        self.recordings.setPlaceholderText(str(Settings().recordings_folder()))
        browse = IconButton(tr("Choose …"), "folder")
        browse.clicked.connect(self._browse)
        folder = QWidget()
        folder.setLayout(row(self.recordings, browse))
        self.recordings.setAccessibleName(tr("Folder for recordings"))
        yield field(tr("Folder for recordings"), folder)

    def _sound(self) -> Iterator[Item]:
        old = self._old
        self.microphone = Choice(device_choices(()), old.input_device)
        yield field(tr("Microphone"), self.microphone)
        self.loudspeaker = Choice(device_choices(()), old.output_device)
        yield field(tr("Loudspeaker"), self.loudspeaker)
        self.echo = QCheckBox(tr("Cancel echo"))
        self.noise = QCheckBox(tr("Suppress noise"))
        self.gain = QCheckBox(tr("Control the level"))
        for box, on in (
            (self.echo, old.echo_cancellation),
            (self.noise, old.noise_suppression),
            (self.gain, old.gain_control),
        ):
            box.setChecked(on)
        yield column(self.echo, self.noise, self.gain)
        self.arm = Choice([("phonemes", arm_name("phonemes")), ("opus", arm_name("opus"))], old.arm)
        yield field(tr("Hear first"), self.arm)
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
        yield field(tr("Articulation layers sent"), self.layers, tr("Applies from the next call."))

    def _network(self) -> Iterator[Item]:
        self.stun = self._servers(self._old.stun_servers)
        yield field(tr("STUN servers"), self.stun, tr("One a line.") + " stun:host:port")
        self.turn = self._servers(self._old.turn_servers)
        hint = tr("One a line.") + " turn:user:password@host:port"
        yield field(tr("TURN servers"), self.turn, hint)
        yield label(tr("Changes to the network apply from the next call."), "small", wrap=True)

    @staticmethod
    def _servers(old: Sequence[str]) -> QPlainTextEdit:
        box = QPlainTextEdit("\n".join(old))
        box.setFixedHeight(72)
        box.setTabChangesFocus(True)
        return box

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Folder for recordings"))
        if chosen:
            self.recordings.setText(chosen)

    def _devices_found(self, names: DeviceNames) -> None:
        self.microphone.set_choices(device_choices(names.inputs), self.microphone.key())
        self.loudspeaker.set_choices(device_choices(names.outputs), self.loudspeaker.key())

    def applied_to(self, settings: Settings) -> Settings:
        """``settings`` (a call may have changed them meanwhile) with what was chosen here."""
        self.complete()
        key = self.key.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        return dataclasses.replace(
            settings,
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
