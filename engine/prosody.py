"""Streaming pitch, voicing and energy of the talker.

PCM of any length goes in; per 10 ms tick one pitch and one energy come out, from which
``measure`` reads what a phoneme event carries. Work is done on a fixed grid of 20 ms, so the
results do not depend on how the audio was cut into pieces. Normalised cross-correlation with a
Viterbi path over pitch and voicing, after Talkin (RAPT, 1995) and Ghahremani et al. (2014).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter

from engine.errors import SottovoceError
from engine.events import Pcm, quantise_energy, quantise_pitch
from engine.mel import HOP, SAMPLE_RATE_HZ

F0_MIN_HZ = 65.0
F0_MAX_HZ = 500.0
DECIMATION = 4
RATE_HZ = SAMPLE_RATE_HZ // DECIMATION
LOWPASS_HZ = 1_100.0  # a few harmonics are enough, and noise above them is shut out
FILTER_TAPS = 129  # samples at 16 kHz
STEPS_PER_OCTAVE = 48  # pitch grid: a quarter semitone
WINDOW = 112  # samples at RATE_HZ: 28 ms
SHORTEST = 3  # lags in samples at RATE_HZ, with room for a dip and to interpolate
LONGEST = int(np.ceil(RATE_HZ / F0_MIN_HZ)) + 2
REACH = (WINDOW + LONGEST) // 2 + 1  # samples at RATE_HZ a frame sees on either side
BLOCK_TICKS = 2
DECISION_TICKS = 4  # the path is read this much later than the frame it decides
HISTORY_TICKS = 400

HIGHPASS_HZ = 65.0  # mains hum and rumble are periodic too
UNVOICED_COST = 0.63  # against 1 - correlation
SWITCH_COST = 0.12
GLIDE_COST = 1.1  # an octave
SHORT_LAG_BONUS = 0.06  # from the longest lag to the shortest: against halving
BALLAST = 3e-4  # RMS of the hum that hides periodicity in near silence
RELATIVE_BALLAST = 0.05  # … and in what is this far below the talker's recent peak
PEAK_DECAY = 0.999  # a tick
DIP = 0.1  # a period's correlation stands out from a shorter lag's by this, rumble's does not
NO_DIP_COST = 1.0

LATENCY_TICKS = DECISION_TICKS + BLOCK_TICKS + 4
"""Audio up to this much after an event's end must be pushed before ``measure`` sees all of it."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prosody:
    """What an event carries of the melody; quantised as in ``engine.events``."""

    voiced: bool
    pitch: tuple[int, int]
    energy: int


def _lowpass() -> F64:
    """Linear-phase low-pass at 16 kHz. Returns [FILTER_TAPS]."""
    n = np.arange(FILTER_TAPS) - FILTER_TAPS // 2
    cut = 2.0 * LOWPASS_HZ / SAMPLE_RATE_HZ
    taps = cut * np.sinc(cut * n) * np.hamming(FILTER_TAPS)
    return np.asarray(taps / taps.sum())


def _pitch_grid() -> tuple[F64, F64]:
    """Pitches [P] in Hz, and the windowed-sinc matrix [lags, P] that reads correlations there."""
    octaves = np.log2(F0_MAX_HZ / F0_MIN_HZ)
    pitch = F0_MIN_HZ * 2.0 ** (np.arange(int(octaves * STEPS_PER_OCTAVE) + 1) / STEPS_PER_OCTAVE)
    lags = np.arange(SHORTEST, LONGEST + 1)
    away = RATE_HZ / pitch[None, :] - lags[:, None]
    kernel = np.sinc(away) * np.cos(np.pi * np.clip(away / 8.0, -0.5, 0.5)) ** 2
    return pitch, kernel / kernel.sum(axis=0, keepdims=True)


