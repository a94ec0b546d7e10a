"""What the boxes of the phoneme lanes mean, painted as the lanes paint them."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QPainter, QPen

from app.ui.still import Still
from app.ui.theme import text_font, theme
from app.ui.view_models import tr


class StreamLegend(Still):
    """What the three kinds of boxes mean."""

    def __init__(self) -> None:
        super().__init__()
        self._entries = (
            ("played", tr("heard")), ("concealed", tr("concealed")), ("missing", tr("missing"))
        )  # fmt: skip
        self.setAccessibleName(
            tr("Legend: filled boxes were heard, hatched ones concealed, dashed ones are missing")
        )
        self._font = text_font(12)

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self._font)
        return QSize(sum(metrics.horizontalAdvance(word) + 36 for _kind, word in self._entries), 20)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def draw(self, painter: QPainter) -> None:
        colours = theme().palette
        painter.setFont(self._font)
        metrics = painter.fontMetrics()
        x = self.width() - sum(
            metrics.horizontalAdvance(word) + 34 for _kind, word in self._entries
        )
        x += 12  # the last word needs no gap behind it
        for kind, word in self._entries:
            box = QRectF(x + 0.5, self.height() / 2 - 5.5, 14, 11)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.danger), 1.0, Qt.PenStyle.DashLine))
            if kind == "played":
                painter.setPen(QPen(QColor(colours.accent), 1.0))
                painter.setBrush(QColor(colours.accent_weak))
            elif kind == "concealed":
                painter.setPen(QPen(QColor(colours.warn), 1.0))
                painter.setBrush(QBrush(QColor(colours.warn), Qt.BrushStyle.BDiagPattern))
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(QColor(colours.muted))
            width = metrics.horizontalAdvance(word)
            painter.drawText(
                QRectF(x + 20, 0, width + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, word
            )
            x += width + 34
