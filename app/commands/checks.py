"""What several commands check of their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.settings import DEFAULT_WIRE_BPS, OPUS_FRAMES_MS, WIRE_RANGE_BPS
from engine.errors import SottovoceError

if TYPE_CHECKING:
    from engine.opus import OpusOptions
    from transport.trace import CapacityTrace

MAX_TRACE_BYTES = 32_000_000

WIRE_KBPS = typer.Option(
    DEFAULT_WIRE_BPS / 1000.0,
    min=WIRE_RANGE_BPS[0] / 1000.0,
    max=WIRE_RANGE_BPS[1] / 1000.0,
    help="The most the phoneme arm may send, headers included.",
)
OPUS_LIBRARY = typer.Option(None, help="A libopus to use instead of the system's.")
OPUS_DEEP_PLC = typer.Option(
    False, "--opus-deep-plc", help="Conceal Opus by neural network; doctor says whether it can."
)


def opus_rate(kbps: float, frame_ms: int) -> int:
    """The Opus arm's rate in bit/s. Raises BadParameter for a frame Opus does not have here."""
    if frame_ms not in OPUS_FRAMES_MS:
        raise typer.BadParameter(f"{frame_ms} ms is not an Opus frame: give 20, 40 or 60.")
    return round(kbps * 1000)


def opus_options(library: Path | None, deep_plc: bool) -> OpusOptions:
    """Raises SottovoceError where that library is none or cannot do what is asked."""
    from engine.opus import OpusOptions

    options = OpusOptions(None if library is None else str(library), deep_plc)
    return options if options == OpusOptions() else options.check()


def capacity_trace(path: Path | None) -> CapacityTrace | None:
    """A trace file's content. Raises SottovoceError for a file that is none."""
    from transport.trace import parse_trace

    if path is None:
        return None
    try:
        if path.stat().st_size > MAX_TRACE_BYTES:
            raise SottovoceError(f"{path} is too long for a capacity trace; cut it.")
        return parse_trace(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SottovoceError(f"{path} cannot be read ({error}): give a text file.") from error