class ProsodyTracker:
    """Follows one talker. Keeps the last ``history_ticks`` ticks, drops older ones."""

    def __init__(self, history_ticks: int = HISTORY_TICKS) -> None:
        self._taps = _lowpass()
        self._pitch, self._reader = _pitch_grid()
        count = len(self._pitch)
        step = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / STEPS_PER_OCTAVE
        self._glide = GLIDE_COST * np.minimum(step, 0.8)
        lags = RATE_HZ / self._pitch
        self._lag_index = np.floor(lags).astype(int) - SHORTEST
        self._bonus = SHORT_LAG_BONUS * (lags - lags.min()) / (lags.max() - lags.min())
        self._starts = -((WINDOW + np.arange(SHORTEST, LONGEST + 1)) // 2)
        self._pending = np.zeros(0, np.float32)
        self._odd = np.zeros(0, np.float32)
        pad = FILTER_TAPS // 2
        self._raw = np.zeros(FILTER_TAPS - 1 - pad, np.float32)  # the filter's past
        self._highpass = butter(2, HIGHPASS_HZ, "highpass", fs=RATE_HZ)
        self._highpass_state = np.zeros(2)
        self._peak = 0.0
        self._slow = np.zeros(REACH)  # decimated signal from REACH before the next frame on
        self._cost = np.zeros(count + 1)
        self._cost[:-1] = 1.0
        self._links: deque[NDArray[np.int64]] = deque(maxlen=DECISION_TICKS)  # drops the oldest
        self._f0: deque[float] = deque(maxlen=history_ticks)  # drops the oldest
        self._power: deque[float] = deque(maxlen=history_ticks)  # drops the oldest
        self._f0_ticks = 0
        self._power_ticks = 0
        self._log_sum = 0.0
        self._voiced_ticks = 0

    def push(self, pcm: Pcm) -> None:
        """Take in [N] samples. Raises SottovoceError when they are not one-dimensional.

        Samples that are not finite count as zero.
        """
        if np.ndim(pcm) != 1:
            raise SottovoceError("Prosody needs mono PCM [N]: mix the channels down first.")
        clean = np.clip(np.nan_to_num(np.asarray(pcm, np.float32)), -4.0, 4.0)
        self._pending = np.concatenate([self._pending, clean])
        block = BLOCK_TICKS * HOP
        whole = len(self._pending) // block * block
        for start in range(0, whole, block):
            self._take(self._pending[start : start + block])
        self._pending = self._pending[whole:]

    def flush(self) -> None:
        """The talker's audio has ended: decide every tick of it, as if silence followed."""
        ticks = LATENCY_TICKS + 2 * BLOCK_TICKS
        self.push(np.zeros(ticks * HOP - len(self._pending) % HOP, np.float32))

    def measure(self, start_tick: int, duration_ticks: int) -> Prosody:
        """Melody and level of the ticks start ... start + duration - 1.

        Ticks not decided yet, or older than the history, count as absent; see LATENCY_TICKS.
        """
        power = _slice(self._power, self._power_ticks, start_tick, duration_ticks)
        rms = float(np.sqrt(np.mean(power))) if len(power) else 0.0
        f0 = _slice(self._f0, self._f0_ticks, start_tick, duration_ticks)
        heard = np.flatnonzero(f0 > 0)
        if len(heard) == 0 or 2 * len(heard) < len(f0):
            return Prosody(False, (0, 0), quantise_energy(rms))
        points = np.array([0.25, 0.75]) * duration_ticks - 0.5
        first, second = np.exp2(np.interp(points, heard, np.log2(f0[heard])))
        pitch = quantise_pitch(float(first)), quantise_pitch(float(second))
        return Prosody(True, pitch, quantise_energy(rms))

    def f0_mean_hz(self) -> float | None:
        """Geometric mean pitch of everything voiced so far; None before any was."""
        if self._voiced_ticks == 0:
            return None
        return float(np.exp2(self._log_sum / self._voiced_ticks))

    def f0_hz(self, start_tick: int, count: int) -> NDArray[np.float32]:
        """Pitch of ``count`` ticks in Hz, [count]; 0 where unvoiced, undecided or forgotten."""
        oldest = self._f0_ticks - len(self._f0)
        ticks = np.arange(start_tick - oldest, start_tick - oldest + max(count, 0))
        return np.array([self._f0[i] if 0 <= i < len(self._f0) else 0.0 for i in ticks], np.float32)

    def track(self) -> NDArray[np.float32]:
        """Pitch in Hz (0 = unvoiced) of the decided ticks still remembered, oldest first."""
        return np.array(self._f0, np.float32)

    def _take(self, block: NDArray[np.float32]) -> None:
        """One block of BLOCK_TICKS: energies, decimation, and the frames it completes."""
        for tick in block.reshape(BLOCK_TICKS, HOP):
            self._power.append(float(np.mean(tick.astype(np.float64) ** 2)))
        self._power_ticks += BLOCK_TICKS
        joined = np.concatenate([self._raw, block])
        windows = np.lib.stride_tricks.sliding_window_view(joined, FILTER_TAPS)[::DECIMATION]
        # The filter's past is a multiple of the decimation, so the grid never shifts.
        used = len(windows) * DECIMATION
        fresh, self._highpass_state = lfilter(
            *self._highpass, windows @ self._taps, zi=self._highpass_state
        )
        self._slow = np.concatenate([self._slow, fresh])
        self._raw = joined[used:]
        hop = HOP // DECIMATION
        ready = (len(self._slow) - 2 * REACH) // hop + 1 if len(self._slow) >= 2 * REACH else 0
        if ready <= 0:
            return
        for correlation in self._correlate(ready, hop):
            self._advance(correlation)
        self._slow = self._slow[ready * hop :]

    def _correlate(self, frames: int, hop: int) -> F64:
        """Normalised cross-correlation of the next frames at every pitch. Returns [frames, P]."""
        centres = REACH + hop * np.arange(frames)
        first = centres[:, None] + self._starts  # [frames, lags]
        views = np.lib.stride_tricks.sliding_window_view(self._slow, WINDOW)
        left = views[first]
        right = views[first + np.arange(SHORTEST, LONGEST + 1)]
        dot = np.einsum("flw,flw->fl", left, right)
        power = np.einsum("flw,flw->fl", left, left), np.einsum("flw,flw->fl", right, right)
        hidden = np.zeros((frames, 1))
        for i in range(frames):
            self._peak = max(PEAK_DECAY * self._peak, float(np.sqrt(power[0][i, 0] / WINDOW)))
            hidden[i] = max(BALLAST, RELATIVE_BALLAST * self._peak) ** 2 * WINDOW
        by_lag = dot / np.sqrt((power[0] + hidden) * (power[1] + hidden))
        lowest = np.minimum.accumulate(by_lag, axis=1)[:, self._lag_index]
        by_pitch = by_lag @ self._reader
        return np.asarray(by_pitch - NO_DIP_COST * (by_pitch - lowest < DIP))

    def _advance(self, correlation: F64) -> None:
        """One Viterbi step; decides the tick DECISION_TICKS ago. State P is "unvoiced"."""
        voiced, unvoiced = self._cost[:-1], self._cost[-1]
        through = self._glide + voiced[:, None]
        source = np.argmin(through, axis=0)
        best = through[source, np.arange(len(source))]
        onset = unvoiced + SWITCH_COST
        links = np.append(np.where(onset < best, len(voiced), source), len(voiced))
        offset = int(np.argmin(voiced))
        if voiced[offset] + SWITCH_COST < unvoiced:
            links[-1] = offset
        cost = np.append(
            np.minimum(best, onset) + 1.0 - correlation + self._bonus,
            min(unvoiced, voiced[offset] + SWITCH_COST) + UNVOICED_COST,
        )
        self._cost = cost - cost.min()
        if len(self._links) == DECISION_TICKS:
            state = int(np.argmin(self._cost))
            for link in (links, *list(self._links)[:0:-1]):
                state = int(link[state])
            self._decide(state)
        self._links.append(links)

    def _decide(self, state: int) -> None:
        f0_hz = float(self._pitch[state]) if state < len(self._pitch) else 0.0
        self._f0.append(f0_hz)
        self._f0_ticks += 1
        if f0_hz > 0:
            self._log_sum += float(np.log2(f0_hz))
            self._voiced_ticks += 1


def _slice(values: deque[float], ticks: int, start: int, count: int) -> F64:
    """The values of ticks start ... start + count - 1, as far as they are remembered."""
    oldest = ticks - len(values)
    low, high = max(start - oldest, 0), max(start + count - oldest, 0)
    return np.array([values[i] for i in range(low, min(high, len(values)))], np.float64)
