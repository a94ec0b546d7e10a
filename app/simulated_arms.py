"""The two arms of a simulated call: each sends over its own loopback link and notes what happened.

Driven in steps of one capture block on a virtual clock. The loudspeaker takes a block a step, as
a sound card would; what each event or frame waited until then is its mouth-to-ear delay.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from app.arm_run import ArmRun
from app.export import EventRow, PacketRow, Status
from app.near_line import SAMPLES_A_MS, HeardSpan
from engine.decoder import SpeechDecoder
from engine.events import TICK_MS, Pcm, PhonemeEvent, VoiceDescriptor
from engine.mel import SAMPLE_RATE_HZ
from engine.opus import DTX_PAYLOAD_BYTES, OpusEncoder, OpusOptions
from engine.opus_playout import CLOCK_RATE_HZ, OpusPlayout
from engine.playout import Playout, PlayoutAction
from engine.synthesizer import Synthesizer
from engine.vocoder import Vocoder
from transport.control import VoiceUpdate, encode_control, parse_control
from transport.depacketizer import Depacketizer
from transport.impair import ImpairmentSettings
from transport.link import ArmStats
from transport.loopback import CONTROL_HEADER_BYTES, LoopbackLink, loopback_pair
from transport.packetizer import Packetizer
from transport.policy import DEFAULT_CEILING_BPS
from transport.reports import REPORT_INTERVAL_MS, ReceiverReport, ReceptionMeter

STEP_MS = 20
OPUS_LOOKAHEAD_MS = 6.5  # libopus at 16 kHz: what its output lags behind its input
REPAIR_MS = 1_000  # how long the near end goes on sending copies after its last sample
TAIL_MS = 3_000  # how long the far end goes on listening after that, besides the link's delay


class _Crossing:
    """A loopback pair that notes every media packet of one arm."""

    def __init__(self, arm: str, settings: ImpairmentSettings, seed: int) -> None:
        self.arm = arm
        self.near, self.far = loopback_pair(settings, seed)
        queue_ms = settings.queue_ms if settings.rate_bps or settings.trace else 0.0
        self.tail_ms = TAIL_MS + settings.delay_ms + settings.jitter_ms + queue_ms
        self._sent: list[PacketRow] = []
        self._arrivals: dict[int, float] = {}

    @staticmethod
    def _arm_stats(link: LoopbackLink, arm: str, now_ms: float) -> ArmStats:
        stats = link.stats(now_ms)
        return stats.phonemes if arm == "phonemes" else stats.opus

    def send(self, timestamp: int, payload: bytes, now_ms: float) -> None:
        before = self._arm_stats(self.near, self.arm, now_ms)
        self.near.send(self.arm, timestamp, payload, now_ms)
        after = self._arm_stats(self.near, self.arm, now_ms)
        if after.packets_sent > before.packets_sent:
            wire = after.wire_bytes_sent - before.wire_bytes_sent
            number = len(self._sent)
            self._sent.append(PacketRow(self.arm, "out", number, now_ms, None, len(payload), wire))

    def receive(self, now_ms: float) -> list[Any]:
        packets = self.far.receive(now_ms)
        for packet in packets:
            self._arrivals.setdefault(packet.sequence_number, round(packet.arrival_ms, 3))
        return packets

    def count_wire(self, run: ArmRun, now_ms: float) -> None:
        """Note what both directions have sent by now: called when the near end stops sending, as
        what the empty line says to itself afterwards is no part of the call."""
        run.stats = self._arm_stats(self.near, self.arm, now_ms)
        back = self.far.stats(now_ms)
        run.feedback_bytes = back.phonemes.wire_bytes_sent + back.opus.wire_bytes_sent

    def count_packets(self, run: ArmRun) -> None:
        run.packets = [
            row._replace(arrival_ms=self._arrivals.get(row.sequence_number)) for row in self._sent
        ]


@lru_cache(maxsize=1)
def _models() -> tuple[Synthesizer, Vocoder]:
    """Read once, shared by every simulated call: models hold no state."""
    return Synthesizer(), Vocoder()


class PhonemeArm:
    """Events → packets → link → packets → playout → sound."""

    def __init__(
        self,
        events: Sequence[tuple[float, PhonemeEvent]],
        voices: Sequence[tuple[float, VoiceDescriptor]],
        settings: ImpairmentSettings,
        seed: int,
        wire_bps: float = DEFAULT_CEILING_BPS,
    ) -> None:
        self._events = list(events)
        self._voices = list(voices)
        self._crossing = _Crossing("phonemes", settings, seed)
        self._packetizer = Packetizer(wire_bps)
        self._depacketizer = Depacketizer()
        self._playout = Playout()
        self._decoder = SpeechDecoder(*_models())
        self._meter = ReceptionMeter()
        self._spoken: set[int] = set()
        self._spoken_samples = 0
        self._heard_row = 0  # of what was begun last, among the events noted
        self._next_report_ms = REPORT_INTERVAL_MS
        self._run = ArmRun()

    def run(self, seconds: float) -> ArmRun:
        """Let the whole call pass. ``seconds`` is how long the near end speaks."""
        end_ms = seconds * 1000.0
        now_ms = 0.0
        while now_ms < end_ms + REPAIR_MS + self._crossing.tail_ms:
            self._speak_out(now_ms)
            now_ms += STEP_MS
            if now_ms < end_ms + REPAIR_MS:
                self._near_step(now_ms, final=now_ms >= end_ms)
                self._crossing.count_wire(self._run, now_ms)
            self._far_step(now_ms)
        run = self._run
        self._crossing.count_packets(run)
        said = {row.event.index for row in run.events if row.side == "near"}
        run.events_sent = len(said)
        run.events_lost = len(said - self._spoken)  # too late to be spoken is lost as well
        run.events_concealed = self._playout.stats().events_concealed
        return run

    def _near_step(self, now_ms: float, final: bool) -> None:
        fresh = []
        while self._events and (self._events[0][0] <= now_ms or final):
            fresh.append(self._events.pop(0)[1])
        self._run.events += [EventRow("near", event, "sent") for event in fresh]
        near = self._crossing.near
        near.receive(now_ms)
        for message in near.receive_control():
            report = parse_control(message)
            if isinstance(report, ReceiverReport):
                self._packetizer.on_report(report)
        while self._voices and self._voices[0][0] <= now_ms:
            message = encode_control(VoiceUpdate(self._voices.pop(0)[1]))
            near.send_control(message)
            self._run.descriptor_bits += 8 * (len(message) - 1)
            self._run.extra_wire_bytes += len(message) + CONTROL_HEADER_BYTES
        self._packetizer.push(fresh)
        for timestamp, payload in self._packetizer.poll(now_ms):
            self._crossing.send(timestamp, payload, now_ms)

    def _far_step(self, now_ms: float) -> None:
        for packet in self._crossing.receive(now_ms):
            self._meter.on_packet(packet)
            for event in self._depacketizer.parse(packet) or ():
                self._playout.push(event, now_ms)
        far = self._crossing.far
        for message in far.receive_control():
            update = parse_control(message)
            if isinstance(update, VoiceUpdate):
                self._decoder.set_voice(update.descriptor)
        if now_ms >= self._next_report_ms:
            self._next_report_ms += REPORT_INTERVAL_MS
            round_trip = far.stats(now_ms).round_trip_ms
            report = self._meter.report(now_ms, self._depacketizer.acked_index, round_trip)
            far.send_control(encode_control(report))

    def _speak_out(self, now_ms: float) -> None:
        """Fill the loudspeaker's buffer for the block that begins now. Playout is asked for the
        moment at which the piece has its turn."""
        needed = round((now_ms + STEP_MS) * SAMPLES_A_MS)
        while self._spoken_samples < needed:
            step = self._playout.pull(self._spoken_samples / SAMPLES_A_MS)
            began = time.perf_counter()
            if step.spoken is None:
                pcm = self._decoder.silence(step.play_ticks)
            else:
                pcm = self._decoder.speak(step.spoken)
            self._run.decode_seconds += time.perf_counter() - began
            if step.spoken is not None:
                self._note(step.spoken.event, step.action, step.play_ticks)
            self._run.sound.append(pcm)
            self._spoken_samples += len(pcm)

    def _note(self, event: PhonemeEvent, action: PlayoutAction, play_ticks: int) -> None:
        heard_ms = self._spoken_samples / SAMPLES_A_MS + SpeechDecoder.LOOKAHEAD_MS
        rows = self._run.events
        if action is PlayoutAction.EXPAND:  # the phoneme before is held on: it is not heard anew
            held = rows[self._heard_row]
            rows[self._heard_row] = replace(held, play_ticks=(held.play_ticks or 0) + play_ticks)
            return
        concealed = action is PlayoutAction.CONCEAL
        self._run.spans.append(
            HeardSpan(
                event.index,
                event.start_tick * TICK_MS,
                event.duration_ticks * TICK_MS,
                heard_ms,
                play_ticks * TICK_MS,
                "concealed" if concealed else "pause" if event.is_silence else "speech",
            )
        )
        play_tick = round(heard_ms / TICK_MS)
        status: Status = "concealed" if concealed else "played"
        self._heard_row = len(rows)
        rows.append(EventRow("far", event, status, play_tick, play_ticks))
        if not concealed:
            self._spoken.add(event.index)


class OpusArm:
    """Frames → libopus → link → its jitter buffer, FEC and concealment → sound."""

    def __init__(
        self,
        pcm: Pcm,
        rate_bps: int,
        frame_ms: int,
        fec: bool,
        settings: ImpairmentSettings,
        seed: int,
        options: OpusOptions | None = None,
    ) -> None:
        options = options or OpusOptions()
        self._pcm = np.asarray(pcm, np.float32)
        self._frame_ms = frame_ms
        # Silence is not sent, as on the other arm.
        self._encoder = OpusEncoder(rate_bps, frame_ms, fec=fec, dtx=True, library=options.library)
        self._playout = OpusPlayout(frame_ms, options.library, options.deep_plc)
        self._crossing = _Crossing("opus", settings, seed)
        self._next_sample = 0
        self._heard_samples = 0
        self._next_report_ms = REPORT_INTERVAL_MS
        self._run = ArmRun()

    def run(self, seconds: float) -> ArmRun:
        """Let the whole call pass. ``seconds`` is how long the near end speaks."""
        now_ms = 0.0
        while now_ms < seconds * 1000.0 + self._crossing.tail_ms:
            self._speak_out(now_ms)
            now_ms += STEP_MS
            self._near_step(now_ms)
            if now_ms <= seconds * 1000.0 + self._frame_ms:
                self._crossing.count_wire(self._run, now_ms)
            for packet in self._crossing.receive(now_ms):
                self._playout.push(
                    packet.sequence_number, packet.timestamp, packet.payload, packet.arrival_ms
                )
        run = self._run
        self._crossing.count_packets(run)
        run.events_sent = len(run.packets)
        run.events_lost = max(0, run.packets_lost - self._playout.stats().frames_fec)
        run.events_concealed = run.events_lost  # what FEC does not bring back is concealed
        return run

    def _near_step(self, now_ms: float) -> None:
        near = self._crossing.near
        near.receive(now_ms)
        if now_ms >= self._next_report_ms:  # FEC follows the loss that RTCP reports
            self._next_report_ms += REPORT_INTERVAL_MS
            lost = near.session.remote_fraction_lost("opus")
            self._encoder.set_expected_loss(round(100 * lost))
        size = self._encoder.frame_samples
        while (
            self._next_sample < len(self._pcm)
            and (self._next_sample + size) / SAMPLES_A_MS <= now_ms
        ):
            frame = self._pcm[self._next_sample : self._next_sample + size]
            frame = np.pad(frame, (0, size - len(frame)))
            began = time.perf_counter()
            payload = self._encoder.encode(frame)
            self._run.encode_seconds += time.perf_counter() - began
            if len(payload) > DTX_PAYLOAD_BYTES:
                timestamp = self._next_sample * CLOCK_RATE_HZ // SAMPLE_RATE_HZ
                self._crossing.send(timestamp, payload, now_ms)
            self._next_sample += size

    def _speak_out(self, now_ms: float) -> None:
        needed = round((now_ms + STEP_MS) * SAMPLES_A_MS)
        while self._heard_samples < needed:
            before = self._playout.stats()
            began = time.perf_counter()
            pcm = self._playout.pull(self._heard_samples / SAMPLES_A_MS)
            self._run.decode_seconds += time.perf_counter() - began
            said = self._playout.last_timestamp
            if said is not None:
                heard_ms = self._heard_samples / SAMPLES_A_MS + OPUS_LOOKAHEAD_MS
                said_ms = said * 1000.0 / CLOCK_RATE_HZ
                after = self._playout.stats()
                heard_for_ms = near_for_ms = len(pcm) / SAMPLES_A_MS
                if after.frames_decoded > before.frames_decoded:  # stretched, perhaps
                    near_for_ms = float(self._frame_ms)
                self._run.spans.append(
                    HeardSpan(
                        int(said_ms // self._frame_ms),
                        said_ms,
                        near_for_ms,
                        heard_ms,
                        heard_for_ms,
                        "concealed"
                        if after.frames_concealed > before.frames_concealed
                        else "speech",
                    )
                )
            self._run.sound.append(pcm)
            self._heard_samples += len(pcm)
