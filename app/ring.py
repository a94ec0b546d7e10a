"""A ring of samples between one writer and one reader that never lock and never wait.

Each sample is stored twice, half a buffer apart, so that any stretch up to the capacity is one
contiguous view. The writer only moves ``written``, the reader only moves ``taken``; both are
plain integers, whose assignment is atomic in CPython. After friture's ring buffer.
"""

from __future__ import annotations

import numpy as np

from engine.errors import SottovoceError
from engine.events import Pcm


class Ring:
    """Float32 samples [capacity]; full: the newest samples are refused and counted."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise SottovoceError("A ring needs room for at least one sample.")
        self.capacity = capacity
        self._buffer = np.zeros(2 * capacity, np.float32)
        self.written = 0
        """Samples accepted since the beginning; only the writer changes it."""
        self.taken = 0
        """Samples given out since the beginning; only the reader changes it."""
        self.dropped = 0
        """Samples refused because the ring was full."""
        self.missing = 0
        """Samples that ``read_into`` had to replace by silence."""

    def __len__(self) -> int:
        return self.written - self.taken

    @property
    def free(self) -> int:
        return self.capacity - len(self)

    def write(self, samples: Pcm) -> int:
        """Copy in what fits of ``samples`` [N]; returns how many did. Writer's side only."""
        count = min(len(samples), self.free)
        self.dropped += len(samples) - count
        start = self.written % self.capacity
        first = min(count, self.capacity - start)
        for offset in (start, start + self.capacity):
            self._buffer[offset : offset + first] = samples[:first]
        rest = count - first
        if rest:
            self._buffer[:rest] = samples[first:count]
            self._buffer[self.capacity : self.capacity + rest] = samples[first:count]
        self.written += count
        return count

    def peek(self, count: int) -> Pcm:
        """View [<= count] of the oldest samples; valid until ``skip`` gives their place away."""
        count = min(count, len(self))
        start = self.taken % self.capacity
        return self._buffer[start : start + count]

    def skip(self, count: int) -> None:
        """Give up the oldest ``count`` samples. Reader's side only."""
        self.taken += min(count, len(self))

    def read(self, count: int) -> Pcm:
        """Copy out and give up at most ``count`` samples. Reader's side only."""
        samples = self.peek(count).copy()
        self.skip(len(samples))
        return samples

    def read_into(self, out: Pcm) -> int:
        """Fill ``out`` [N], silence where samples are missing; returns how many were there."""
        samples = self.peek(len(out))
        count = len(samples)
        out[:count] = samples
        out[count:] = 0.0
        self.missing += len(out) - count
        self.skip(count)
        return count
