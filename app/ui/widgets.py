"""Small parts that every page is put together from: labels, cards, segments, badges.

All of them take text that is already translated, show outside text as plain text only, and carry
an accessible name.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.ui.icons import icon
from app.ui.theme import theme

GRID = 8  # px; every margin and gap is a multiple of half of it


def restyle(widget: QWidget, name: str, value: str) -> None:
    """Change a dynamic property that the style sheet looks at; cheap when nothing changes."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def set_text(label: QLabel | QPushButton | QToolButton, text: str) -> None:
    """Set a text only when it differs: repaints and screen readers stay quiet."""
    if label.text() != text:
        label.setText(text)


def label(text: str = "", role: str = "", *, wrap: bool = False) -> QLabel:
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if role:
        made.setProperty("role", role)
    return made


def row(*items: QWidget | QLayout | int | None, spacing: int = GRID) -> QHBoxLayout:
    """A horizontal layout: an int is a gap in px, None a stretch."""
    layout = QHBoxLayout()
    _fill(layout, items, spacing)
    return layout


def column(*items: QWidget | QLayout | int | None, spacing: int = GRID) -> QVBoxLayout:
    layout = QVBoxLayout()
    _fill(layout, items, spacing)
    return layout


def _fill(
    layout: QHBoxLayout | QVBoxLayout,
    items: Sequence[QWidget | QLayout | int | None],
    spacing: int,
) -> None:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, int):
            layout.addSpacing(item)
        elif isinstance(item, QWidget):
            layout.addWidget(item)
        else:
            layout.addLayout(item)


class Card(QFrame):
    """A rounded surface with a heading and whatever is put below it."""

    def __init__(self, heading: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(2 * GRID, 12, 2 * GRID, 12)
        self.body.setSpacing(GRID)
        self.top = row()
        if heading:
            self.setAccessibleName(heading)
            self.top.addWidget(label(heading, "heading"))
            self.top.addStretch(1)
            self.body.addLayout(self.top)


class ElidedLabel(QLabel):
    """A label that ends in an ellipsis instead of making its window wider."""

    def __init__(self, text: str = "", role: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(48)
        self.set_full_text(text)

    def set_full_text(self, text: str) -> None:
        if self.text() != text:
            self.setText(text)
            self.setToolTip(text if len(text) > 12 else "")
            self.setAccessibleName(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        metrics = self.fontMetrics()
        shown = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        self.style().drawItemText(
            painter,
            self.rect(),
            int(self.alignment() | Qt.AlignmentFlag.AlignVCenter),
            self.palette(),
            self.isEnabled(),
            shown,
            self.foregroundRole(),
        )


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
        theme().changed.connect(self._paint_icon)
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
        if event.type() == QEvent.Type.EnabledChange:
            self._paint_icon()


class RoundButton(QToolButton):
    """A large button of the call bar: an icon over a caption."""

    def __init__(self, text: str, icon_name: str, kind: str = "round") -> None:
        super().__init__()
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setIconSize(QSize(24, 24))
        self.setFixedSize(72, 60)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._look = ("", "", "")
        theme().changed.connect(self._recolour)
        self.set_look(text, icon_name, kind)

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

    def __init__(self, choices: Sequence[tuple[str, str]], name: str) -> None:
        """``choices``: (key, text). ``name`` is what a screen reader calls the group."""
        super().__init__()
        self.setProperty("role", "segments")
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QPushButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(3, 3, 3, 3)
        layout.setSpacing(2)
        for key, text in choices:
            button = QPushButton(text)
            button.setProperty("kind", "segment")
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
