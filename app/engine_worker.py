"""The engine worker: the one thread on which speech is encoded, decoded and mixed.

Every 10 ms it moves what the microphone heard into the near end, what arrived into the far end,
and what is to be heard into the loudspeaker's queue. It owns both ends; other threads only set
plain values here or read what it publishes. It never waits for the network, the disk or a device.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from app.audio import AudioPort
from app.call_recording import CallRecording
from app.call_state import CallState
from app.call_words import CallWords
from app.clock import Clock
from app.export import PacketRow
from app.far_end import FarEnd
from app.far_sound import FarSound
from app.gather_stats import gather_stats
from app.heard_meter import HeardMeter
from app.near_end import MAX_STEP, NearEnd
from app.network import Network
from app.processing import EchoGuard
from app.rates import RateMeter
from app.ring import Ring
from app.stats import CallStats
from app.voice_worker import VoiceWorker
from engine.encoder import SpeechEncoder
from engine.errors import SottovoceError
from engine.events import Pcm, PhonemeEvent
from engine.opus import OpusOptions
from transport.link import LinkStats, MediaPacket

if TYPE_CHECKING:
    from app.call_switches import CallSwitches

log = logging.getLogger(__name__)

STEP_MS: Final = 10.0
SWITCH_S: Final = 0.0005  # torch gives the interpreter away at every call: get it back soon
MIN_QUEUE_MS: Final = 40.0  # sound handed to the device ahead of time, at least
MAX_QUEUE_MS: Final = 240.0
STALL_MS: Final = 400.0  # what runs dry within that time was one stall
STATS_MS: Final = 50.0
LOADING_S: Final = 30.0  # for the adaptation worker's models, at most
SCORES_MS: Final = 1000.0
LATE_MS: Final = 60.0  # more than a step of encoding and one of decoding together
LATE_MEMORY: Final = 0.05
HEARD: Final = 2 * 16_000  # samples of heard sound kept for a window; drops the newest
PACKET_OVERHEAD: Final = 44  # IPv4, UDP, RTP and the SRTP tag


def _usable(switches: CallSwitches) -> OpusOptions:
    """The Opus options of the settings; the system's library, and a word, where they cannot be."""
    try:
        return switches.opus if switches.opus == OpusOptions() else switches.opus.check()
    except SottovoceError as error:
        switches.tell(str(error))
        return OpusOptions()


