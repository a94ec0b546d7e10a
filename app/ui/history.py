"""The last minute of what the meters draw, in rings of fixed length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.events import Pcm

SECONDS = 60
RATE_HZ = 4  # points a second: a plot 60 s wide has no room for more


class History:
    """Named series over the last ``SECONDS``, sampled together ``RATE_HZ`` times a second."""

    def __init__(self, names: Sequence[str]) -> None:
        self._length = SECONDS * RATE_HZ
        self._values = {name: np.full(2 * self._length, np.nan, np.float32) for name in names}
        self._end = 0
        self.age_s = np.linspace(-SECONDS + 1 / RATE_HZ, 0.0, self._length).astype(np.float32)
        """Time axis [240], seconds before now."""

    def push(self, values: Mapping[str, float | None]) -> None:
        """One point of every series; None (or a missing name) is a gap."""
        if self._end == 2 * self._length:
            for ring in self._values.values():
                ring[: self._length] = ring[self._length :]
            self._end = self._length
        for name, ring in self._values.items():
            value = values.get(name)
            ring[self._end] = np.nan if value is None else value
        self._end += 1

    def series(self, name: str) -> Pcm:
        """[240] float32, oldest first; NaN where there was nothing."""
        ring = self._values[name]
        if self._end >= self._length:
            return ring[self._end - self._length : self._end]
        return np.concatenate(
            [np.full(self._length - self._end, np.nan, np.float32), ring[: self._end]]
        )

    def clear(self) -> None:
        for ring in self._values.values():
            ring.fill(np.nan)
        self._end = 0
