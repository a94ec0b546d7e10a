"""Finds texts that are cut off and parts that stick out of their window."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect
from PySide6.QtWidgets import QAbstractButton, QCheckBox, QLabel, QScrollArea, QWidget

from app.ui.buttons import IconButton, RoundButton

ICON_PX = 24
FRAME_PX = 8
ROUND_FRAME_PX = 4
INDICATOR_PX = 26


def cut_texts(parent: QWidget) -> list[str]:
    """Visible buttons and labels in ``parent`` whose text is wider than they are."""
    cut = []
    for button in parent.findChildren(QAbstractButton):
        if not button.isVisible() or not button.text():
            continue
        wanted = max(map(button.fontMetrics().horizontalAdvance, button.text().split("\n")))
        wanted += ICON_PX if isinstance(button, IconButton) else 0
        wanted += INDICATOR_PX if isinstance(button, QCheckBox) else 0
        wanted += ROUND_FRAME_PX if isinstance(button, RoundButton) else FRAME_PX
        if button.width() < wanted:
            cut.append(f"{button.text()}: {button.width()} px for {wanted}")
    for text in parent.findChildren(QLabel):
        if not text.isVisible() or type(text) is not QLabel or not text.text():
            continue
        if text.wordWrap():
            room = text.heightForWidth(text.width())
            if text.height() + 1 < room:
                cut.append(f"{text.text()}: {text.height()} px high for {room}")
        else:
            wanted = text.fontMetrics().horizontalAdvance(text.text())
            if text.width() + 1 < wanted:
                cut.append(f"{text.text()}: {text.width()} px for {wanted}")
    return cut


def outside(parent: QWidget) -> list[str]:
    """Visible buttons and labels of ``parent`` that are not wholly in it, nor in a scroll area."""
    found = []
    for widget in parent.findChildren(QWidget):
        if not isinstance(widget, QAbstractButton | QLabel) or not widget.isVisible():
            continue
        place = QRect(widget.mapTo(parent, QPoint(0, 0)), widget.size())
        room = parent.rect()
        if _scrolls(widget, parent):  # up and down one can get there
            place.moveTop(room.top())
            place.setHeight(1)
        if not room.contains(place):
            text = getattr(widget, "text", str)()
            found.append(f"{type(widget).__name__} {text!r} at {place.getRect()}")
    return found


def _scrolls(widget: QWidget, parent: QWidget) -> bool:
    above = widget.parentWidget()
    while above is not None and above is not parent:
        if isinstance(above, QScrollArea):
            return True
        above = above.parentWidget()
    return False
