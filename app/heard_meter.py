"""The live intelligibility meter: 1 - PER between what was said and what is about to be heard.

What the talker said arrives as events (a missing one is a word nobody can understand: it counts
as a deletion); what is heard is recognised here once more, by the near end's own recogniser, for
each arm. A worker of low priority does it: when the machine cannot keep up it listens less often
and leaves those stretches out of the score, and never holds the call up.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np

from app.stats import ARMS
from engine.events import TICK_MS, Pcm
from engine.intelligibility import IntelligibilityMeter
from engine.mel import SAMPLE_RATE_HZ
from engine.phonemes import SILENCE
from engine.recognizer import StreamingRecognizer

log = logging.getLogger(__name__)

NICENESS: Final = 3  # lower would hold the interpreter's lock too long on a busy machine
SETTLE_TICKS: Final = 80  # the newest stretch: recognisers and late events are not done with it
PIECE: Final = SAMPLE_RATE_HZ // 10
MAX_PIECES: Final = 40  # 4 s of each arm wait at most; drops the oldest
BUSY_PIECES: Final = 15  # 1.5 s wait: from here on an arm is heard every other DUTY_S only
DUTY_S: Final = 5.0
PRESSED_CYCLE: Final = 4  # of so many stretches one is heard while the call itself runs late
PAUSE_RMS: Final = 10.0 ** (-58.0 / 20.0)
PAUSE_PIECES: Final = 5  # after half a second of silence nothing needs to be recognised
SAMPLES_PER_TICK: Final = SAMPLE_RATE_HZ * TICK_MS // 1000


class _Arm:
    """What was said and what was heard on one arm, by position in its sound."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.meter = IntelligibilityMeter()
        self.pieces: deque[tuple[int, Pcm]] = deque()
        self.collecting: list[Pcm] = []
        self.position = 0  # samples of this arm so far
        self.done = 0  # recognised up to here
        self.quiet = PAUSE_PIECES
        self.dropped = 0
        self.recognizer = StreamingRecognizer()
        self.pushed = 0  # samples the recogniser has heard
        self.origins: deque[tuple[int, int]] = deque(maxlen=64)  # its sample, our position

    def place(self, tick: int) -> int:
        """Our position of the recogniser's tick."""
        sample = tick * SAMPLES_PER_TICK
        for pushed, position in reversed(self.origins):
            if pushed <= sample:
                return position + sample - pushed
        return self.done

    def score(self) -> float | None:
        with self.lock:
            return self.meter.score(self.done // SAMPLES_PER_TICK - SETTLE_TICKS)


class HeardMeter:
    """Fed by the engine worker, read by anybody."""

    def __init__(self) -> None:
        self._arms: dict[str, _Arm] = {arm: _Arm() for arm in ARMS}
        self.pressed = False
        """Set while the engine worker runs late: the call comes first, the meter listens little."""
        self._wake = threading.Event()
        self._stop = False
        # No daemon: the interpreter must not go away under a thread inside the recogniser.
        self._thread = threading.Thread(target=self._run, name="meter")
        self._thread.start()

    def said(self, arm: str, position: int, phoneme: int) -> None:
        """A phoneme (or ``MISSING``) that sample ``position`` of the arm's sound should carry."""
        if phoneme != SILENCE:
            meter = self._arms[arm]
            with meter.lock:
                meter.meter.said(position // SAMPLES_PER_TICK, phoneme)

    def listen(self, arm: str, pcm: Pcm) -> None:
        """The next samples of an arm, as they would be played."""
        meter = self._arms[arm]
        meter.collecting.append(pcm)
        if sum(map(len, meter.collecting)) < PIECE:
            return
        piece = np.concatenate(meter.collecting)
        meter.collecting = []
        meter.pieces.append((meter.position, piece))
        meter.position += len(piece)
        if len(meter.pieces) > MAX_PIECES:
            self._miss(meter, *meter.pieces.popleft())
            meter.dropped += 1
        self._wake.set()

    def scores(self) -> Mapping[str, float | None]:
        return {arm: meter.score() for arm, meter in self._arms.items()}

    @property
    def dropped(self) -> int:
        return sum(meter.dropped for meter in self._arms.values())

    def close(self) -> None:
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=5.0)

    @staticmethod
    def _miss(meter: _Arm, position: int, piece: Pcm) -> None:
        with meter.lock:
            end = position + len(piece)
            meter.meter.ignore(position // SAMPLES_PER_TICK, end // SAMPLES_PER_TICK)

    def _run(self) -> None:
        try:  # Linux gives every thread its own niceness
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        except (AttributeError, OSError) as error:
            log.debug("the meter keeps its priority: %s", error)
        while self._wanted():
            self._wake.wait(0.5)
            self._wake.clear()
            busy = True
            while busy and self._wanted():
                busy = False
                for number, meter in enumerate(self._arms.values()):
                    if meter.pieces:
                        self._recognise(meter, odd=bool(number))
                        busy = True

    def _wanted(self) -> bool:
        """Whether to go on: nobody closes what a program that ends forgot."""
        return not self._stop and threading.main_thread().is_alive()

    def _recognise(self, meter: _Arm, odd: bool) -> None:
        try:
            position, piece = meter.pieces.popleft()
        except IndexError:  # the engine worker dropped it meanwhile
            return
        cycle = PRESSED_CYCLE if self.pressed else 2
        turn = int(position / SAMPLE_RATE_HZ / DUTY_S) % cycle == int(odd)
        if (self.pressed or len(meter.pieces) >= BUSY_PIECES) and not turn:
            self._miss(meter, position, piece)
            meter.done = position + len(piece)
            return
        loud = float(np.sqrt(np.mean(piece**2))) > PAUSE_RMS
        meter.quiet = 0 if loud else meter.quiet + 1
        if meter.quiet <= PAUSE_PIECES:
            meter.origins.append((meter.pushed, position))
            meter.pushed += len(piece)
            for found in meter.recognizer.push(piece):
                if found.phoneme != SILENCE:
                    with meter.lock:
                        tick = meter.place(found.start_tick) // SAMPLES_PER_TICK
                        meter.meter.heard(tick, found.phoneme)
        meter.done = position + len(piece)