class EngineWorker:
    """Made and used on the worker's thread; ``stats`` may be read from anywhere."""

    def __init__(
        self,
        switches: CallSwitches,
        network: Network,
        recording: CallRecording,
        words: CallWords,
        clock: Clock,
    ) -> None:
        torch.set_num_threads(1)
        sys.setswitchinterval(SWITCH_S)
        self.switches = switches
        self.network = network
        self.recording = recording
        self.words = words
        self._clock = clock
        self.sound = FarSound(switches.arm, switches.volume)
        self.meter = HeardMeter()
        self.voice = VoiceWorker()
        guard = EchoGuard(*switches.processing)
        self._processing = switches.processing
        opus = _usable(switches)
        self.near = NearEnd(
            switches.layers, guard, self._near_event, self._near_sound, opus, switches.wire_bps
        )
        self.far = FarEnd(self.sound, self.meter, recording.far_event, switches.opus_frame_ms, opus)
        self.stats = CallStats()
        self.heard: deque[tuple[int, Pcm]] = deque(maxlen=400)  # position, PCM; drops the oldest
        self._heard_samples = 0
        self._near_samples = 0
        self.rates = RateMeter()
        self.scores: Mapping[str, float | None] = self.stats.intelligibility
        self._stats_ms = self._scores_ms = self._second_ms = 0.0
        self._queue_ms = MIN_QUEUE_MS
        self._underruns = 0
        self._stalled_ms = float("-inf")
        self._played_ms = clock.now_ms()
        self._aligned = False
        self._late_ms = 0.0  # how much sound waits at each step, lately
        self._port: AudioPort | None = None
        self._last_received: dict[str, int] = {}
        self._warm_up()
        self.voice.ready.wait(LOADING_S)

    def _warm_up(self) -> None:
        """Models take their first, slow steps before anybody talks."""
        SpeechEncoder(self.switches.layers).push(np.zeros(4000, np.float32))
        self.far.produce(1600, self._clock.now_ms(), 0.0)
        self.sound.queues["phonemes"] = Ring(self.sound.queues["phonemes"].capacity)
        self.sound.queues["opus"] = Ring(self.sound.queues["opus"].capacity)

    def step(self, state: CallState, began_ms: float, notice_port: AudioPort) -> None:
        """One turn. ``notice_port`` is the audio port to use now."""
        now_ms = self._clock.now_ms()
        port = notice_port
        if port is not self._port:
            self._port, self._underruns = port, port.dropped().get("underrun", 0)
            self._queue_ms = MIN_QUEUE_MS
        in_call = state in (CallState.ACTIVE, CallState.RECONNECTING)
        self._follow_switches()
        if in_call:  # encoding takes longest: the loudspeaker does not wait for it
            self._play(port, now_ms)
        self._hear(port, in_call)
        link = self.network.link
        if link is not None:
            self.words.hear(link.receive_control(), self.near, self.far, now_ms, now_ms - began_ms)
            packets = link.receive(now_ms)
            if in_call:
                self.near.send(link, now_ms)
                self._note_packets(packets)
                self.far.delays.offset_ms = self.words.offset.ms
                self.far.take(packets)
                if state is CallState.ACTIVE:
                    self.words.speak(self.near, self.far, self.voice.voice, now_ms)
            self.rates.sample(link.stats(now_ms), now_ms)
        if in_call:
            self._play(port, now_ms)
        else:
            self._underruns = port.dropped().get("underrun", 0)
        self._publish(port, state, now_ms, began_ms)

    def close(self) -> None:
        """Stop the helpers and forget both voices."""
        self.voice.close()
        self.meter.close()
        self.far.set_voice(None)
        self.words.forget()

    def _near_sound(self, pcm: Pcm) -> None:
        self._near_samples += len(pcm)
        self.voice.push(pcm)
        self.recording.sound("near", pcm)

    def _near_event(self, event: PhonemeEvent) -> None:
        self.voice.said(event)
        self.recording.near_event(event)

    def _follow_switches(self) -> None:
        switches = self.switches
        self.near.open = switches.microphone_open
        self.near.set_opus(switches.opus_rate_bps, switches.opus_frame_ms)
        self.sound.arm = switches.arm
        self.sound.volume = switches.volume
        if switches.aligned != self._aligned:
            self._aligned = switches.aligned
            self.sound.lag = self.far.phonemes_behind() if self._aligned else 0
        if switches.processing != self._processing:
            self._processing = switches.processing
            self.near.guard.configure(*switches.processing)

    def _hear(self, port: AudioPort, in_call: bool) -> None:
        capture_ms, playback_ms = port.latency_ms()
        pcm = port.read()
        if in_call:
            self._late_ms += (len(pcm) / 16 - self._late_ms) * LATE_MEMORY
            self.meter.pressed = self.voice.pressed = self._late_ms > LATE_MS
        now_ms = self._clock.now_ms()  # of the reading: delays are counted from it
        link = self.network.link if in_call else None
        if in_call and len(pcm) > MAX_STEP:
            self.recording.skipped(pcm[:-MAX_STEP])
        self.voice.measured(self.near.encoder.voice)
        self.near.step(pcm, link, now_ms, capture_ms, capture_ms + playback_ms + port.queued_ms())

    def _play(self, port: AudioPort, now_ms: float) -> None:
        """Keep the device's queue at its target, which grows by 10 ms with every stall in which
        the device ran dry, and shrinks by 1 ms a second."""
        underruns = port.dropped().get("underrun", 0)
        if underruns > self._underruns and now_ms - self._stalled_ms > STALL_MS:
            self._stalled_ms = now_ms
            self._queue_ms = min(MAX_QUEUE_MS, self._queue_ms + 10.0)
        passed_ms, self._played_ms = now_ms - self._played_ms, now_ms
        self._queue_ms = max(MIN_QUEUE_MS, self._queue_ms - passed_ms * 1e-3)
        self._underruns = underruns
        queued_ms = port.queued_ms()
        count = int((self._queue_ms - queued_ms) * 16)
        if count < 80:
            return
        to_ear_ms = queued_ms + port.latency_ms()[1]
        heard, phonemes, opus = self.far.produce(count, now_ms, to_ear_ms)
        port.write(heard)
        self.near.guard.played(heard)
        self.heard.append((self._heard_samples, heard))
        self._heard_samples += count
        self.recording.sound("far_phonemes", phonemes)
        self.recording.sound("far_opus", opus)

    def _note_packets(self, packets: list[MediaPacket]) -> None:
        for packet in packets:
            rate = 48.0 if packet.arm == "opus" else 16.0
            media_ms = packet.timestamp / rate
            last = self._last_received.get(packet.arm, packet.sequence_number - 1)
            for number in range(last + 1, min(packet.sequence_number, last + 200)):
                self.recording.packet(
                    PacketRow(packet.arm, "received", number, media_ms, None, 0, 0)
                )
            self._last_received[packet.arm] = max(last, packet.sequence_number)
            size = len(packet.payload)
            self.recording.packet(
                PacketRow(
                    packet.arm,
                    "received",
                    packet.sequence_number,
                    media_ms,
                    packet.arrival_ms,
                    size,
                    size + PACKET_OVERHEAD,
                )
            )

    def _publish(self, port: AudioPort, state: CallState, now_ms: float, began_ms: float) -> None:
        if now_ms < self._stats_ms:
            return
        self._stats_ms = now_ms + STATS_MS
        if now_ms >= self._scores_ms:
            self._scores_ms = now_ms + SCORES_MS
            self.scores = MappingProxyType(dict(self.meter.scores()))
        link = self.network.link
        counters = LinkStats() if link is None else link.stats(now_ms)
        self.stats = gather_stats(self, port, state, counters, now_ms, began_ms)
        info = self.switches.recording_info(self.stats)
        notice = self.recording.step(
            self._near_samples, self.sound.position("phonemes"), self.stats, info
        )
        if notice:
            self.switches.tell(notice)
        if now_ms >= self._second_ms:
            self._second_ms = now_ms + 1000.0
            self.recording.second(self.stats)


def pace(next_ms: float, clock: Clock) -> float:
    """Sleep until ``next_ms``; returns when the following step is due. A late worker does not
    catch up step by step: one longer step does the same work."""
    wait_ms = next_ms - clock.now_ms()
    if wait_ms > 0:
        time.sleep(wait_ms / 1000.0)
        return next_ms + STEP_MS
    return clock.now_ms() + STEP_MS
