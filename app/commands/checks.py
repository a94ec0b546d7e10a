"""What several commands check of their options."""

from __future__ import annotations

import typer

from app.settings import OPUS_FRAMES_MS


def opus_rate(kbps: float, frame_ms: int) -> int:
    """The Opus arm's rate in bit/s. Raises BadParameter for a frame Opus does not have here."""
    if frame_ms not in OPUS_FRAMES_MS:
        raise typer.BadParameter(f"{frame_ms} ms is not an Opus frame: give 20, 40 or 60.")
    return round(kbps * 1000)
