"""A code to hand over: shown, copied in one click, and as a QR picture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import segno
from PySide6.QtCore import QRect, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app.ui.buttons import IconButton
from app.ui.view_models import tr
from app.ui.widgets import GRID, row

COPIED_MS = 1600
SIDE = 200  # px; five to a module of the usual code
QUIET_MODULES = 3  # white rim of a QR code; readers want some


class QrPicture(QWidget):
    """Black on white in both themes, because readers expect it."""

    def __init__(self) -> None:
        super().__init__()
        self._modules: QImage | None = None
        self.setFixedSize(SIDE, SIDE)
        self.setAccessibleName(tr("QR code of the link"))

    def set_text(self, text: str) -> None:
        """An empty text, or one too long for a QR code, shows nothing."""
        self._modules = None
        if text:
            with contextlib.suppress(segno.DataOverflowError):
                self._modules = _picture(segno.make_qr(text, error="m").matrix)
        self.setVisible(self._modules is not None)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("white"))
        painter.drawRoundedRect(QRectF(self.rect()), 8, 8)
        if self._modules is not None:
            count = self._modules.width()
            side = self.width() // (count + 2 * QUIET_MODULES) * count
            start = (self.width() - side) // 2
            painter.drawImage(QRect(start, start, side, side), self._modules)
        painter.end()

    def sizeHint(self) -> QSize:
        return QSize(SIDE, SIDE)


def _picture(matrix: Sequence[Sequence[int]]) -> QImage:
    """One pixel a module."""
    levels = np.where(np.array(matrix, bool), 0, 255).astype(np.uint8)
    height, width = levels.shape
    grey = QImage.Format.Format_Grayscale8
    return QImage(levels.tobytes(), width, height, width, grey).copy()


class CodeBox(QWidget):
    """The code as text, with Copy buttons below; the QR picture is placed by the page."""

    def __init__(self, name: str, *, with_link: bool) -> None:
        super().__init__()
        self._code = self._link = ""
        self.text = QPlainTextEdit()
        self.text.setProperty("role", "code")
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(name)
        self.text.setFixedHeight(56)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.copy_code = IconButton(tr("Copy code"), "copy", "primary")
        self.copy_code.clicked.connect(lambda: self._copy(self.copy_code, self._code))
        self.copy_link = IconButton(tr("Copy link"), "link")
        self.copy_link.clicked.connect(lambda: self._copy(self.copy_link, self._link))
        self.copy_link.setVisible(with_link)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID)
        layout.addWidget(self.text)
        layout.addLayout(row(self.copy_code, self.copy_link, None))
        self.set_code("", "")

    @property
    def code(self) -> str:
        return self._code

    def set_code(self, code: str, link: str) -> None:
        self._code, self._link = code, link
        self.text.setPlainText(code)
        self.text.setPlaceholderText(tr("Making the code …"))
        self.copy_code.setEnabled(bool(code))
        self.copy_link.setEnabled(bool(link))

    def _copy(self, button: IconButton, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        words = tr("Copy code") if button is self.copy_code else tr("Copy link")
        normal = "copy" if button is self.copy_code else "link"
        button.setText(tr("Copied"))
        button.set_icon("check")

        def back() -> None:
            button.setText(words)
            button.set_icon(normal)

        QTimer.singleShot(COPIED_MS, button, back)
