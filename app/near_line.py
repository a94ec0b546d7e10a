"""Heard sound laid on the near end's time line, so that it can be compared sample with sample.

Playout moves with the link: it waits, hurries, holds phonemes and cuts pauses, and no constant
shift undoes that. Here spans of what was heard go back to when they were said, after the log that
playout left. Samples are moved, never spoken again: where the delay rests they are copied as they
are, and what is shortened or lengthened keeps its pitch (WSOLA, Verhelst and Roelands, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

SAMPLES_A_MS: Final = SAMPLE_RATE_HZ // 1000
HOP: Final = 10 * SAMPLES_A_MS
WINDOW: Final = 2 * HOP
STRAY: Final = 8 * SAMPLES_A_MS  # how far sound may lie from its place to join without a seam

Array = np.ndarray[Any, np.dtype[np.float64]]


class HeardSpan(NamedTuple):
    """One event or frame: when it was said and when it was heard, both from the call's start."""

    number: int
    """The event's index or the frame's number."""
    near_ms: float
    near_for_ms: float
    heard_ms: float
    heard_for_ms: float
    """Without the time in which it was held on because the next one was late."""
    kind: Literal["speech", "pause", "concealed"] = "speech"

    @property
    def delay_ms(self) -> float:
        """Mouth to ear."""
        return self.heard_ms - self.near_ms


class _Source:
    """Near time → where in the heard sound to take it from."""

    def __init__(self, samples: int) -> None:
        self.at = np.full(samples, np.nan)  # NaN: silence

    def stretch(self, near: int, near_for: int, heard: int, heard_for: int) -> None:
        """Speech keeps its shape: all of it, evenly faster or slower."""
        begin, end = max(near, 0), min(near + near_for, len(self.at))
        if end > begin:
            inside = np.arange(begin, end) - near
            self.at[begin:end] = heard + inside * (heard_for / near_for)

    def rest(self, near: int, near_for: int, heard: int, heard_for: int) -> None:
        """A pause keeps its two ends: the middle of the longer one is left out or silent."""
        whole = min(near_for, heard_for)
        first, last = whole // 2, whole - whole // 2
        self.stretch(near, first, heard, first)
        self.stretch(near + near_for - last, last, heard + heard_for - last, last)


def _source(spans: Sequence[HeardSpan], samples: int, heard_samples: int) -> Array:
    source = _Source(samples)
    near = heard = 0  # where the span before ended
    for span in sorted(spans, key=lambda span: span.near_ms):
        begin, heard_begin = (round(ms * SAMPLES_A_MS) for ms in (span.near_ms, span.heard_ms))
        end, heard_end = (
            round(ms * SAMPLES_A_MS)
            for ms in (span.near_ms + span.near_for_ms, span.heard_ms + span.heard_for_ms)
        )
        if end <= near or heard_begin < heard:
            continue  # two frames of one time: the first was heard first
        if begin < near:  # the rest of a frame whose beginning was made up
            begin, heard_begin = near, min(heard_begin + near - begin, heard_end)
        if near == 0 and heard == 0:  # before the first sound lies what preceded it
            near = max(0, begin - heard_begin)
            heard = near + heard_begin - begin
        source.rest(near, begin - near, heard, heard_begin - heard)
        lay = source.rest if span.kind == "pause" else source.stretch
        lay(begin, end - begin, heard_begin, heard_end - heard_begin)
        near, heard = end, heard_end
    left = max(0, min(samples - near, heard_samples - heard))
    source.stretch(near, left, heard, left)
    return source.at


def _best_join(heard: Array, wanted: Array, around: int) -> int:
    """Where near ``around`` the sound goes on most like ``wanted`` [WINDOW]."""
    region = heard[around : around + 2 * STRAY + WINDOW]
    products = np.correlate(region, wanted, "valid")
    squares = np.concatenate([[0.0], np.cumsum(region**2)])
    energies = squares[WINDOW:] - squares[:-WINDOW]
    scores = products / np.sqrt(np.maximum(energies, 1e-9))
    scores -= 1e-9 * np.abs(np.arange(len(scores)) - STRAY)  # in silence, where it belongs
    return around + int(np.argmax(scores))


def on_near_line(heard: Pcm, spans: Sequence[HeardSpan], samples: int) -> Pcm:
    """``heard`` [M], the loudspeaker's sound, as [``samples``] on the near end's clock, no delay.

    Every sound lies within 10 ms of where ``spans`` put it; what nothing was heard for is silent.
    """
    frames = samples // HOP + 2
    ahead = _source(spans, samples, len(heard))
    # A frame is laid by its middle; the last ones reach over the end.
    middles = np.arange(frames) * HOP
    inside = np.minimum(middles, samples - 1)
    targets = ahead[inside] + (middles - inside) if samples else np.zeros(0)
    edge = WINDOW + 2 * STRAY
    padded = np.pad(heard.astype(np.float64), (edge, edge))
    fade = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    out = np.zeros(frames * HOP + WINDOW)
    place: int | None = None  # in ``padded``, of the frame before
    for number, target in enumerate(targets):
        if np.isnan(target) or target > len(heard) + HOP:
            place = None
            continue
        ideal = round(float(target)) - HOP + edge
        if place is None:
            place = ideal
        elif abs(place + HOP - ideal) <= STRAY:
            place += HOP  # the sound simply goes on
        else:
            goes_on = padded[place + HOP : place + HOP + WINDOW]
            place = _best_join(padded, np.pad(goes_on, (0, WINDOW - len(goes_on))), ideal - STRAY)
        place = min(max(place, STRAY), len(padded) - WINDOW - STRAY)
        begin = number * HOP
        out[begin : begin + WINDOW] += fade * padded[place : place + WINDOW]
    return out[HOP : HOP + samples].astype(np.float32)
