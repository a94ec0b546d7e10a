"""The port between the codec loops and a network: whole packets out, whole packets in.

``RtcLink`` (aiortc) and ``LoopbackLink`` (virtual clock) implement it. Neither blocks: a packet
that cannot be sent is counted and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One RTP payload with what the receiver needs of its header."""

    arm: str
    """'phonemes' or 'opus'."""
    sequence_number: int
    """Extended (unwrapped) RTP sequence number of its arm."""
    timestamp: int
    """RTP timestamp in samples (phonemes: start of the first event at 16 kHz; opus: at 48 kHz)."""
    payload: bytes
    arrival_ms: float
    """On the receiver's clock; the ``now_ms`` that ``receive`` was given for loopback links."""
    stream: int = 0
    """One more each time the talker began anew: indices and timestamps start from nothing then."""


class Link(Protocol):
    def send(self, arm: str, timestamp: int, payload: bytes, now_ms: float) -> None: ...

    def receive(self, now_ms: float) -> list[MediaPacket]: ...

    def send_control(self, message: bytes) -> None: ...

    def receive_control(self) -> list[bytes]: ...

    def stats(self, now_ms: float) -> LinkStats: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class ArmStats:
    """Counters of one arm in one direction, since the call began. W3C webrtc-stats names."""

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    payload_bytes_sent: int = 0
    payload_bytes_received: int = 0
    wire_bytes_sent: int = 0
    """IP + UDP + SRTP + RTP headers and tags, payload, and this arm's share of RTCP."""
    wire_bytes_received: int = 0
    jitter_ms: float = 0.0
    fraction_lost: float = 0.0
    """Over the last report interval, 0 ... 1."""


@dataclass(frozen=True, slots=True)
class LinkStats:
    phonemes: ArmStats = ArmStats()
    opus: ArmStats = ArmStats()
    round_trip_ms: float | None = None
