"""Rows of a form: a caption above its field, and what dialogs share."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QComboBox, QDialog, QLayout, QVBoxLayout, QWidget

from app.ui.buttons import IconButton
from app.ui.view_models import tr
from app.ui.widgets import column, label, row

Item = QWidget | QLayout
MAX_SHOWN = 60  # characters of a device's name


def field(caption: str, widget: QWidget, hint: str = "") -> QVBoxLayout:
    """``widget`` under ``caption``, which is its accessible name too."""
    widget.setAccessibleName(caption)
    title = label(caption, "small")
    title.setBuddy(widget)
    items: list[QWidget] = [title, widget]
    if hint:
        widget.setAccessibleDescription(hint)
        items.append(label(hint, "small", wrap=True))
    return column(*items, spacing=4)


class FormPage(QWidget):
    """Items from the top down."""

    def __init__(self, *items: Item, spacing: int = 12) -> None:
        super().__init__()
        self._layout = column(*items, None, spacing=spacing)
        self.setLayout(self._layout)

    def add(self, item: Item) -> None:
        """Put ``item`` below all there is."""
        place = self._layout.count() - 1  # above the stretch
        if isinstance(item, QWidget):
            self._layout.insertWidget(place, item)
        else:
            self._layout.insertLayout(place, item)


class Choice(QComboBox):
    """A combo box over (key, text) pairs."""

    def __init__(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        super().__init__()
        self.setMinimumContentsLength(18)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.set_choices(choices, current)

    def set_choices(self, choices: Sequence[tuple[str, str]], current: str) -> None:
        self.blockSignals(True)
        self.clear()
        for key, text in choices:
            self.addItem(text[:MAX_SHOWN], key)
        place = self.findData(current)
        if place < 0 and current:
            # a device that is not plugged in now stays chosen
            self.addItem(tr("{0} (not connected)").format(current[:MAX_SHOWN]), current)
            place = self.count() - 1
        self.setCurrentIndex(max(0, place))
        self.blockSignals(False)

    def key(self) -> str:
        data = self.currentData()
        return data if isinstance(data, str) else ""


def device_choices(names: Sequence[str]) -> list[tuple[str, str]]:
    return [("", tr("The system's default")), *((name, name) for name in names)]


def buttons(dialog: QDialog, accept: str) -> tuple[IconButton, IconButton]:
    """Accept and Cancel, wired to ``dialog``; Return presses accept."""
    yes = IconButton(accept, "check", "primary")
    yes.setDefault(True)
    yes.clicked.connect(dialog.accept)
    no = IconButton(tr("Cancel"), "close")
    no.clicked.connect(dialog.reject)
    return yes, no


def button_row(dialog: QDialog, accept: str) -> QWidget:
    yes, no = buttons(dialog, accept)
    holder = QWidget()
    holder.setLayout(row(None, no, yes))
    return holder
