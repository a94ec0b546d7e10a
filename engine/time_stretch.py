"""Making a few frames of sound a pitch period shorter or longer without changing its pitch.

PCM goes in, PCM comes out, one period less or more, cross-faded where the wave repeats itself
best. After the accelerate and pre-emptive expand operations of NetEq.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

MIN_PERIOD: Final = SAMPLE_RATE_HZ // 400  # samples
MAX_PERIOD: Final = SAMPLE_RATE_HZ // 66
_ALIKE: Final = 0.6  # correlation from which two periods pass for one
_QUIET_RMS: Final = 10.0 ** (-55.0 / 20.0)  # below this nobody hears a cut


def find_period(pcm: Pcm) -> int | None:
    """Samples after which ``pcm`` repeats itself best; None where it does not, or is too short.

    Quiet sound repeats at any period: the longest that fits is taken.
    """
    longest = min(MAX_PERIOD, len(pcm) // 2)
    if longest < MIN_PERIOD:
        return None
    if float(np.sqrt(np.mean(pcm**2))) < _QUIET_RMS:
        return longest
    head = pcm[:longest].astype(np.float64)
    products = np.correlate(pcm[: 2 * longest].astype(np.float64), head, "valid")
    squares = np.concatenate([[0.0], np.cumsum(pcm[: 2 * longest].astype(np.float64) ** 2)])
    energies = squares[longest : longest + len(products)] - squares[: len(products)]
    scores = products / np.sqrt(np.maximum(energies * energies[0], 1e-12))
    period = MIN_PERIOD + int(np.argmax(scores[MIN_PERIOD:]))
    return period if scores[period] >= _ALIKE else None


def shorten(pcm: Pcm) -> Pcm:
    """``pcm`` with one period faded away, or as it was where no period is found."""
    period = find_period(pcm)
    if period is None:
        return pcm
    fade = np.linspace(1.0, 0.0, period, dtype=np.float32)
    joint = pcm[:period] * fade + pcm[period : 2 * period] * (1.0 - fade)
    return np.concatenate([joint, pcm[2 * period :]])


def lengthen(pcm: Pcm) -> Pcm:
    """``pcm`` with one period said twice, or as it was where no period is found."""
    period = find_period(pcm)
    if period is None:
        return pcm
    fade = np.linspace(0.0, 1.0, period, dtype=np.float32)
    joint = pcm[period : 2 * period] * (1.0 - fade) + pcm[:period] * fade
    return np.concatenate([pcm[:period], joint, pcm[period:]])
