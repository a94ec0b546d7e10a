"""The marks of one side as a window gets them: on the call's clock instead of the worker's.

A window asks 20 times a second, and few marks are new each time; the others are handed out as the
same objects again, so that whoever paints them sees at once what is new.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from app.stats import EventMark


class MarkView:
    """Any thread may ask; what is kept is replaced as a whole."""

    def __init__(self) -> None:
        self._kept: tuple[float, tuple[EventMark, ...], tuple[EventMark, ...]] = (0.0, (), ())

    def since(self, marks: Sequence[EventMark], began_ms: float) -> tuple[EventMark, ...]:
        """``marks``, oldest first, with ``at_ms`` counted from ``began_ms``."""
        source = tuple(marks)
        kept_began_ms, known, shown = self._kept
        if known and kept_began_ms == began_ms:
            fresh = _behind(source, known[-1])
        else:
            fresh = len(source)
        if fresh == 0 and len(source) == len(shown):
            return shown
        old = len(source) - fresh
        made = (dataclasses.replace(mark, at_ms=mark.at_ms - began_ms) for mark in source[old:])
        shown = (*(shown[-old:] if old else ()), *made)
        self._kept = (began_ms, source, shown)
        return shown


def _behind(source: tuple[EventMark, ...], newest: EventMark) -> int:
    """How many marks follow ``newest``; all of them where it is not there any more."""
    for count, mark in enumerate(reversed(source)):
        if mark is newest:
            return count
    return len(source)
