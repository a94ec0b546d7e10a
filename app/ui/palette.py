"""The colours of the window, dark and light: one accent, neutrals, and three signal colours.

The accent stands for phonemes everywhere, the neutral ``second`` for Opus, so that a reader
learns the two once. Text on its ground keeps a contrast of 4.5 : 1 or more (tested).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """sRGB as ``#rrggbb``."""

    dark: bool
    ground: str
    """Behind everything."""
    surface: str
    """Cards and bars."""
    sunken: str
    """Fields, plots and tracks inside a card."""
    border: str
    text: str
    muted: str
    """Second-rank text."""
    accent: str
    accent_weak: str
    """A tint of the accent to fill with; ``text`` is readable on it."""
    on_accent: str
    second: str
    """Opus, and whatever else stands beside the phonemes."""
    second_weak: str
    good: str
    warn: str
    danger: str
    on_danger: str


LIGHT = Palette(
    dark=False,
    ground="#F3F5F7",
    surface="#FFFFFF",
    sunken="#F3F5F7",
    border="#D9DFE5",
    text="#17212B",
    muted="#566471",
    accent="#0A756F",
    accent_weak="#D6ECEA",
    on_accent="#FFFFFF",
    second="#66717D",
    second_weak="#E3E7EB",
    good="#1B7F47",
    warn="#9A5B00",
    danger="#C2293F",
    on_danger="#FFFFFF",
)

DARK = Palette(
    dark=True,
    ground="#11161B",
    surface="#192027",
    sunken="#11161B",
    border="#2C3741",
    text="#E7ECF1",
    muted="#9BA8B4",
    accent="#3CC7BC",
    accent_weak="#143C3D",
    on_accent="#062321",
    second="#AAB6C1",
    second_weak="#2A343D",
    good="#4CC38A",
    warn="#E5A23B",
    danger="#F2697E",
    on_danger="#2B060C",
)

DELAY_TINTS = {
    # From the talker's end to the listener's: dark to light accent, so that order is readable.
    False: ("#06504C", "#0A756F", "#2E9790", "#62B5AF", "#94CFCB", "#C2E4E1"),
    True: ("#1B6F6B", "#259089", "#30ADA4", "#5CCFC6", "#93E0DA", "#C6F0EC"),
}
"""One colour for each of ``app.stats.DELAY_STAGES``, by ``Palette.dark``."""


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 ... 1 (WCAG 2)."""
    parts = (int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 ... 21 (WCAG 2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
