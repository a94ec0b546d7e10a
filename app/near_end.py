"""The near end: microphone → echo guard → events and Opus frames → link.

Only the engine worker calls ``step`` and ``send``. Muted or with the talk key up the encoders
hear silence, so that time goes on and nothing is sent but the rare comfort update.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from app.delays import NearDelays
from app.levels import LevelMeter
from app.processing import EchoGuard
from app.stats import EventMark
from engine.encoder import SpeechEncoder
from engine.events import Pcm, PhonemeEvent, pitch_hz
from engine.opus import DTX_PAYLOAD_BYTES, OpusEncoder, OpusOptions
from transport.link import Link
from transport.packetizer import Packetizer
from transport.policy import DEFAULT_CEILING_BPS
from transport.reports import ReceiverReport

MAX_STEP = 16 * 800  # samples; the rest of a longer stall is skipped, so delay never piles up
RTP_OPUS_RATIO = 3  # RFC 7587: Opus timestamps run at 48 kHz whatever the rate
TALKING_MS = 300.0


class NearEnd:
    """``on_event`` hears each event, ``on_sound`` each stretch of cleaned sound."""

    def __init__(
        self,
        layers: int,
        guard: EchoGuard,
        on_event: Callable[[PhonemeEvent], None],
        on_sound: Callable[[Pcm], None],
        opus: OpusOptions | None = None,
        wire_bps: float = DEFAULT_CEILING_BPS,
    ) -> None:
        self.guard = guard
        self.level = LevelMeter()
        self.delays = NearDelays()
        self.open = True
        """False while muted or while the talk key is up."""
        self.marks: deque[EventMark] = deque(maxlen=200)  # drops the oldest
        self.events = 0
        self.skipped = 0
        """Samples left out after stalls."""
        self.layers = layers
        self._encoder = SpeechEncoder(layers)
        self._packetizer = Packetizer(wire_bps)
        self._opus_options = opus or OpusOptions()
        self._opus: OpusEncoder | None = None
        self._opus_settings = (0, 0)
        self._opus_loss = 0
        self._opus_wait = np.zeros(0, np.float32)
        self._samples = 0
        self._talked_ms = float("-inf")
        self._on_event = on_event
        self._on_sound = on_sound

    @property
    def encoder(self) -> SpeechEncoder:
        return self._encoder

    @property
    def packetizer(self) -> Packetizer:
        return self._packetizer

    def talking(self, now_ms: float) -> bool:
        return now_ms - self._talked_ms < TALKING_MS

    def set_opus(self, rate_bps: int, frame_ms: int) -> None:
        """Takes effect with the next frame. Raises SottovoceError for impossible values."""
        if (rate_bps, frame_ms) == self._opus_settings:
            return
        self._opus = OpusEncoder(
            rate_bps,
            frame_ms,
            fec=True,
            expected_loss_percent=self._opus_loss,
            dtx=True,
            library=self._opus_options.library,
        )
        self._opus_settings = (rate_bps, frame_ms)

    def on_report(self, report: ReceiverReport) -> None:
        """The far end says how it hears us: both arms adapt."""
        self._packetizer.on_report(report)
        percent = round(100 * report.fraction_lost)
        if self._opus is not None and abs(percent - self._opus_loss) >= 3:
            self._opus.set_expected_loss(percent)
            self._opus_loss = percent

    def step(
        self, pcm: Pcm, link: Link | None, now_ms: float, latency_ms: float, echo_ms: float
    ) -> None:
        """Everything the microphone heard since the last step, [N]; ``link`` None: there
        was no connection yet, so only the level is shown. ``echo_ms``: from handing a sample to
        the loudspeaker to hearing its echo."""
        if len(pcm) > MAX_STEP:
            self.skipped += len(pcm) - MAX_STEP
            self.delays.on_skip()
            pcm = pcm[-MAX_STEP:]
        clean = self.guard.clean(pcm, echo_ms)
        self.level.push(clean, now_ms)
        if not self.open:
            clean = np.zeros_like(clean)
        if not len(clean) or link is None:
            return
        self._on_sound(clean)
        self._samples += len(clean)
        self.delays.on_samples(len(clean), self._samples, latency_ms, now_ms)
        events = self._encoder.push(clean)
        for event in events:
            self._note(event, now_ms)
        if events:
            self._packetizer.push(events)
        self._send_opus(clean, link, now_ms)

    def send(self, link: Link, now_ms: float) -> None:
        """Send the packets that are due."""
        for timestamp, payload in self._packetizer.poll(now_ms):
            link.send("phonemes", timestamp, payload, now_ms)
            self.delays.on_packet(now_ms)

    def _note(self, event: PhonemeEvent, now_ms: float) -> None:
        self.events += 1
        self.delays.on_event(event.start_tick, now_ms)
        if not event.is_silence:
            self._talked_ms = now_ms
        self.marks.append(mark_of(event, "near", "sent", event.duration_ticks, now_ms))
        self._on_event(event)

    def _send_opus(self, pcm: Pcm, link: Link, now_ms: float) -> None:
        opus = self._opus
        if opus is None:
            return
        self._opus_wait = np.concatenate([self._opus_wait, pcm])
        start = self._samples - len(self._opus_wait)
        while len(self._opus_wait) >= opus.frame_samples:
            frame = self._opus_wait[: opus.frame_samples]
            self._opus_wait = self._opus_wait[opus.frame_samples :]
            payload = opus.encode(frame)
            if len(payload) > DTX_PAYLOAD_BYTES:
                link.send("opus", start * RTP_OPUS_RATIO, payload, now_ms)
            start += opus.frame_samples


def mark_of(
    event: PhonemeEvent, side: str, kind: str, duration_ticks: int, at_ms: float
) -> EventMark:
    """What a window shows of an event."""
    pitch = (pitch_hz(event.pitch[0]), pitch_hz(event.pitch[1])) if event.voiced else None
    return EventMark(
        side="near" if side == "near" else "far",
        index=event.index,
        phoneme=event.phoneme,
        ipa=event.ipa,
        start_tick=event.start_tick,
        duration_ticks=duration_ticks,
        f0_hz=pitch,
        energy_db=event.energy_db,
        kind=kind,  # type: ignore[arg-type]
        at_ms=at_ms,
    )
