"""Plots as text: inline SVG lines and timelines, and spectrograms as PNG in a data address.

Small on purpose: a report must open anywhere, without scripts or a network, and the same
numbers must make the same bytes. Colours are CSS classes, so that dark and light both work.
"""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.events import Pcm
from engine.mel import log_mel

WIDTH, HEIGHT = 860, 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 30  # px around the plotting area
MAX_SPECTROGRAM_COLUMNS = 1200

# Dark blue → teal → yellow, read off viridis at nine places (van der Walt and Smith, 2015).
_VIRIDIS = np.array(
    [
        [68, 1, 84],
        [71, 44, 122],
        [59, 81, 139],
        [44, 113, 142],
        [33, 144, 141],
        [39, 173, 129],
        [92, 200, 99],
        [170, 220, 50],
        [253, 231, 37],
    ],
    np.float32,
)


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round positions between ``low`` and ``high``."""
    span = max(high - low, 1e-9)
    step = 10.0 ** math.floor(math.log10(span / count))
    step *= min((f for f in (1, 2, 5, 10) if span / (step * f) <= count), default=10)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def line_chart(
    title: str,
    unit: str,
    lines: Mapping[str, Sequence[tuple[float, float | None]]],
    log: bool = False,
) -> str:
    """SVG of named lines over seconds; None leaves a gap. ``log`` makes the value axis decades."""
    points = [(x, y) for line in lines.values() for x, y in line if y is not None]
    if not points:
        return f'<p class="none">{html.escape(title)}: nothing to show.</p>'
    x_high = max(max(x for x, _ in points), 1.0)
    low, high = min(y for _, y in points), max(y for _, y in points)
    if log:
        low = 10.0 ** math.floor(math.log10(max(low, 1.0)))
        high = 10.0 ** math.ceil(math.log10(max(high, low * 10)))
    else:
        low = min(0.0, low)
        high = high * 1.05 if high > low else low + 1.0

    def place(value: float) -> float:
        if log:
            part = math.log10(max(value, low) / low) / math.log10(high / low)
        else:
            part = (value - low) / (high - low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    def across(x: float) -> float:
        return LEFT + x / x_high * (WIDTH - LEFT - RIGHT)

    out = [
        f'<figure><figcaption>{html.escape(title)} <span class="unit">{html.escape(unit)}</span>'
    ]
    for number, name in enumerate(lines):
        out.append(f' <span class="key k{number}">{html.escape(name)}</span>')
    out.append(
        f'</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}">'
    )
    decades = range(round(math.log10(low)), round(math.log10(high)) + 1) if log else ()
    for value in [10.0**d for d in decades] if log else _ticks(low, high):
        y = place(value)
        label = f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
        out.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        out.append(f'<text class="ya" x="{LEFT - 6}" y="{y + 4:.1f}">{label}</text>')
    for value in _ticks(0.0, x_high, 8):
        x = across(value)
        out.append(f'<text class="xa" x="{x:.1f}" y="{HEIGHT - 10}">{value:g} s</text>')
    for number, line in enumerate(lines.values()):
        pieces: list[list[str]] = [[]]
        for x, height in line:
            if height is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{across(x):.1f},{place(height):.1f}")
        for piece in pieces:
            if piece:
                out.append(f'<polyline class="line k{number}" points="{" ".join(piece)}"/>')
    out.append("</svg></figure>")
    return "".join(out)


def timeline(title: str, tracks: Mapping[str, Sequence[tuple[float, float, str, str]]]) -> str:
    """SVG with one row of labelled boxes a track: ``(start_s, end_s, label, css_class)``."""
    ends = [end for boxes in tracks.values() for _, end, _, _ in boxes]
    if not ends:
        return f'<p class="none">{html.escape(title)}: nothing to show.</p>'
    seconds = max(max(ends), 0.5)
    width = max(WIDTH, int(seconds * 220))  # a phoneme is wide enough for its label; scrolls
    row = 34
    height = row * len(tracks) + 26
    out = [
        f"<figure><figcaption>{html.escape(title)}</figcaption>",
        f'<div class="scroll"><svg style="width:{width}px" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{html.escape(title)}">',
    ]

    def across(x: float) -> float:
        return 40 + x / seconds * (width - 50)

    for number, (name, boxes) in enumerate(tracks.items()):
        top = number * row + 4
        out.append(f'<text class="xl" x="0" y="{top + 18}">{html.escape(name)}</text>')
        for start, end, label, kind in boxes:
            x, w = across(start), max(across(end) - across(start) - 0.6, 0.6)
            out.append(
                f'<g class="{kind}"><rect x="{x:.1f}" y="{top}" width="{w:.1f}" height="26"/>'
            )
            if label and w > 7:
                out.append(f'<text x="{x + w / 2:.1f}" y="{top + 18}">{html.escape(label)}</text>')
            out.append("</g>")
    for value in _ticks(0.0, seconds, max(8, int(seconds))):
        out.append(f'<text class="xa" x="{across(value):.1f}" y="{height - 6}">{value:g} s</text>')
    out.append("</svg></div></figure>")
    return "".join(out)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """[H, W, 3] uint8 → PNG file (RFC 2083: signature, IHDR, IDAT, IEND)."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    rows = np.zeros((height, 1 + width * 3), np.uint8)  # each row begins with filter 0
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def spectrogram(pcm: Pcm) -> bytes:
    """PNG of the log-mel spectrogram, 80 rows, at most MAX_SPECTROGRAM_COLUMNS wide."""
    mel = log_mel(pcm)
    if len(mel) == 0:
        mel = np.full((1, 80), -11.5, np.float32)
    step = math.ceil(len(mel) / MAX_SPECTROGRAM_COLUMNS)
    mel = mel[: len(mel) // step * step].reshape(-1, step, mel.shape[1]).mean(axis=1)
    top = float(mel.max())
    level = np.clip((mel.T[::-1] - (top - 9.0)) / 9.0, 0.0, 1.0) * (len(_VIRIDIS) - 1)
    below = np.floor(level).astype(int).clip(0, len(_VIRIDIS) - 2)
    part = (level - below)[..., None]
    colours = _VIRIDIS[below] * (1 - part) + _VIRIDIS[below + 1] * part
    return png(np.round(colours).astype(np.uint8))


def data_address(kind: str, content: bytes) -> str:
    """``data:`` address that holds ``content`` itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
