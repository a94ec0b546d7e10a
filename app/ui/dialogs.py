"""The dialogs of the start page: each opens, waits for the user, and gives back what was chosen."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from app.settings import Settings


def edit_settings(settings: Settings, parent: QWidget) -> Settings:
    """What was saved; the same settings when it was cancelled."""
    from app.ui.settings_dialog import SettingsDialog

    dialog = SettingsDialog(settings, parent)
    chosen = dialog.settings() if dialog.exec() else settings
    dialog.deleteLater()
    return chosen


def check_sound(settings: Settings, parent: QWidget) -> Settings:
    """The set-up wizard."""
    from app.ui.setup_wizard import SetupWizard

    wizard = SetupWizard(settings, parent)
    chosen = wizard.settings() if wizard.exec() else settings
    wizard.deleteLater()
    return chosen


def open_voice_lab(settings: Settings, parent: QWidget) -> None:
    from app.ui.voice_lab import VoiceLab

    lab = VoiceLab(settings.output_device, parent)
    lab.exec()
    lab.deleteLater()
