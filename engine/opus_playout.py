"""The Opus arm's jitter buffer: packets in as they arrive, a steady stream of PCM out.

The playout delay is a quantile of how late packets arrive, as on the phoneme arm. A lost frame is
taken from the next packet's FEC copy where it has one and concealed otherwise; a frame that is
merely late is waited for. Driven by ``now_ms`` alone; whatever is pushed, ``pull`` returns sound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from engine.opus import OpusDecoder, carries_fec
from engine.time_stretch import lengthen, shorten

CLOCK_RATE_HZ: Final = 48_000  # RTP timestamps of Opus (RFC 7587)
MAX_PACKETS: Final = 128  # waiting at once; drops the newest
MAX_JUMP_MS: Final = 5_000.0  # timestamps further away start the stream afresh
SLACK_MS: Final = 15.0  # delay may stray this far from its target before it is corrected
_UNITS: Final = CLOCK_RATE_HZ // SAMPLE_RATE_HZ  # timestamp units a sample


class ArrivalHistogram:
    """How late packets arrive against the earliest ones, forgetting slowly."""

    BIN_MS: Final = 5.0
    BINS: Final = 300
    QUANTILE: Final = 0.95
    KEEP: Final = 0.985  # a packet's share in the histogram halves after 46 more
    BASE_WINDOW_MS: Final = 10_000.0  # the earliest arrival is looked for this far back

    def __init__(self) -> None:
        self._weights = np.zeros(self.BINS)
        self._minima: deque[tuple[float, float]] = deque(maxlen=1024)  # rising; drops the oldest
        self.base_ms = 0.0
        """Arrival less media time of the earliest packet lately: delay counts from here."""

    def add(self, media_ms: float, arrival_ms: float) -> None:
        transit = arrival_ms - media_ms
        while self._minima and self._minima[-1][1] >= transit:
            self._minima.pop()
        self._minima.append((arrival_ms, transit))
        while self._minima[0][0] < arrival_ms - self.BASE_WINDOW_MS:
            self._minima.popleft()
        base = self._minima[0][1]
        if base != self.base_ms and self._weights.any():  # keep the bins where they were in time
            self._shift(round((self.base_ms - base) / self.BIN_MS))
        self.base_ms = base
        late = min(int(max(0.0, transit - base) / self.BIN_MS), self.BINS - 1)
        self._weights *= self.KEEP
        self._weights[late] += 1.0 - self.KEEP

    def _shift(self, bins: int) -> None:
        moved = np.zeros_like(self._weights)
        places = np.clip(np.arange(self.BINS) + bins, 0, self.BINS - 1)
        np.add.at(moved, places, self._weights)
        self._weights = moved

    @property
    def target_ms(self) -> float:
        """Delay behind the earliest packets at which all but the latest have arrived."""
        total = float(self._weights.sum())
        if total <= 0.0:
            return 0.0
        cumulative = np.cumsum(self._weights) / total
        return float(np.searchsorted(cumulative, self.QUANTILE) + 1) * self.BIN_MS


@dataclass(frozen=True, slots=True)
class OpusPlayoutStats:
    """Counters since the start. W3C webrtc-stats names where they exist."""

    packets_received: int
    packets_discarded: int
    """Unreadable, duplicate, or too late to be of use."""
    frames_decoded: int
    frames_fec: int
    """Lost frames that the next packet's copy brought back."""
    frames_concealed: int
    target_delay_ms: float
    delay_ms: float
    """From arrival to playout of the frame decoded last."""
    stretched_samples: int
    """Added (positive) or taken away to follow the target."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    timestamp: int
    payload: bytes
    samples: int
    arrival_ms: float


class OpusPlayout:
    """One stream's receiving end."""

    def __init__(
        self, frame_ms: int = 20, library: str | None = None, deep_plc: bool = False
    ) -> None:
        self._decoder = OpusDecoder(frame_ms, library, deep_plc)
        self._arrivals = ArrivalHistogram()
        self._waiting: dict[int, _Waiting] = {}
        self._next: int | None = None  # timestamp to be played next; None until something is
        self._invented = 0  # samples concealed since the buffer ran dry
        self._received = self._discarded = 0
        self._decoded = self._fec = self._concealed = self._stretched = 0
        self._delay_ms = 0.0
        self.last_timestamp: int | None = None
        """Media time of the sound pulled last (48 kHz clock); None while it is invented."""

    def push(self, sequence: int, timestamp: int, payload: bytes, now_ms: float) -> None:
        """One packet from the network, in any order. ``sequence`` is extended (unwrapped)."""
        self._received += 1
        samples = self._decoder.packet_samples(payload)
        if samples is None or sequence in self._waiting or len(self._waiting) >= MAX_PACKETS:
            self._discarded += 1
            return
        if self._next is not None:
            expected = self._next + self._invented * _UNITS  # silence may have lasted long
            ahead_ms = (timestamp - expected) * 1000.0 / CLOCK_RATE_HZ
            if abs(ahead_ms) > MAX_JUMP_MS:
                self._restart()
        self._arrivals.add(timestamp * 1000.0 / CLOCK_RATE_HZ, now_ms)
        if self._next is not None and timestamp + samples * _UNITS <= self._next:
            self._discarded += 1  # its time has passed
            return
        self._waiting[sequence] = _Waiting(timestamp, payload, samples, now_ms)

    def _restart(self) -> None:
        self._waiting.clear()
        self._arrivals = ArrivalHistogram()
        self._next = None
        self._invented = 0

    def pull(self, now_ms: float) -> Pcm:
        """The next piece of sound, 5 ... 75 ms; call it whenever the speaker's queue runs low."""
        self.last_timestamp = None
        sequence = self._earliest()
        if sequence is None:
            return self._wait()
        packet = self._waiting[sequence]
        if self._next is None:
            if now_ms < self._due_ms(packet.timestamp):
                return self._wait()
            self._next = packet.timestamp
        missing = (packet.timestamp - self._next) // _UNITS  # samples lost before this packet
        if missing > 0:  # what was invented while the buffer was dry stood for some of them
            covered = min(missing, self._invented)
            self._invented -= covered
            self._next += covered * _UNITS
            missing -= covered
        if missing > 0 and now_ms < self._due_ms(packet.timestamp) + SLACK_MS:
            return self._bridge(packet, missing)
        return self._play(sequence, packet, now_ms)

    def stats(self) -> OpusPlayoutStats:
        return OpusPlayoutStats(
            packets_received=self._received,
            packets_discarded=self._discarded,
            frames_decoded=self._decoded,
            frames_fec=self._fec,
            frames_concealed=self._concealed,
            target_delay_ms=self._arrivals.target_ms,
            delay_ms=self._delay_ms,
            stretched_samples=self._stretched,
        )

    def _due_ms(self, timestamp: int) -> float:
        media_ms = timestamp * 1000.0 / CLOCK_RATE_HZ
        return media_ms + self._arrivals.base_ms + self._arrivals.target_ms

    def _earliest(self) -> int | None:
        """The first packet still worth playing; drops those whose time has passed."""
        for sequence in sorted(self._waiting, key=lambda s: self._waiting[s].timestamp):
            packet = self._waiting[sequence]
            if self._next is None or packet.timestamp + packet.samples * _UNITS > self._next:
                return sequence
            del self._waiting[sequence]
            self._discarded += 1
        return None

    def _wait(self) -> Pcm:
        """Nothing to play: silence before the first packet, concealment after it."""
        if self._next is None:
            return np.zeros(self._decoder.frame_samples, np.float32)
        self._concealed += 1
        pcm = self._decoder.conceal()
        self._invented += len(pcm)
        return pcm

    def _bridge(self, packet: _Waiting, missing: int) -> Pcm:
        """Lost sound before ``packet``: its copy where the packet carries one, or concealment."""
        self.last_timestamp = packet.timestamp - missing * _UNITS
        if missing <= self._decoder.frame_samples and carries_fec(packet.payload):
            self._fec += 1
            pcm = self._decoder.decode_fec(packet.payload)[-missing:]
        else:
            self._concealed += 1
            pcm = self._decoder.conceal()[:missing]
        self._next = self.last_timestamp + len(pcm) * _UNITS
        return pcm

    def _play(self, sequence: int, packet: _Waiting, now_ms: float) -> Pcm:
        del self._waiting[sequence]
        self._invented = 0
        self._decoded += 1
        self._delay_ms = now_ms - packet.arrival_ms
        self.last_timestamp = packet.timestamp
        self._next = packet.timestamp + packet.samples * _UNITS
        pcm = self._decoder.decode(packet.payload)
        early_ms = self._due_ms(packet.timestamp) - now_ms
        stretched = pcm
        if early_ms > SLACK_MS:
            stretched = lengthen(pcm)
        elif early_ms < -SLACK_MS:
            stretched = shorten(pcm)
        self._stretched += len(stretched) - len(pcm)
        return stretched
