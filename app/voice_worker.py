"""The adaptation worker: learns the talker's voice during the call, at low priority.

Near sound, the events made of it and the voice the encoder measured go in through bounded queues;
a better voice comes out, and how like the live talker it is. It is improved by analysis by
synthesis: the far end's synthesizer is ours too, so its distance to the microphone can be made
smaller (``engine.adaptation``). The voice lives in memory only; ``close`` drops it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np

from app.memory import give_back
from engine.adaptation import refine
from engine.dvector import DVECTOR_DIM, embed
from engine.errors import SottovoceError
from engine.events import Pcm, PhonemeEvent, VoiceDescriptor
from engine.mel import HOP, SAMPLE_RATE_HZ, log_mel
from engine.voice import descriptor_vector

log = logging.getLogger(__name__)

NICENESS = 5  # lower still would hold the interpreter's lock too long on a busy machine
MAX_QUEUED_S = 6.0  # of near sound; drops the oldest
KEPT_S = 20  # of near sound that the voice is improved by; drops the oldest
LIVE_S = 4.0  # the live talker is judged by that much of the latest speech
LIVE_EVERY_S = 6.0
REFINE_AFTER_S = 6.0  # of speech since the last attempt
MAX_REFINEMENTS = 8  # in a call: after that there is little left to gain
REFINE_STEPS = 8
REST_S = 0.05  # between them: a burst of work would hold up the call's own
SPEECH_RMS = 10.0 ** (-50.0 / 20.0)


class VoiceWorker:
    """``push`` and ``said`` from the engine worker; the rest may be read from anywhere."""

    def __init__(self) -> None:
        self.voice: VoiceDescriptor | None = None
        self.similarity: float | None = None
        self.steps = 0
        """How often the voice got better: descriptors measured and improvements found."""
        self.dropped = 0
        self.pressed = False
        """Set while the engine worker runs late: improving the voice can wait."""
        self._queue: deque[Pcm] = deque()
        self._queued = 0
        self._events: deque[PhonemeEvent] = deque(maxlen=300)  # drops the oldest
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._kept = np.zeros(0, np.float32)  # the last KEPT_S of near sound
        self._position = 0  # samples heard so far: where ``_kept`` ends
        self._speech_s = 0.0
        self._live_s = self._refine_s = 0.0  # speech at the last look and the last attempt
        self._refinements = 0
        self._measured: VoiceDescriptor | None = None
        self._used: VoiceDescriptor | None = None
        self.ready = threading.Event()
        """Set once everything is loaded: until then the interpreter is often busy."""
        # No daemon: the interpreter must not go away under a thread that computes gradients.
        self._thread = threading.Thread(target=self._run, name="adaptation")
        self._thread.start()

    def push(self, pcm: Pcm) -> None:
        """Near sound [N], pauses too: its ticks are those of the events."""
        with self._lock:
            self._queue.append(pcm)
            self._queued += len(pcm)
            while self._queued > MAX_QUEUED_S * SAMPLE_RATE_HZ:
                oldest = self._queue.popleft()
                self._queued -= len(oldest)
                self._position += len(oldest)
                self._kept = np.zeros(0, np.float32)
                self.dropped += 1
        if self._queued >= SAMPLE_RATE_HZ // 2:
            self._wake.set()

    def said(self, event: PhonemeEvent) -> None:
        self._events.append(event)

    def measured(self, voice: VoiceDescriptor | None) -> None:
        """What the encoder thinks of the voice now; a new one replaces what was improved."""
        self._measured = voice

    def close(self) -> None:
        """Stop and forget the voice."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=10.0)
        with self._lock:
            self._queue.clear()
            self._kept = np.zeros(0, np.float32)
        self._events.clear()
        self.voice = self._measured = self._used = None

    def _run(self) -> None:
        try:
            embed(np.full(SAMPLE_RATE_HZ, 0.01, np.float32))  # loads now, not when they talk
            self._step_back()
            self.ready.set()
            while self._wanted():
                self._wake.wait(1.0)
                self._wake.clear()
                self._learn()
        except SottovoceError as error:
            log.warning("the voice is not learned: %s", error)
        finally:
            self.ready.set()

    def _step_back(self) -> None:
        """Only after loading, which holds the interpreter all the time."""
        try:  # Linux gives every thread its own niceness
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        except (AttributeError, OSError) as error:
            log.debug("the adaptation worker keeps its priority: %s", error)

    def _wanted(self) -> bool:
        """Whether to go on: nobody closes what a program that ends forgot."""
        return not self._stop and threading.main_thread().is_alive()

    def _rested(self) -> bool:
        """Whether to go on, after a while in which the call had the machine to itself."""
        time.sleep(REST_S)
        return self._wanted()

    def _learn(self) -> None:
        with self._lock:
            pieces = list(self._queue)
            self._queue.clear()
            self._queued = 0
            if pieces:
                pcm = np.concatenate(pieces)
                self._kept = np.concatenate([self._kept, pcm])[-KEPT_S * SAMPLE_RATE_HZ :]
                self._position += len(pcm)
        if not pieces or not self._wanted():
            return
        found = self._measured
        if found is not None and found != self._used:
            self._used = found
            self._better(found)
        else:
            found = None
        if float(np.sqrt(np.mean(pcm**2))) > SPEECH_RMS:
            self._speech_s += len(pcm) / SAMPLE_RATE_HZ
        if self.voice is None or (self.pressed and found is None):
            return
        if not self.pressed and self._speech_s - self._refine_s > REFINE_AFTER_S:
            self._refine_s = self._speech_s
            if self._refinements < MAX_REFINEMENTS:
                self._refinements += 1
                self._refine(self.voice)
        if found is not None or self._speech_s - self._live_s > LIVE_EVERY_S:
            self._live_s = self._speech_s
            self._compare(self.voice)

    def _better(self, voice: VoiceDescriptor) -> None:
        version = 0 if self.voice is None else self.voice.version + 1
        self.voice = replace(voice, version=version & 0xFF)
        self.steps += 1

    def _refine(self, voice: VoiceDescriptor) -> None:
        """Analysis by synthesis on what was said last."""
        with self._lock:
            whole = len(self._kept) // HOP * HOP
            start = self._position - len(self._kept)
            first_tick = -(-start // HOP)
            pcm = self._kept[first_tick * HOP - start : whole]
            said = tuple(self._events)  # in one step: the engine worker goes on adding
        events = [replace(e, start_tick=e.start_tick - first_tick) for e in said]
        if len(pcm) < SAMPLE_RATE_HZ:
            return
        result = refine(voice, log_mel(pcm), events, steps=REFINE_STEPS, wanted=self._rested)
        give_back()
        if result.improved and not self._stop:
            log.info("the voice came closer: %.3f, was %.3f", result.after, result.before)
            self._better(result.descriptor)

    def _compare(self, voice: VoiceDescriptor) -> None:
        with self._lock:
            live = self._kept[-int(LIVE_S * SAMPLE_RATE_HZ) :].copy()
        sent = descriptor_vector(voice)[:DVECTOR_DIM]
        norm = float(np.linalg.norm(sent)) or 1.0
        self.similarity = float(np.dot(embed(live), sent) / norm)
