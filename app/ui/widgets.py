"""Small parts that every page is put together from: labels, rows and cards.

All of them take text that is already translated, show outside text as plain text only, and carry
an accessible name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
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

from app.ui.theme import DANGER, MUTED, text_font

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


class _Look(NamedTuple):
    pixels: int = 14
    bold: bool = False
    colour: QPalette.ColorRole = QPalette.ColorRole.WindowText


LOOKS: Final = {
    "display": _Look(30, bold=True),
    "title": _Look(20, bold=True),
    "heading": _Look(15, bold=True),
    "muted": _Look(colour=MUTED),
    "small": _Look(12, colour=MUTED),
    "value": _Look(12, bold=True),
    "figure": _Look(24, bold=True),
    "error": _Look(colour=DANGER),
}
"""What labels look like by their role. These are no rules of the style sheet: most widgets of a
page are labels, and with rules a change of colours would give each of them its font again."""


def label(text: str = "", role: str = "", *, wrap: bool = False) -> QLabel:
    """``role`` is one of ``LOOKS`` or has a rule in the style sheet."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    _dress(made, role)
    return made


def _dress(label: QLabel, role: str) -> None:
    look = LOOKS.get(role)
    if look is not None:
        label.setFont(text_font(look.pixels, bold=look.bold))
        label.setForegroundRole(look.colour)
    elif role:
        label.setProperty("role", role)


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
        _dress(self, role)
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
