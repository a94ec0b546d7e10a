"""Comfort noise that costs nothing: once a silence has settled, its last second is played on.

A vocoder spends as much on noise as on speech. This keeps what it made of a settled silence and
plays pieces of it in ever another order, with cross-fades of one tick at every seam, so that a
pause costs a copy and no ear finds a period in it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.events import Pcm
from engine.mel import HOP

LOOP_TICKS: Final = 100  # a second of noise
PIECES: Final = 16  # of it, in another order: some ten seconds before anything repeats
SEED: Final = 20_203
FADE: Final = HOP  # samples of a cross-fade
_TURN = np.linspace(0.0, np.pi / 2, FADE, endpoint=False, dtype=np.float32)
_FADE_IN, _FADE_OUT = np.sin(_TURN), np.cos(_TURN)  # equal power: the noises are unrelated


def crossfade(old: Pcm, new: Pcm) -> Pcm:
    """``new`` [N >= FADE], whose first FADE samples come in over ``old`` [FADE]."""
    mixed = new.copy()
    mixed[:FADE] = old * _FADE_OUT + new[:FADE] * _FADE_IN
    return mixed


def shuffled(base: Pcm) -> Pcm:
    """``base`` [N], whose end leads to its start, and then PIECES of it; the end leads to the start.

    Only the first FADE samples are not those of ``base``: they follow the last piece.
    """
    dice = np.random.default_rng(SEED)

    def take(begin: int, count: int) -> Pcm:
        return np.take(base, np.arange(begin, begin + count), mode="wrap")

    pieces, after = [base], take(0, FADE)
    for _ in range(PIECES):
        begin, count = int(dice.integers(len(base))), int(dice.integers(len(base) // 4, len(base)))
        pieces.append(crossfade(after, take(begin, count)))
        after = take(begin + count, FADE)
    return crossfade(after, np.concatenate(pieces))


class ComfortLoop:
    """Fed LOOP_TICKS + 1 ticks of a settled silence, it goes on for ever."""

    def __init__(self) -> None:
        self._made: list[Pcm] = []
        self._missing = LOOP_TICKS + 1
        self._loop: Pcm | None = None
        self._at = 0

    @property
    def missing_ticks(self) -> int:
        """How many more it has to be fed; 0: it can play."""
        return self._missing

    def feed(self, pcm: Pcm) -> Pcm:
        """Take the next [ticks * HOP] samples, ``missing_ticks`` at the most. Returns what is to be
        heard of them: the same, but for the last tick, which leads back to the first."""
        self._made.append(pcm)
        self._missing -= len(pcm) // HOP
        if self._missing > 0:
            return pcm
        whole = np.concatenate(self._made)
        base = crossfade(whole[-FADE:], whole[:-FADE])
        self._loop = shuffled(base)
        self._made, self._at = [], FADE
        return np.concatenate([pcm[:-FADE], base[:FADE]])

    def play(self, samples: int) -> Pcm:
        """The next ``samples`` of the noise. Only when nothing is missing."""
        if self._loop is None:
            return np.zeros(samples, np.float32)
        places = (self._at + np.arange(samples)) % len(self._loop)
        self._at = (self._at + samples) % len(self._loop)
        return self._loop[places]
