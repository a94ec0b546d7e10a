"""Puts a palette on the whole application and follows the system between dark and light.

``Theme`` is the one object that widgets ask for colours; it tells them when they change, and
widgets that paint themselves then paint again. The style sheet is put on zones (a card, a page, a
dialog), never on the application: restyling every widget in one go would hold a call's window up
for half a second, while one zone a turn of the event loop takes a few milliseconds.
"""

from __future__ import annotations

import tempfile
import weakref
from collections import deque
from pathlib import Path
from typing import Final

import shiboken6
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QStyleFactory, QWidget

from app.ui.icons import recoloured_file
from app.ui.palette import DARK, LIGHT, Palette
from app.ui.stylesheet import stylesheet

FAMILIES = ("Inter", "SF Pro Text", "Segoe UI", "Cantarell", "Noto Sans", "DejaVu Sans")
IPA_FAMILIES = ("Noto Sans", "Charis SIL", "DejaVu Sans", "Segoe UI", "Lucida Grande")
"""Fonts known to draw every symbol of the inventory, tie bars and length marks included."""

MUTED: Final = QPalette.ColorRole.PlaceholderText
"""The application's palette has the colour of second-rank text here, also for labels."""
DANGER: Final = QPalette.ColorRole.BrightText


def ipa_font(pixels: int) -> QFont:
    font = QFont(list(IPA_FAMILIES))
    font.setPixelSize(pixels)
    return font


def text_font(pixels: int, *, bold: bool = False) -> QFont:
    """The window's own font for what is painted by hand; figures are of equal width."""
    font = QFont(list(FAMILIES))
    font.setPixelSize(pixels)
    font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


class Theme(QObject):
    """The colours in force. Make it once, after the QApplication."""

    changed = Signal()

    def __init__(self, application: QApplication, choice: str = "system") -> None:
        """``choice`` is 'system', 'dark' or 'light'."""
        super().__init__(application)
        self._application = application
        self._icons = tempfile.TemporaryDirectory(prefix="sottovoce-icons-")
        self.palette: Palette = LIGHT
        self._sheet = ""
        folder = Path(self._icons.name)
        self._sheets = {palette: _sheet(palette, folder) for palette in (LIGHT, DARK)}
        picture = next(folder.iterdir()).as_posix()
        QIcon(picture).pixmap(QPixmap(picture).size())  # both of Qt's plugins are loaded, not later
        self._zones: list[weakref.ref[QWidget]] = []
        self._waiting: deque[QWidget] = deque()
        self._next = QTimer(self)  # at 0 ms: after whatever else the event loop has to do
        self._next.timeout.connect(self._restyle_one)
        application.setStyle(QStyleFactory.create("Fusion"))
        font = QFont(list(FAMILIES))
        font.setPixelSize(14)
        font.setFeature(QFont.Tag("tnum"), 1)
        application.setFont(font)
        application.styleHints().colorSchemeChanged.connect(lambda _scheme: self._refresh())
        self._choice = choice
        self.choose(choice)

    def choose(self, choice: str) -> None:
        """Follow the system, or stay dark or light whatever the system does."""
        self._choice = choice if choice in ("dark", "light") else "system"
        scheme = {
            "dark": Qt.ColorScheme.Dark,
            "light": Qt.ColorScheme.Light,
            "system": Qt.ColorScheme.Unknown,
        }[self._choice]
        self._application.styleHints().setColorScheme(scheme)
        self._refresh()

    def _refresh(self) -> None:
        scheme = self._application.styleHints().colorScheme()
        dark = self._choice == "dark" or (
            self._choice == "system" and scheme == Qt.ColorScheme.Dark
        )
        wanted = DARK if dark else LIGHT
        if wanted is self.palette and self._sheet:
            return
        self.palette = wanted
        self._sheet = self._sheets[wanted]
        zones = self._living_zones()
        zones.sort(key=lambda zone: not zone.isVisible())
        for zone in zones:
            if zone.isVisible():
                zone.setUpdatesEnabled(False)  # painted once, in its own turn
        self._waiting = deque(zones)
        self._application.setPalette(_qt_palette(wanted))
        self.changed.emit()
        self._next.start(0)

    # zones

    def dress(self, zone: QWidget) -> None:
        """Put the style sheet on ``zone`` and all in it, now and whenever the colours change.

        Zones must not lie in one another, or the inner one is styled twice.
        """
        zone.setStyleSheet(self._sheet)
        self._zones.append(weakref.ref(zone))

    @property
    def settled(self) -> bool:
        """Whether every zone wears the colours in force."""
        return not self._waiting

    def settle(self) -> None:
        """Finish a change of colours at once; for pictures and tests."""
        while self._waiting:
            self._restyle_one()

    def _living_zones(self) -> list[QWidget]:
        found = [(ref, ref()) for ref in self._zones]
        self._zones = [ref for ref, zone in found if zone is not None and shiboken6.isValid(zone)]
        return [zone for ref in self._zones if (zone := ref()) is not None]

    def _restyle_one(self) -> None:
        while self._waiting:
            zone = self._waiting.popleft()
            if shiboken6.isValid(zone):
                zone.setStyleSheet(self._sheet)
                zone.setUpdatesEnabled(True)
                break
        if not self._waiting:
            self._next.stop()


def _sheet(colours: Palette, folder: Path) -> str:
    """The style sheet in ``colours``, its few pictures written to ``folder``."""
    return stylesheet(
        colours,
        arrow_up=recoloured_file("chevron-up", colours.muted, folder).as_posix(),
        arrow_down=recoloured_file("chevron-down", colours.muted, folder).as_posix(),
        check=recoloured_file("check", colours.on_accent, folder).as_posix(),
    )


def _qt_palette(colours: Palette) -> QPalette:
    """For the parts that a style sheet does not reach: placeholder text, links, disabled text."""
    made = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.ground,
        QPalette.ColorRole.Base: colours.sunken,
        QPalette.ColorRole.AlternateBase: colours.surface,
        QPalette.ColorRole.Button: colours.surface,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.ButtonText: colours.text,
        MUTED: colours.muted,
        DANGER: colours.danger,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Link: colours.accent,
    }
    for role, colour in roles.items():
        made.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.WindowText):
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.muted))
    return made


def theme() -> Theme:
    """The application's theme, made on first use. Raises RuntimeError without a QApplication."""
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        raise RuntimeError("A QApplication must exist before any widget.")
    found = application.findChild(Theme)
    return found if found is not None else Theme(application)
