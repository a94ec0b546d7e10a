"""The buttons of the window: with an icon, large with a line of words, round, and in segments.

Their icons follow the theme, each with its zone; each carries an accessible name and can be
reached by keyboard.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
)

from app.ui.icons import icon, pixmap
from app.ui.theme import theme
from app.ui.widgets import GRID, column, label, restyle, row


class IconButton(QPushButton):
    """A push button with one of the program's icons, in a colour that follows the theme."""

    def __init__(self, text: str, icon_name: str, kind: str = "", *, size: int = 20) -> None:
        super().__init__()
        self.setText(text)
        self._icon_name, self._kind = icon_name, kind
        self.setIconSize(QSize(size, size))
        self.setAutoDefault(False)
        if kind:
            self.setProperty("kind", kind)
        self._paint_icon()

    def setText(self, text: str) -> None:
        # Qt leaves 4 px between icon and text; a space makes it 8
        super().setText("\n".join(f" {line}" for line in text.split("\n")) if text else "")

    def text(self) -> str:
        return "\n".join(line.strip() for line in super().text().split("\n"))

    def set_icon(self, name: str) -> None:
        if name != self._icon_name:
            self._icon_name = name
            self._paint_icon()

    def _paint_icon(self) -> None:
        colours = theme().palette
        colour = {"primary": colours.on_accent, "danger": colours.on_danger}.get(
            self._kind, colours.text
        )
        if self._kind == "primary" and not self.isEnabled():
            colour = colours.muted
        self.setIcon(icon(self._icon_name, colour, self.iconSize().width()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.EnabledChange, QEvent.Type.StyleChange):
            self._paint_icon()


class ChoiceButton(QPushButton):
    """A large button of a first page: an icon, what it does, and a line about it."""

    def __init__(self, title: str, words: str, icon_name: str) -> None:
        super().__init__()
        self.setAccessibleName(title)
        self.setAccessibleDescription(words)
        self.setAutoDefault(False)
        self.setProperty("kind", "choice")
        self._icon_name = icon_name
        self._picture = QLabel()
        about = label(words, "muted", wrap=True)
        text = column(None, label(title, "heading"), about, None, spacing=2)
        self._layout = row(self._picture, spacing=2 * GRID)
        self._layout.addLayout(text, 1)
        self._layout.setContentsMargins(20, 18, 16, 18)
        self.setLayout(self._layout)
        for part in self.findChildren(QLabel):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._recolour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._recolour()

    def _recolour(self) -> None:
        self._picture.setPixmap(pixmap(self._icon_name, theme().palette.accent, 28, 2.0))

    def sizeHint(self) -> QSize:
        return self._layout.sizeHint()

    def minimumSizeHint(self) -> QSize:
        return self._layout.minimumSize()

    def heightForWidth(self, width: int) -> int:
        return max(88, self._layout.heightForWidth(width))

    def hasHeightForWidth(self) -> bool:
        return True


class RoundButton(QToolButton):
    """A large button of the call bar: an icon over a caption."""

    def __init__(self, text: str, icon_name: str, kind: str = "round") -> None:
        super().__init__()
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setIconSize(QSize(24, 24))
        self.setFixedSize(72, 60)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._look = ("", "", "")
        self.set_look(text, icon_name, kind)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._recolour()

    def make_room(self, *captions: str) -> None:
        """Wide enough for each of ``captions``, so that none is cut and the bar never jumps."""
        widest = max(map(self.fontMetrics().horizontalAdvance, captions))
        self.setFixedWidth(max(72, widest + 16))

    def _recolour(self) -> None:
        self.set_look(*self._look, force=True)

    def set_look(self, text: str, icon_name: str, kind: str, *, force: bool = False) -> None:
        if (text, icon_name, kind) == self._look and not force:
            return
        self._look = (text, icon_name, kind)
        colours = theme().palette
        colour = {"hangup": colours.on_danger, "muted": colours.danger}.get(kind, colours.text)
        self.setText(text)
        self.setAccessibleName(text)
        self.setIcon(icon(icon_name, colour, 24))
        restyle(self, "kind", kind)


class Segments(QFrame):
    """One choice of a few, as joined buttons; arrow keys move within it."""

    chosen = Signal(str)

    def __init__(
        self, choices: Sequence[tuple[str, str]], name: str, *, small: bool = False
    ) -> None:
        """``choices``: (key, text). ``name`` is what a screen reader calls the group."""
        super().__init__()
        self.setProperty("role", "segments")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        edge = 2 if small else 3
        layout.setContentsMargins(edge, edge, edge, edge)
        layout.setSpacing(2)
        for key, text in choices:
            button = QPushButton(text)
            button.setProperty("kind", "segment")
            button.setProperty("small", small)
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setAccessibleName(f"{name}: {text}")
            button.clicked.connect(lambda _checked=False, key=key: self.chosen.emit(key))
            self._group.addButton(button)
            layout.addWidget(button, 1)
            self.buttons[key] = button

    def choose(self, key: str) -> None:
        """Show ``key`` as chosen, without a signal."""
        button = self.buttons.get(key)
        if button is not None and not button.isChecked():
            button.setChecked(True)

    def clear(self) -> None:
        """Show none as chosen."""
        self._group.setExclusive(False)
        for button in self.buttons.values():
            button.setChecked(False)
        self._group.setExclusive(True)

    def current(self) -> str:
        return next((key for key, button in self.buttons.items() if button.isChecked()), "")
