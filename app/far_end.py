"""The far end: packets → events and Opus frames → the voice that speaks them → sound.

Only the engine worker calls in here. Both arms are always spoken, whichever is heard; what each
would say goes to the intelligibility meter. Nothing here reads a clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import numpy as np

from app.delays import FarDelays
from app.export import EventRow
from app.far_sound import FarSound
from app.heard_meter import SAMPLES_PER_TICK, HeardMeter
from app.levels import LevelMeter
from app.near_end import mark_of
from app.stats import Arm, EventMark
from engine.decoder import SpeechDecoder
from engine.events import Pcm, PhonemeEvent, VoiceDescriptor
from engine.intelligibility import MISSING
from engine.mel import SAMPLE_RATE_HZ
from engine.opus import OpusOptions
from engine.opus_playout import CLOCK_RATE_HZ, OpusPlayout
from engine.phonemes import SILENCE
from engine.playout import Playout, PlayoutAction, PlayoutStats, PlayoutStep
from transport.link import MediaPacket
from transport.packetizer import Depacketizer
from transport.reports import ReceptionMeter

AHEAD: int = SAMPLE_RATE_HZ * 20 // 1000  # a queue below this is filled
KEPT_SHIFTS: int = 32  # some three seconds of speech
KEPT_ARRIVALS: int = 512  # events whose arrival is remembered; drops the oldest
MAX_SHOWN_MISSING: int = 20  # of one hole, marks in the window
MAX_COUNTED_MISSING: int = 200  # of one hole: more than are said in the ten seconds of the meter
TALKING_MS = 300.0


class FarEnd:
    def __init__(
        self,
        sound: FarSound,
        meter: HeardMeter | None,
        on_row: Callable[[EventRow], None],
        opus_frame_ms: int = 60,
        opus: OpusOptions | None = None,
    ) -> None:
        self.sound = sound
        self.level = LevelMeter()
        self.delays = FarDelays()
        self._listen_anew()
        self.marks: deque[EventMark] = deque(maxlen=200)  # drops the oldest
        self.refused = 0
        """Packets that made no sense."""
        self._meter = meter
        self._on_row = on_row
        self._decoder = SpeechDecoder()
        self._lookahead = self._decoder.LOOKAHEAD_MS * SAMPLE_RATE_HZ // 1000
        self._opus_options = opus or OpusOptions()
        self._opus_frame_ms = opus_frame_ms
        self._opus = self._new_opus()
        self._streams = {"phonemes": 0, "opus": 0}
        self._opus_shift: int | None = None  # position in the Opus arm's sound - media time
        self._talked_ms = float("-inf")

    def _new_opus(self) -> OpusPlayout:
        options = self._opus_options
        return OpusPlayout(self._opus_frame_ms, options.library, options.deep_plc)

    def _listen_anew(self) -> None:
        """What is known of a talker's events holds until they begin anew; the voice stays."""
        self.reception = ReceptionMeter()
        self._depacketizer = Depacketizer()
        self._playout = Playout()
        self._arrivals: OrderedDict[int, float] = OrderedDict()
        self._shifts: deque[int] = deque(maxlen=KEPT_SHIFTS)  # drops the oldest
        self._next_index: int | None = None

    @property
    def depacketizer(self) -> Depacketizer:
        return self._depacketizer

    def playout_stats(self) -> PlayoutStats:
        return self._playout.stats()

    def talking(self, now_ms: float) -> bool:
        return now_ms - self._talked_ms < TALKING_MS

    def phonemes_behind(self) -> int:
        """By how many samples the phoneme arm is heard later than the Opus arm; 0 if not known."""
        if self._opus_shift is None or not self._shifts:
            return 0
        return max(0, int(np.median(self._shifts)) - self._opus_shift)

    def set_voice(self, voice: VoiceDescriptor | None) -> None:
        """Raises SottovoceError for a descriptor that names no voice."""
        self._decoder.set_voice(voice)

    def take(self, packets: Sequence[MediaPacket]) -> None:
        """What just arrived."""
        for packet in packets:
            if packet.stream != self._streams[packet.arm]:
                self._streams[packet.arm] = packet.stream
                if packet.arm == "opus":
                    self._opus = self._new_opus()
                else:
                    self._listen_anew()
            if packet.arm == "opus":
                self._opus.push(
                    packet.sequence_number, packet.timestamp, packet.payload, packet.arrival_ms
                )
                continue
            self.reception.on_packet(packet)
            events = self._depacketizer.parse(packet)
            if events is None:
                self.refused += 1
                continue
            for event in events:
                self._arrived(event, packet.arrival_ms)

    def produce(self, count: int, now_ms: float, queued_ms: float) -> tuple[Pcm, Pcm, Pcm]:
        """Next [count] samples of (what is heard, the phoneme arm, the Opus arm).

        ``queued_ms``: how long a sample handed over now waits until it is heard.
        """
        queue = self.sound.queues["phonemes"]
        while len(queue) < count + AHEAD:
            step = self._playout.pull(now_ms + _ms(len(queue)))  # when this piece has its turn
            self._speak(step, now_ms, queued_ms)
        queue = self.sound.queues["opus"]
        while len(queue) < count + AHEAD:
            self._play_opus(now_ms, queued_ms)
        heard, phonemes, opus = self.sound.take(count)
        self.level.push(heard, now_ms)
        return heard, phonemes, opus

    def _arrived(self, event: PhonemeEvent, now_ms: float) -> None:
        if event.index not in self._arrivals:
            self._arrivals[event.index] = now_ms
            if len(self._arrivals) > KEPT_ARRIVALS:
                self._arrivals.popitem(last=False)
            self.delays.on_arrival(event.start_tick, now_ms)
            if self._meter and self._opus_shift is not None:
                at = event.start_tick * SAMPLES_PER_TICK + self._opus_shift
                self._meter.said("opus", at, event.phoneme)
        self._playout.push(event, now_ms)

    def _add(self, arm: Arm, pcm: Pcm) -> None:
        self.sound.add(arm, pcm)
        if self._meter:
            self._meter.listen(arm, pcm)

    def _play_opus(self, now_ms: float, queued_ms: float) -> None:
        waiting = _ms(len(self.sound.queues["opus"]))
        pcm = self._opus.pull(now_ms + waiting)
        if not len(pcm):  # the loop that fills the queue must come to an end
            pcm = np.zeros(AHEAD, np.float32)
        timestamp = self._opus.last_timestamp
        if timestamp is not None:
            media = timestamp * SAMPLE_RATE_HZ // CLOCK_RATE_HZ
            self._opus_shift = self.sound.position("opus") - media
            self.delays.on_opus(_ms(media), now_ms + waiting + queued_ms)
        self._add("opus", pcm)

    def _speak(self, step: PlayoutStep, now_ms: float, queued_ms: float) -> None:
        spoken = step.spoken
        at = self.sound.position("phonemes")
        if spoken is None:
            self._add("phonemes", self._decoder.silence(step.play_ticks))
            return
        pcm = self._decoder.speak(spoken)
        event = spoken.event
        if step.action is PlayoutAction.EXPAND:  # more of the one before
            self._add("phonemes", pcm)
            return
        concealed = step.action is PlayoutAction.CONCEAL
        self._holes(event, now_ms, at)
        arrived_ms = self._arrivals.get(event.index)
        if arrived_ms is not None and not concealed:
            waiting = _ms(len(self.sound.queues["phonemes"]))
            self.delays.on_spoken(
                now_ms - arrived_ms, waiting + queued_ms + self._decoder.LOOKAHEAD_MS
            )
        self._shifts.append(at + self._lookahead - event.start_tick * SAMPLES_PER_TICK)
        self._add("phonemes", pcm)
        if self._meter:
            self._meter.said("phonemes", at, MISSING if concealed else event.phoneme)
        if event.phoneme != SILENCE:
            self._talked_ms = now_ms
        kind = "concealed" if concealed else "played"
        self.marks.append(mark_of(event, "far", kind, step.play_ticks, now_ms))
        self._on_row(
            EventRow(
                "far",
                event,
                "concealed" if concealed else "played",
                at // SAMPLES_PER_TICK,
                step.play_ticks,
            )
        )

    def _holes(self, event: PhonemeEvent, now_ms: float, at: int) -> None:
        """Note events that were never spoken because they did not come in time."""
        expected = event.index if self._next_index is None else self._next_index
        missing = range(expected, event.index)[-MAX_COUNTED_MISSING:]
        for index in missing[-MAX_SHOWN_MISSING:]:
            lost = PhonemeEvent(index, SILENCE, event.start_tick, 1)
            self.marks.append(mark_of(lost, "far", "missing", 1, now_ms))
        if self._meter:
            for _index in missing:
                self._meter.said("phonemes", at, MISSING)
        self._next_index = max(expected, event.index + 1)


def _ms(samples: int) -> float:
    return samples * 1000.0 / SAMPLE_RATE_HZ
