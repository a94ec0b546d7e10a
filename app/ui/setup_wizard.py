"""The set-up wizard: name and devices, level check, hear yourself, and hear your codec twin."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QLineEdit, QProgressBar, QStackedWidget, QVBoxLayout, QWidget

from app.settings import MAX_NAME_LENGTH, Settings, clean_name
from app.ui.buttons import IconButton
from app.ui.devices_list import DeviceNames, DevicesList
from app.ui.form import Choice, FormPage, device_choices, field
from app.ui.level_meter import LevelMeter
from app.ui.outside_words import in_user_language
from app.ui.sound_check import KEPT_SECONDS, OpenPort, SoundCheck, open_devices
from app.ui.tasks import Tasks
from app.ui.theme import theme
from app.ui.tones import tone
from app.ui.view_models import level_text, tr
from app.ui.widgets import label, row, set_text
from engine.events import Pcm

POLL_MS = 50
QUIET_DBFS = -45.0
LOUD_DBFS = -12.0


def speak_again(pcm: Pcm) -> Pcm:
    """What the far end would hear: through the codec and back. Seconds of work."""
    from engine.codec import SpeechCodec

    codec = SpeechCodec()
    return codec.decode(codec.encode(pcm))


class SetupWizard(QDialog):
    def __init__(
        self,
        settings: Settings,
        parent: QWidget | None = None,
        open_port: OpenPort = open_devices,
    ) -> None:
        super().__init__(parent)
        self._old = settings
        self._check = SoundCheck(open_port)
        self._tasks = Tasks()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="wizard")
        self._taken: Pcm | None = None
        self._recording = False
        self._no_devices = False
        self._loudest = -96.0
        theme().dress(self)
        self.setWindowTitle(tr("Check my sound"))
        self.resize(520, 420)
        self._pages = QStackedWidget()
        for page in (self._devices_page(), self._level_page(), self._listen_page()):
            self._pages.addWidget(page)
        self.back = IconButton(tr("Back"), "back", "quiet")
        self.back.clicked.connect(lambda: self._go(self._pages.currentIndex() - 1))
        self.next = IconButton(tr("Next"), "forward", "primary")
        self.next.setDefault(True)
        self.next.clicked.connect(self._forward)
        self._step = label("", "small")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(16)
        layout.addWidget(self._pages, 1)
        layout.addLayout(row(self.back, None, self._step, 8, self.next))
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(POLL_MS)
        DevicesList(self).found.connect(self._devices_found)
        self._open()
        self._go(0)

    def _devices_page(self) -> QWidget:
        self.name = QLineEdit(self._old.name)
        self.name.setMaxLength(MAX_NAME_LENGTH)
        self.microphone = Choice(device_choices(()), self._old.input_device)
        self.loudspeaker = Choice(device_choices(()), self._old.output_device)
        for choice in (self.microphone, self.loudspeaker):
            choice.currentIndexChanged.connect(lambda _index: self._open())
        test = IconButton(tr("Play a tone"), "volume")
        test.clicked.connect(lambda: self._check.play(tone("test")))
        self._trouble = label("", "error", wrap=True)
        return FormPage(
            label(tr("Who are you, and what do you talk with?"), "title", wrap=True),
            field(tr("Your name"), self.name),
            field(tr("Microphone"), self.microphone),
            field(tr("Loudspeaker"), self.loudspeaker),
            row(test, None),
            self._trouble,
        )

    def _level_page(self) -> QWidget:
        self.meter = LevelMeter(tr("Your microphone"))
        self.meter.setMinimumHeight(16)
        self._level = label(level_text(-96.0), "figure")
        self._advice = label("", wrap=True)
        # Room for two lines, so that nothing moves while the advice changes.
        self._advice.setMinimumHeight(40)
        return FormPage(
            label(tr("Say something"), "title"),
            label(tr("Talk as you would on the telephone."), "muted", wrap=True),
            self._level,
            self.meter,
            self._advice,
        )

    def _listen_page(self) -> QWidget:
        self.record = IconButton(tr("Record three seconds"), "record")
        self.record.clicked.connect(self._begin_recording)
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(tr("Recording"))
        self.plain = IconButton(tr("Hear yourself"), "play")
        self.plain.clicked.connect(self._play_back)
        self.twin = IconButton(tr("Hear yourself as they will"), "lab")
        self.twin.clicked.connect(self._speak_again)
        for button in (self.plain, self.twin):
            button.setEnabled(False)
        self._twin_note = label("", "small", wrap=True)
        return FormPage(
            label(tr("Hear yourself"), "title"),
            label(tr("Nothing of this is kept."), "muted"),
            row(self.record, None),
            self.progress,
            row(self.plain, self.twin, None),
            self._twin_note,
        )

    def _go(self, page: int) -> None:
        self._pages.setCurrentIndex(page)
        (self.name, self.next, self.record)[page].setFocus()
        self.back.setEnabled(page > 0)
        self.next.setText(tr("Finish") if page == 2 else tr("Next"))
        self.next.set_icon("check" if page == 2 else "forward")
        set_text(self._step, tr("Step {0} of {1}").format(page + 1, 3))

    def _forward(self) -> None:
        if self._pages.currentIndex() == 2:
            self.accept()
        else:
            self._go(self._pages.currentIndex() + 1)

    def _open(self) -> None:
        self._check.start(self.microphone.key(), self.loudspeaker.key())

    def _devices_found(self, names: DeviceNames) -> None:
        self._no_devices = not names.inputs and not names.outputs
        self.microphone.set_choices(device_choices(names.inputs), self.microphone.key())
        self.loudspeaker.set_choices(device_choices(names.outputs), self.loudspeaker.key())

    def _poll(self) -> None:
        self._tasks.poll()
        level = self._check.hear()
        trouble = in_user_language(self._check.notice)
        if trouble and self._no_devices:
            trouble = tr("No sound devices were found here. Plug one in, or go on without.")
        set_text(self._trouble, trouble)
        self.meter.set_level(level)
        self.meter.describe()
        self._loudest = max(self._loudest - 0.1, level.rms_dbfs)
        set_text(self._level, level_text(self._loudest))  # what the advice is about
        if level.clipped or self._loudest > LOUD_DBFS:
            advice = tr("Too loud: move away, or turn the microphone down.")
        elif self._loudest < QUIET_DBFS:
            advice = tr("Hardly anything arrives: move closer, or choose another microphone.")
        else:
            advice = tr("That is a good level.")
        set_text(self._advice, trouble or advice)
        if self._recording:
            self.progress.setValue(round(100 * self._check.recorded_s / KEPT_SECONDS))
            if self._check.recorded_s >= KEPT_SECONDS:
                self._recording = False
                self._taken = self._check.recorded()
                self.record.setEnabled(True)
                self.plain.setEnabled(True)
                self.twin.setEnabled(True)

    def _begin_recording(self) -> None:
        self._recording = True
        self.record.setEnabled(False)
        self._check.record()

    def _play_back(self) -> None:
        if self._taken is not None:
            self._check.play(self._taken)

    def _speak_again(self) -> None:
        if self._taken is None:
            return
        self.twin.setEnabled(False)
        set_text(self._twin_note, tr("Speaking it again …"))

        def done(pcm: Pcm) -> None:
            self.twin.setEnabled(True)
            set_text(self._twin_note, tr("This is a synthetic voice."))
            self._check.play(pcm)

        def failed(line: str) -> None:
            self.twin.setEnabled(True)
            set_text(self._twin_note, line)

        self._tasks.add(self._pool.submit(speak_again, self._taken), done, failed)

    def applied_to(self, settings: Settings) -> Settings:
        """``settings`` with what was chosen here."""
        return dataclasses.replace(
            settings,
            name=clean_name(self.name.text()),
            input_device=self.microphone.key(),
            output_device=self.loudspeaker.key(),
            wizard_done=True,
        )

    def done(self, result: int) -> None:
        self._timer.stop()
        self._check.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().done(result)
