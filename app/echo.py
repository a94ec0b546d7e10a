"""How well the echo guard works: a loudspeaker, a room and a talker, all computed.

What the far side says goes through a small loudspeaker (soft clipping) and a room (direct sound,
then a decaying tail) into a microphone, alone or while the near side talks. Compared is what the
guard lets through. Deterministic: no clock, the room is drawn from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from app.processing import EchoGuard
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

BLOCK: Final = SAMPLE_RATE_HZ // 50  # 20 ms, what a call hands over at once
ADAPT_S: Final = 3.0  # not counted: the guard is still learning the room
TALKING_DB: Final = -40.0  # below its loudest frame a talker is silent
MICROPHONE_NOISE_DBFS: Final = -72.0

MakeGuard = Callable[[], EchoGuard]


@dataclass(frozen=True, slots=True)
class Room:
    """The way from the loudspeaker back into the microphone."""

    loss_db: float = 6.0
    """How much quieter the echo is than what the loudspeaker was given (echo return loss)."""
    delay_ms: float = 60.0
    """Sound card and air together."""
    rt60_s: float = 0.3
    """Until the tail has fallen by 60 dB."""
    clipping: float = 0.5
    """Amplitude at which the loudspeaker begins to distort; 0 for a perfect one."""
    told_ms: float | None = None
    """The delay the guard is told where it is wrong."""
    seed: int = 1

    def response(self) -> NDArray[np.float64]:
        """[N] float64 at 16 kHz, of unit energy: a direct path and a noise tail 10 dB below it."""
        length = int((self.delay_ms / 1000.0 + self.rt60_s) * SAMPLE_RATE_HZ) + 1
        start = round(self.delay_ms / 1000.0 * SAMPLE_RATE_HZ)
        made = np.zeros(length)
        age_s = np.arange(length - start) / SAMPLE_RATE_HZ
        tail = np.random.default_rng(self.seed).standard_normal(length - start)
        tail *= 10.0 ** (-3.0 * age_s / max(self.rt60_s, 1e-3))
        tail *= np.sqrt(0.1 / np.sum(tail**2))
        made[start:] = tail
        made[start] += 1.0
        return made / np.sqrt(np.sum(made**2))

    def echo(self, far: Pcm) -> Pcm:
        """What comes back of ``far`` [N] at 16 kHz, as long and ``loss_db`` quieter."""
        played = np.asarray(far, np.float64)
        if self.clipping > 0.0:
            played = self.clipping * np.tanh(played / self.clipping)
        heard = fftconvolve(played, self.response())[: len(far)]
        level = np.sqrt(np.mean(np.square(far)) / max(np.mean(np.square(heard)), 1e-20))
        return (heard * level * 10.0 ** (-self.loss_db / 20.0)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class EchoFigures:
    erle_db: float
    """Echo return loss enhancement: echo before the guard over what is left of it behind, while
    only the far side talks."""
    erle_first_s_db: float
    """The same over the first second of far speech, when the guard knows nothing."""
    near_change_db: float
    """How much louder (quieter: negative) near speech is in double talk than without any echo,
    median over frames."""
    near_lost: float
    """Share of near speech frames that double talk takes more than 10 dB from."""
    near_out: Pcm
    """What the guard lets through in double talk, for scores of speech."""


def through(make: MakeGuard, far: Pcm, microphone: Pcm, delay_ms: float) -> Pcm:
    """Run a fresh guard over both sides in blocks of a call; as long as ``microphone``."""
    guard = make()
    heard = []
    for start in range(0, len(microphone), BLOCK):
        guard.played(far[start : start + BLOCK])
        heard.append(guard.clean(microphone[start : start + BLOCK], delay_ms))
    out = np.concatenate(heard)
    return np.pad(out, (0, max(0, len(microphone) - len(out))))[: len(microphone)]


def measure(make: MakeGuard, far: Pcm, near: Pcm, room: Room) -> EchoFigures:
    """``far`` talks from the beginning; ``near`` [N], as long, is heard with and without it."""
    echo = room.echo(far)
    rng = np.random.default_rng(room.seed)
    noise = rng.standard_normal(len(far)).astype(np.float32) * 10 ** (MICROPHONE_NOISE_DBFS / 20)
    delay_ms = room.delay_ms if room.told_ms is None else room.told_ms
    alone = through(make, far, echo + noise, delay_ms)
    both = through(make, far, near + echo + noise, delay_ms)
    quiet = through(make, np.zeros_like(far), near + noise, delay_ms)
    far_talks = talking(echo)
    adapted = np.arange(len(far_talks)) * BLOCK >= ADAPT_S * SAMPLE_RATE_HZ
    first = far_talks & (np.cumsum(far_talks) <= SAMPLE_RATE_HZ // BLOCK)
    near_talks = talking(near) & far_talks & adapted
    change_db = _db(_power(both)[near_talks]) - _db(_power(quiet)[near_talks])
    return EchoFigures(
        erle_db=ratio_db(echo, alone, far_talks & adapted),
        erle_first_s_db=ratio_db(echo, alone, first),
        near_change_db=float(np.median(change_db)) if near_talks.any() else float("nan"),
        near_lost=float(np.mean(change_db < -10.0)) if near_talks.any() else float("nan"),
        near_out=both,
    )


def talking(pcm: Pcm) -> NDArray[np.bool_]:
    """Which blocks of 20 ms hold speech: [N // 320]."""
    level_db = _db(_power(pcm))
    return np.asarray(level_db > level_db.max(initial=-120.0) + TALKING_DB, bool)


def _power(pcm: Pcm) -> NDArray[np.float64]:
    blocks = np.asarray(pcm[: len(pcm) // BLOCK * BLOCK], np.float64).reshape(-1, BLOCK)
    return np.asarray(np.mean(blocks**2, axis=1))


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10.0 * np.log10(power + 1e-12))


def ratio_db(before: Pcm, after: Pcm, where: NDArray[np.bool_]) -> float:
    """How much quieter ``after`` is than ``before`` in the blocks ``where``; NaN for no block."""
    if not where.any():
        return float("nan")
    powers = [max(float(np.sum(_power(pcm)[where])), 1e-12) for pcm in (before, after)]
    return float(10.0 * np.log10(powers[0] / powers[1]))
