"""Pictures of a widget, small enough for a repository: as PNG, in few colours where many are costly."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from app.ui.palette import Palette
from app.ui.theme import theme

MAX_BYTES: Final = 150_000


def save_picture(widget: QWidget, path: Path) -> None:
    """Write what ``widget`` shows to ``path``, at most about MAX_BYTES."""
    picture = widget.grab().toImage()
    picture.save(str(path), None, 0)  # the best compression, still lossless
    for count in (256, 96, 48):
        if path.stat().st_size > MAX_BYTES:
            few_colours(picture, count).save(str(path), None, 0)


def few_colours(picture: QImage, count: int) -> QImage:
    """The same picture in the theme's colours and its commonest others, ``count`` together; every
    pixel gets the nearest one."""
    rgb = picture.convertToFormat(QImage.Format.Format_RGB888)
    height, width, stride = rgb.height(), rgb.width(), rgb.bytesPerLine()
    rows = np.frombuffer(rgb.constBits(), np.uint8).reshape(height, stride)[:, : 3 * width]
    pixels = rows.reshape(height * width, 3) & 0xFC
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    found, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    parts = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.int32)
    palette = theme().palette
    wanted = [
        [int(value[i : i + 2], 16) for i in (1, 3, 5)]
        for name in Palette.__slots__
        if isinstance(value := getattr(palette, name), str)
    ]
    common = np.argsort(-counts, kind="stable")[: count - len(wanted)]
    colours = np.concatenate([np.array(wanted, np.int32), parts[common]])
    distance = (parts**2).sum(1)[:, None] - 2 * parts @ colours.T + (colours**2).sum(1)
    indices = np.argmin(distance, axis=1).astype(np.uint8)[places].reshape(height, width)
    padded = np.zeros((height, -(-width // 4) * 4), np.uint8)
    padded[:, :width] = indices
    made = QImage(padded.data, width, height, padded.shape[1], QImage.Format.Format_Indexed8)
    made.setColorTable([0xFF000000 | int(r) << 16 | int(g) << 8 | int(b) for r, g, b in colours])
    return made.copy()
