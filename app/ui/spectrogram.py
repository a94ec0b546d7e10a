"""A scrolling spectrogram of what is being heard, on the time scale of the phoneme lanes.

Columns of 10 ms go into an image that is used as a ring; painting copies two pieces of it. Only
samples that were played come in here, and nothing is kept beyond the image.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.ui.palette import Palette
from app.ui.phoneme_lane import PIXELS_PER_MS
from app.ui.theme import text_font, theme
from app.ui.view_models import tr
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

HOP: Final = 160  # samples, 10 ms
WINDOW: Final = 512
BINS: Final = 128  # 0 ... 4 kHz of the 257, where speech is
COLUMNS: Final = 2400  # 24 s: a window 3840 px wide shows all of it
FLOOR_DB: Final = -85.0
CEILING_DB: Final = -25.0
LONGEST_BACKLOG: Final = 100  # columns at once; after a longer stall the rest is skipped


def columns(pcm: Pcm) -> NDArray[np.uint8]:
    """Spectra of [N] float32 → [(N - WINDOW) // HOP + 1, BINS] brightness, low pitches last.

    Sixteen steps are all the eye tells apart, and far less to compress in a picture.
    """
    frames = np.lib.stride_tricks.sliding_window_view(pcm, WINDOW)[::HOP]
    spectra = np.abs(np.fft.rfft(frames * _HANN, axis=1))[:, :BINS]
    level_db = 20.0 * np.log10(spectra / (WINDOW / 4) + 1e-7)
    share = (level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB)
    level = (np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8) & 0xF0
    return np.ascontiguousarray(level[:, ::-1])


_HANN = np.hanning(WINDOW).astype(np.float32)


def colour_table(palette: Palette) -> list[int]:
    """256 colours: from the ground through the accent to the text colour."""
    stops = [QColor(palette.sunken), QColor(palette.accent), QColor(palette.text)]
    table = []
    for level in range(256):
        place = level / 255.0 * 2.0
        one, other = stops[min(1, int(place))], stops[min(1, int(place)) + 1]
        part = place - min(1, int(place))
        parts = (
            round(a + (b - a) * part)
            for a, b in zip(one.getRgb()[:3], other.getRgb()[:3], strict=True)  # type: ignore[index]
        )
        table.append(QColor(*parts).rgb())
    return table


class Spectrogram(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._pixels = np.zeros((BINS, COLUMNS), np.uint8)
        self._image = QImage(
            self._pixels.data, COLUMNS, BINS, COLUMNS, QImage.Format.Format_Indexed8
        )
        self._tail = np.zeros(0, np.float32)
        self._next = 0
        self._filled = 0
        self._hidden = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(48)
        self.setAccessibleName(tr("Spectrogram of what you hear, 0 to 4 kilohertz"))
        theme().changed.connect(self._recolour)
        self._recolour()

    def sizeHint(self) -> QSize:
        return QSize(480, 110)

    def _recolour(self) -> None:
        self._image.setColorTable(colour_table(theme().palette))
        self.update()

    def set_hidden(self, hidden: bool) -> None:
        """During a blind test the picture would tell the arms apart."""
        if hidden != self._hidden:
            self._hidden = hidden
            self.update()

    def clear(self) -> None:
        self._pixels.fill(0)
        self._tail = np.zeros(0, np.float32)
        self._next = self._filled = 0
        self.update()

    def push(self, pcm: Pcm) -> None:
        """Samples played since the last call, [N] float32 at 16 kHz."""
        samples = np.concatenate([self._tail, pcm])
        longest = LONGEST_BACKLOG * HOP + WINDOW
        if len(samples) > longest:
            self.skip(1000.0 * (len(samples) - longest) / SAMPLE_RATE_HZ)
            samples = samples[-longest:]
        count = (len(samples) - WINDOW) // HOP + 1
        if count <= 0:
            self._tail = samples
            return
        made = columns(samples[: WINDOW + (count - 1) * HOP])
        self._tail = samples[count * HOP :]
        places = (self._next + np.arange(count)) % COLUMNS
        self._pixels[:, places] = made.T
        self._next = (self._next + count) % COLUMNS
        self._filled = min(COLUMNS, self._filled + count)
        if not self._hidden:
            self.update()

    def skip(self, missing_ms: float) -> None:
        """Leave a gap for time in which nothing was played, so that the lanes stay in step."""
        count = min(COLUMNS, round(missing_ms * SAMPLE_RATE_HZ / 1000.0 / HOP))
        self._tail = np.zeros(0, np.float32)
        self._pixels[:, (self._next + np.arange(count)) % COLUMNS] = 0
        self._next = (self._next + count) % COLUMNS
        self._filled = min(COLUMNS, self._filled + count)

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme().palette
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(colours.sunken))
        scale = PIXELS_PER_MS * 1000.0 * HOP / SAMPLE_RATE_HZ  # px a column
        shown = 0 if self._hidden else min(self._filled, int(self.width() / scale) + 1)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        right, end = float(self.width()), self._next
        while shown > 0:
            end = end or COLUMNS
            count = min(shown, end)
            target = QRectF(right - count * scale, 0, count * scale, self.height())
            painter.drawImage(target, self._image, QRectF(end - count, 0, count, BINS))
            right, shown, end = target.left(), shown - count, end - count
        painter.setFont(text_font(11))
        painter.setPen(QColor(colours.muted))
        area = self.rect().adjusted(6, 3, -6, -3)
        if self._hidden:
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, tr("Hidden during a blind test"))
        else:
            backdrop = QColor(colours.surface)
            backdrop.setAlpha(200)
            high, low = tr("4 kHz"), tr("0")
            metrics = painter.fontMetrics()
            for text, top in ((high, 0), (low, self.height() - metrics.height() - 2)):
                box = QRectF(0, top, metrics.horizontalAdvance(text) + 10, metrics.height() + 2)
                painter.fillRect(box, backdrop)
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.end()
