"""The settings while a window lives: kept, saved, and changed through the dialogs.

``changed`` tells the window after every change. Saving runs on a thread of its own, because a disk
may be slow in the middle of a call; a folder that cannot be written to costs a line of notice and
never the change itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.audio import AudioPort
from app.call_controls import CallControls
from app.settings import Settings
from app.stats import CallStats
from app.ui.dialogs import open_dialog
from app.ui.settings_dialog import SettingsDialog
from app.ui.setup_wizard import SetupWizard
from app.ui.tasks import DISK, error_line
from app.ui.theme import theme
from engine.errors import SottovoceError

OpenAudio = Callable[[Settings], AudioPort]
Save = Callable[[Settings], None]
CallNow = Callable[[], CallControls | None]


class Preferences(QObject):
    """``open_audio`` makes the devices that are changed to during a call."""

    changed = Signal(object)
    """The new ``Settings``."""
    not_saved = Signal(str)
    """One line for the user."""

    def __init__(self, settings: Settings, save: Save, open_audio: OpenAudio | None = None) -> None:
        super().__init__()
        self.settings = settings
        self._save, self._open_audio = save, open_audio
        self._dialog: SettingsDialog | SetupWizard | None = None

    def change(self, settings: Settings) -> None:
        """Use and keep ``settings``."""
        if settings == self.settings:
            return
        if settings.theme != self.settings.theme:
            theme().choose(settings.theme)
        self.settings = settings
        self.changed.emit(settings)
        DISK.submit(self._keep, settings)

    def _keep(self, settings: Settings) -> None:
        """On the thread of the disk."""
        try:
            self._save(settings)
        except SottovoceError as error:
            self.not_saved.emit(error_line(error))

    def rename(self, name: str) -> None:
        self.change(dataclasses.replace(self.settings, name=name))

    def remember_peer(self, name: str) -> None:
        self.change(self.settings.with_peer(name))

    def remember_call(self, stats: CallStats) -> None:
        """What was turned in a call that took place is there in the next one."""
        if stats.seconds > 0:
            self.change(
                dataclasses.replace(
                    self.settings,
                    volume=stats.volume,
                    opus_rate_bps=stats.opus_rate_bps,
                    opus_frame_ms=stats.opus_frame_ms,
                )
            )

    def edit(self, window: QWidget, call: CallNow) -> None:
        """The settings dialog; other devices and processing are used at once in a call."""
        if self._dialog is None:
            self._open(SettingsDialog(self.settings, window), call, beside=True)
        else:
            self._dialog.raise_()
            self._dialog.activateWindow()

    def check_sound(self, window: QWidget, call: CallNow) -> None:
        """The set-up wizard."""
        if self._dialog is None:
            self._open(SetupWizard(self.settings, window), call)

    def _open(
        self, dialog: SettingsDialog | SetupWizard, call: CallNow, *, beside: bool = False
    ) -> None:
        def closed(accepted: bool) -> None:
            self._dialog = None
            if accepted:
                self.apply(dialog.applied_to(self.settings), call())

        self._dialog = dialog
        open_dialog(dialog, closed, beside=beside)

    def close(self) -> None:
        """The window closes, and nothing that was chosen is used."""
        if self._dialog is not None:
            self._dialog.reject()

    def apply(self, new: Settings, call: CallControls | None) -> None:
        """Change to ``new``, and tell the call what concerns it."""
        old = self.settings
        self.change(new)
        if call is None:
            return
        devices = (new.input_device, new.output_device)
        if devices != (old.input_device, old.output_device) and self._open_audio is not None:
            call.set_audio(self._open_audio(new))
        if new.push_to_talk != old.push_to_talk:
            call.set_push_to_talk(new.push_to_talk != "off")
        call.set_recordings_folder(new.recordings_folder())
        call.set_processing(new.echo_cancellation, new.noise_suppression, new.gain_control)
