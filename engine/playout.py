"""The jitter buffer: events arrive in any order, steps to speak leave in order, in time.

Every event is due at its start on the talker's time line plus one offset, a high quantile of how late
events arrived lately. Playout keeps to that line with NetEq's verbs: a late event stretches the one
being spoken, a lost one is predicted, pauses and then vowels are shortened or lengthened to return.
Time is an argument; nothing here reads a clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from engine.events import TICK_MS, PhonemeEvent
from engine.phonemes import SILENCE, VOWELS
from engine.prediction import predict_event
from engine.synthesizer import SpokenEvent

BUFFER_EVENTS: Final = 512
LATENESS_EVENTS: Final = 256  # about 22 s of speech: older arrivals are forgotten
QUANTILE: Final = 0.95  # the few later ones stretch the phoneme before them
PATIENT_QUANTILE: Final = 0.97  # where arrivals vary so much that stretching would be heard
VARIED_MS: Final = (300.0, 500.0)  # from the median to QUANTILE: patience grows between the two
MARGIN_MS: Final = 5.0
FIRST_MARGIN_MS: Final = 60.0  # until FIRST_EVENTS have shown how regular the link is
FIRST_EVENTS: Final = 24
MAX_OFFSET_SPAN_MS: Final = 1500.0  # the offset never exceeds the fastest arrival by more
STRAY_MS: Final = 1000.0  # arrivals beyond the span for that long are the new normal
TOLERANCE_MS: Final = 20.0  # deviation from the line that is left alone
MAX_BEHIND_MS: Final = 800.0  # events that far behind the line are skipped, not replayed
HURRY_MS: Final = 50.0  # that far behind, consonants are shortened too
RUSH_MS: Final = 100.0  # that far behind, everything is spoken in three fifths of its time
MIN_EXPAND_TICKS: Final = 6  # also where arrivals are regular: it may be the end of a sentence
MAX_EXPAND_TICKS: Final = 25
EXPAND_STEP_TICKS: Final = 3
EXPAND_FADE_DB: Final = 2.5  # a step
CONCEAL_FADE_DB: Final = 5.0  # an event
MAX_CONCEALED_RUN: Final = 6  # further missing events are silence
SILENCE_STEP_TICKS: Final = 2
MAX_PREDICTED_TICKS: Final = 12


class PlayoutAction(Enum):
    NORMAL = "normal"
    EXPAND = "expand"
    ACCELERATE = "accelerate"
    PREEMPTIVE_EXPAND = "preemptive_expand"
    CONCEAL = "conceal"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class PlayoutStep:
    action: PlayoutAction
    spoken: SpokenEvent | None
    """None is silence."""
    play_ticks: int


@dataclass(frozen=True, slots=True)
class PlayoutStats:
    events_received: int = 0
    events_lost: int = 0
    """Events that were not there when due, whether they came later or never."""
    events_concealed: int = 0
    events_skipped: int = 0
    """Events that came, but too far behind the line to be spoken."""
    target_delay_ms: float = 0.0
    """How long a median event is meant to wait in the buffer."""
    delay_ms: float = 0.0
    """How long the last event spoken did wait."""
    expanded_ticks: int = 0
    accelerated_ticks: int = 0


class ArrivalHistory:
    """How late events arrive against their start, and the offset that nearly all of them meet.

    Lateness holds the unknown difference of the two clocks; only differences ever matter.
    """

    def __init__(self) -> None:
        self._lateness_ms: deque[float] = deque(maxlen=LATENESS_EVENTS)  # drops the oldest
        self._stray_since_ms: float | None = None
        self._sorted: list[float] = []

    def add(self, lateness_ms: float, now_ms: float) -> None:
        if self._sorted and lateness_ms > self._sorted[0] + MAX_OFFSET_SPAN_MS:
            if self._stray_since_ms is None:
                self._stray_since_ms = now_ms
            if now_ms - self._stray_since_ms < STRAY_MS:
                return
            self._lateness_ms.clear()  # the talker's clock stood still: start anew
        elif self._sorted and lateness_ms < self._sorted[0] - MAX_OFFSET_SPAN_MS:
            self._lateness_ms.clear()  # it leapt ahead
        self._stray_since_ms = None
        self._lateness_ms.append(lateness_ms)
        self._sorted = sorted(self._lateness_ms)

    @property
    def offset_ms(self) -> float | None:
        """What to add to an event's start to get the time when it is due; None before the first."""
        known = self._sorted
        if not known:
            return None
        late_ms = self._quantile_ms(QUANTILE)
        low_ms, high_ms = VARIED_MS
        varied = min(max((late_ms - self.median_ms - low_ms) / (high_ms - low_ms), 0.0), 1.0)
        late_ms += varied * (self._quantile_ms(PATIENT_QUANTILE) - late_ms)
        margin_ms = MARGIN_MS if len(known) >= FIRST_EVENTS else FIRST_MARGIN_MS
        return min(late_ms + margin_ms, known[0] + MAX_OFFSET_SPAN_MS)

    def _quantile_ms(self, quantile: float) -> float:
        known = self._sorted
        return known[min(len(known) - 1, math.ceil(quantile * len(known)) - 1)]

    @property
    def patience_ticks(self) -> int:
        """How long a late event is worth waiting for: about as much as arrivals vary."""
        late_ms = self.offset_ms
        varied_ms = 0.0 if late_ms is None else late_ms - self.median_ms
        return min(max(round(varied_ms / TICK_MS), MIN_EXPAND_TICKS), MAX_EXPAND_TICKS)

    @property
    def median_ms(self) -> float:
        return self._sorted[len(self._sorted) // 2] if self._sorted else 0.0


class Playout:
    """Push events as they arrive, pull steps as the loudspeaker needs them."""

    def __init__(self) -> None:
        self._arrivals = ArrivalHistory()
        self._waiting: dict[int, PhonemeEvent] = {}
        self._arrived_ms: dict[int, float] = {}
        self._next_index: int | None = None
        self._position_tick = 0
        self._last: PhonemeEvent | None = None
        self._stretched_ticks = 0
        self._concealed_run = 0
        self._received = self._lost = self._concealed = self._skipped = 0
        self._expanded = self._accelerated = 0
        self._delay_ms = 0.0

    def push(self, event: PhonemeEvent, now_ms: float) -> None:
        """Take an event; one already known is replaced when it has more codes, never twice spoken."""
        if event.index not in self._arrived_ms:
            self._received += 1
            self._arrived_ms[event.index] = now_ms
            if not event.is_silence:  # a pause may be known only when it ends; nobody waits for it
                self._arrivals.add(now_ms - event.start_tick * TICK_MS, now_ms)
            while len(self._arrived_ms) > BUFFER_EVENTS:  # drops the oldest
                self._arrived_ms.pop(next(iter(self._arrived_ms)))
        if self._next_index is not None and event.index < self._next_index:
            return
        if self._last is not None and event.start_tick < self._position_tick:
            return
        self._waiting[event.index] = event
        while len(self._waiting) > BUFFER_EVENTS:
            del self._waiting[min(self._waiting)]  # drops the oldest

    def pull(self, now_ms: float) -> PlayoutStep:
        """What to speak next. 1 ... 60 ticks; always an answer."""
        offset_ms = self._arrivals.offset_ms
        if offset_ms is None:
            return self._silence(SILENCE_STEP_TICKS)
        self._skip_stale(now_ms, offset_ms)
        if not self._waiting:
            return self._starve()
        index = min(self._waiting)
        if self._next_index is None:
            self._next_index, self._position_tick = index, self._waiting[index].start_tick
        if index == self._next_index:
            return self._speak_next(index, now_ms, offset_ms)
        return self._bridge(index, now_ms, offset_ms)

    def stats(self) -> PlayoutStats:
        offset_ms = self._arrivals.offset_ms
        target_ms = 0.0 if offset_ms is None else offset_ms - self._arrivals.median_ms
        return PlayoutStats(
            self._received, self._lost, self._concealed, self._skipped, target_ms,
            self._delay_ms, self._expanded, self._accelerated,
        )  # fmt: skip

    def _behind_ms(self, tick: int, now_ms: float, offset_ms: float) -> float:
        """How far playout lags behind its line at ``tick``; negative: it is early."""
        return now_ms - tick * TICK_MS - offset_ms

    def _skip_stale(self, now_ms: float, offset_ms: float) -> None:
        """After an outage, what is long past is not replayed."""
        for index in sorted(self._waiting):
            event = self._waiting[index]
            if self._behind_ms(event.start_tick, now_ms, offset_ms) <= MAX_BEHIND_MS:
                return
            if event.is_silence and index == self._next_index:
                return  # takes no time to catch up with
            del self._waiting[index]
            if self._next_index is not None:
                self._lost += index - self._next_index
            self._skipped += 1
            self._next_index, self._position_tick = index + 1, event.end_tick
            self._last = None

    def _speak_next(self, index: int, now_ms: float, offset_ms: float) -> PlayoutStep:
        event = self._waiting[index]
        behind_ms = self._behind_ms(event.start_tick, now_ms, offset_ms)
        at_pause = self._last is None or self._last.is_silence
        if behind_ms <= -TICK_MS and (at_pause or event.start_tick > self._position_tick):
            ticks = max(1, min(SILENCE_STEP_TICKS, int(-behind_ms / TICK_MS)))
            return self._silence(ticks)
        if behind_ms < -TOLERANCE_MS and self._stretched_ticks == 0:
            play_ticks = event.duration_ticks + _lengthening(event, -behind_ms)
        elif behind_ms > TOLERANCE_MS:
            play_ticks = event.duration_ticks - _shortening(event, behind_ms)
        else:
            play_ticks = event.duration_ticks
        return self._speak(event, play_ticks, now_ms)

    def _speak(self, event: PhonemeEvent, play_ticks: int, now_ms: float) -> PlayoutStep:
        change = play_ticks - event.duration_ticks
        action = PlayoutAction.NORMAL
        if change > 0:
            action = PlayoutAction.PREEMPTIVE_EXPAND
            self._expanded += change
        elif change < 0:
            action = PlayoutAction.ACCELERATE
            self._accelerated -= change
        del self._waiting[event.index]
        self._delay_ms = now_ms - self._arrived_ms.get(event.index, now_ms)
        self._concealed_run = 0
        self._advance(event)
        return PlayoutStep(action, SpokenEvent(event, play_ticks, self._following()), play_ticks)

    def _bridge(self, index: int, now_ms: float, offset_ms: float) -> PlayoutStep:
        """Events before ``index`` are missing: wait for them until due, then predict them."""
        later = self._waiting[index]
        behind_ms = self._behind_ms(self._position_tick, now_ms, offset_ms)
        if behind_ms < -TICK_MS:
            return self._starve()
        next_index = index if self._next_index is None else self._next_index
        missing = index - next_index
        hole_ticks = later.start_tick - self._position_tick
        ticks = max(1, min(hole_ticks // missing, MAX_PREDICTED_TICKS))
        play_ticks = ticks if behind_ms < HURRY_MS else (ticks + 1) // 2
        self._lost += 1
        self._concealed_run += 1
        following = later if missing == 1 else None
        event = predict_event(self._last, following, next_index, self._position_tick, ticks)
        if self._concealed_run > MAX_CONCEALED_RUN:
            self._next_index, self._position_tick = index, later.start_tick
            self._lost += missing - 1
            self._last = None
            return self._silence(1)
        self._concealed += 1
        gain_db = -CONCEAL_FADE_DB * self._concealed_run
        self._advance(event)
        self._accelerated += ticks - play_ticks
        spoken = SpokenEvent(event, play_ticks, self._following(), gain_db)
        return PlayoutStep(PlayoutAction.CONCEAL, spoken, play_ticks)

    def _starve(self) -> PlayoutStep:
        """Nothing to speak: hold the last phoneme at falling energy, then keep silent."""
        last = self._last
        if (
            last is None
            or last.is_silence
            or self._stretched_ticks >= self._arrivals.patience_ticks
        ):
            return self._silence(SILENCE_STEP_TICKS)
        self._stretched_ticks += EXPAND_STEP_TICKS
        self._expanded += EXPAND_STEP_TICKS
        gain_db = -EXPAND_FADE_DB * self._stretched_ticks / EXPAND_STEP_TICKS
        spoken = SpokenEvent(last, EXPAND_STEP_TICKS, None, gain_db)
        return PlayoutStep(PlayoutAction.EXPAND, spoken, EXPAND_STEP_TICKS)

    def _silence(self, ticks: int) -> PlayoutStep:
        return PlayoutStep(PlayoutAction.SILENCE, None, ticks)

    def _advance(self, event: PhonemeEvent) -> None:
        self._next_index = event.index + 1
        self._position_tick = event.end_tick
        self._last = event
        self._stretched_ticks = 0

    def _following(self) -> PhonemeEvent | None:
        """The next event, when it is here and follows without a hole."""
        event = None if self._next_index is None else self._waiting.get(self._next_index)
        return event if event is not None and event.start_tick == self._position_tick else None


def _shortening(event: PhonemeEvent, behind_ms: float) -> int:
    """Ticks to take off: pauses give nearly all they have, vowels a quarter; when playout is far
    behind, consonants too, and all of them more."""
    wanted = int(behind_ms / TICK_MS)
    if event.phoneme == SILENCE:
        return min(wanted, event.duration_ticks - 1)
    if behind_ms > RUSH_MS:
        return min(wanted, event.duration_ticks * 2 // 5)
    if event.phoneme in VOWELS or behind_ms > HURRY_MS:
        return min(wanted, max(event.duration_ticks // 4, int(event.duration_ticks > 4)))
    return 0


def _lengthening(event: PhonemeEvent, early_ms: float) -> int:
    """Ticks to add: pauses as many as wanted up to their own length, vowels a quarter."""
    wanted = int(early_ms / TICK_MS)
    if event.phoneme == SILENCE:
        return min(wanted, event.duration_ticks)
    if event.phoneme in VOWELS:
        return min(wanted, max(1, event.duration_ticks // 4))
    return 0
