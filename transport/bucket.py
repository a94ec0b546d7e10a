"""A rate limit: how much work anybody may cause. Numbers only, time is an argument."""

from __future__ import annotations


class TokenBucket:
    """``rate_per_s`` tokens a second, at most ``burst`` of them saved up. Time is an argument."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_ms = rate_per_s / 1000.0
        self._burst = burst
        self._tokens = burst
        self._last_ms: float | None = None
        self.refused = 0

    def allow(self, now_ms: float, cost: float = 1.0) -> bool:
        """Take ``cost`` tokens, or refuse and count. A clock that jumps back earns nothing."""
        if self._last_ms is None or now_ms < self._last_ms:
            self._last_ms = now_ms
        earned = (now_ms - self._last_ms) * self._rate_per_ms
        self._tokens = min(self._burst, self._tokens + earned)
        self._last_ms = now_ms
        if self._tokens < cost:
            self.refused += 1
            return False
        self._tokens -= cost
        return True
