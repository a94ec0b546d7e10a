"""The program's own line icons: SVG files in ``assets/icons``, drawn in any colour and size.

Each file is a 24 by 24 drawing whose strokes say ``currentColor``; the colour is put in when it
is rendered. Rendered icons are kept, so a repaint never reads a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

ICON_DIR: Final = Path(__file__).resolve().parents[2] / "assets" / "icons"


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    return (ICON_DIR / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=1024)
def pixmap(name: str, colour: str, size: int, ratio: float = 1.0) -> QPixmap:
    """Icon ``name`` in ``colour``, ``size`` device-independent pixels square.

    Raises FileNotFoundError for a name that ``assets/icons`` does not have.
    """
    drawn = QPixmap(round(size * ratio), round(size * ratio))
    drawn.fill(Qt.GlobalColor.transparent)
    svg = QSvgRenderer(QByteArray(_source(name).replace("currentColor", colour).encode()))
    painter = QPainter(drawn)
    svg.render(painter, QRectF(0, 0, drawn.width(), drawn.height()))
    painter.end()
    drawn.setDevicePixelRatio(ratio)
    return drawn


@lru_cache(maxsize=512)
def icon(name: str, colour: str, size: int = 20) -> QIcon:
    """The same for a button, at the densities of plain and fine screens."""
    made = QIcon()
    for ratio in (1.0, 2.0):
        made.addPixmap(pixmap(name, colour, size, ratio))
    return made


def drawn_ahead(colours: Sequence[str], sizes: Sequence[int] = (20, 24)) -> Iterator[None]:
    """Draw every icon before it is needed, one at a time."""
    for name in sorted(path.stem for path in ICON_DIR.glob("*.svg")):
        for colour in colours:
            for size in sizes:
                icon(name, colour, size)
        yield


@lru_cache(maxsize=1)
def app_icon() -> QIcon:
    """The program's icon: its own colours, all the sizes a desktop shows."""
    made = QIcon()
    for size in (16, 24, 32, 48, 64, 128, 256):
        made.addPixmap(pixmap("sottovoce", "#0A756F", size))
    return made


def recoloured_file(name: str, colour: str, folder: Path) -> Path:
    """Write icon ``name`` in ``colour`` into ``folder`` for a style sheet's ``url()``."""
    path = folder / f"{name}-{colour.lstrip('#')}.svg"
    if not path.exists():
        path.write_text(_source(name).replace("currentColor", colour), encoding="utf-8")
    return path
