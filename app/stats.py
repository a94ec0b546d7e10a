"""What a call says about itself: frozen values that any thread may read.

``Call.stats()`` hands out one immutable ``CallStats``, which the window polls 20 times a second,
the terminal meters read and the recorder writes once a second. Names follow W3C webrtc-stats
where one exists. Nothing here holds speech or a voice descriptor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from app.call_state import CallState

Arm = Literal["phonemes", "opus"]
ARMS: Final[tuple[Arm, Arm]] = ("phonemes", "opus")
DELAY_STAGES: Final = ("capture", "recognise", "packetise", "network", "playout", "synthesise")
"""Keys of ``CallStats.delay_stages_ms``, in the order in which sound passes them."""
SILENT_DBFS: Final = -96.0

Recording = Literal["off", "asking", "asked", "on", "failed"]
"""``asking``: we asked and wait; ``asked``: the peer asks us; ``failed``: the disk here refused, and
the peer, who has the same consent, may still record."""


class Rate(NamedTuple):
    """Bits a second over the last two seconds."""

    payload_bps: float = 0.0
    wire_bps: float = 0.0
    """IP + UDP + SRTP + RTP headers, redundancy and this arm's reports included."""


class WayRates(NamedTuple):
    sent: Rate = Rate()
    received: Rate = Rate()


class Level(NamedTuple):
    """Loudness of the last 50 ms."""

    rms_dbfs: float = SILENT_DBFS
    peak_dbfs: float = SILENT_DBFS
    clipped: bool = False
    """A sample reached full scale during the last second."""


@dataclass(frozen=True, slots=True)
class VoiceStats:
    """The voices of the call, in numbers only."""

    bits_sent: int = 0
    """All descriptor updates sent in this call, together."""
    bits_received: int = 0
    updates_sent: int = 0
    updates_received: int = 0
    similarity: float | None = None
    """Cosine between the voice sent and the live talker's d-vector; None before the first."""
    adaptation_steps: int = 0
    """How many times the descriptor was improved since the call began."""
    f0_mean_hz: float | None = None
    peer_f0_mean_hz: float | None = None


@dataclass(frozen=True, slots=True)
class EventMark:
    """One phoneme as a window shows it: near (said here) or far (spoken here)."""

    side: Literal["near", "far"]
    index: int
    phoneme: int
    """Id in ``engine.phonemes.PHONEMES``; 0 is silence."""
    ipa: str
    start_tick: int
    """10 ms ticks on the talker's clock."""
    duration_ticks: int
    """As said (near) or as spoken here (far: stretched or shrunk by playout)."""
    f0_hz: tuple[float, float] | None
    """Pitch at one and three quarters; None when unvoiced."""
    energy_db: float
    kind: Literal["sent", "played", "concealed", "missing"]
    """near: always ``sent``. far: ``played``, ``concealed`` (predicted) or ``missing``."""
    at_ms: float
    """When it was sent or spoken, ms since the call became active."""


@dataclass(frozen=True, slots=True)
class ChatLine:
    mine: bool
    text: str
    at_ms: float


def _no_rates() -> Mapping[str, WayRates]:
    return MappingProxyType({arm: WayRates() for arm in ARMS})


def _no_scores() -> Mapping[str, float | None]:
    return MappingProxyType(dict.fromkeys(ARMS))


def _no_counts() -> Mapping[str, int]:
    return MappingProxyType({})


def _no_delays() -> Mapping[str, float]:
    return MappingProxyType(dict.fromkeys(DELAY_STAGES, 0.0))


@dataclass(frozen=True, slots=True)
class CallStats:
    """Everything a window, a terminal or a CSV line shows of a call at one moment."""

    state: CallState = CallState.IDLE
    notice: str = ""
    """One line for the user: why the call ended, that the microphone is gone, ...; may be empty."""
    peer_name: str = ""
    peer_version: str = ""
    seconds: float = 0.0
    """Since the call became active."""
    arm: Arm = "phonemes"
    """The arm that is heard here."""
    synthetic: bool = True
    """Whether what is heard is a synthetic voice: always so on the phonemes arm."""
    muted: bool = False
    push_to_talk: bool = False
    talking: bool = False
    """Whether near speech is being sent now (not muted, key held, and not silence)."""
    far_talking: bool = False
    peer_muted: bool = False
    volume: float = 1.0

    rates: Mapping[str, WayRates] = field(default_factory=_no_rates)
    """``rates[arm].sent.payload_bps`` and so on."""
    intelligibility: Mapping[str, float | None] = field(default_factory=_no_scores)
    """0 ... 1 for each arm as heard here over the last 10 s; None without speech."""
    loss: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Fraction of packets lost towards here in the last seconds, for each arm."""
    jitter_ms: float = 0.0
    """Of the link, after RFC 3550, by the Opus arm: its frames leave evenly, phonemes do not."""
    round_trip_ms: float | None = None
    delay_stages_ms: Mapping[str, float] = field(default_factory=_no_delays)
    """Phonemes arm, peer's microphone to our loudspeaker; keys are ``DELAY_STAGES``."""
    opus_delay_ms: float = 0.0
    """Opus arm, mouth to ear, all stages together."""

    near: Level = field(default_factory=Level)
    far: Level = field(default_factory=Level)
    voice: VoiceStats = field(default_factory=VoiceStats)
    events_sent: int = 0
    events_received: int = 0
    events_lost: int = 0
    """Never arrived in time in any packet."""
    events_concealed: int = 0
    packets_sent: Mapping[str, int] = field(default_factory=_no_counts)
    packets_received: Mapping[str, int] = field(default_factory=_no_counts)
    packets_lost: Mapping[str, int] = field(default_factory=_no_counts)
    redundancy: int = 0
    """How many earlier events ride in each packet now."""
    layers: int = 0
    """Articulation layers being sent now."""

    opus_rate_bps: int = 6000
    opus_frame_ms: int = 60
    impairment: str = ""
    """The link model in words; empty when the link is left alone."""
    recording: Recording = "off"
    recording_path: str = ""
    recording_seconds: float = 0.0
    microphone: str = ""
    loudspeaker: str = ""
    echo_guard: str = ""
    """Which echo canceller is at work, or empty."""
    dropped: Mapping[str, int] = field(default_factory=_no_counts)
    """How often each bounded queue dropped something, by the queue's name."""

    @property
    def mouth_to_ear_ms(self) -> float:
        """Of the arm being heard."""
        if self.arm == "opus":
            return self.opus_delay_ms
        return float(sum(self.delay_stages_ms.values()))
