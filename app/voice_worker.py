"""The adaptation worker: learns the talker's voice during the call, at the lowest priority.

Near sound goes in through a bounded queue; what comes out is the newest descriptor and how like
the live talker it is. The descriptor lives in memory only and is dropped by ``close``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque

import numpy as np

from engine.errors import SottovoceError
from engine.events import Pcm, VoiceDescriptor
from engine.voice import DVECTOR_DIM, VoiceEncoder, descriptor_vector, embed

log = logging.getLogger(__name__)

MAX_QUEUED_S = 6.0  # of near sound; drops the oldest
LIVE_S = 4.0  # the live talker is judged by that much of the latest speech
LIVE_EVERY_S = 6.0
SPEECH_RMS = 10.0 ** (-50.0 / 20.0)


class VoiceWorker:
    """``push`` from the engine worker; ``voice`` and ``similarity`` may be read from anywhere."""

    def __init__(self) -> None:
        self.voice: VoiceDescriptor | None = None
        self.similarity: float | None = None
        self.steps = 0
        """Descriptors found so far, each better than the one before."""
        self.dropped = 0
        self.f0_mean_hz: float | None = None
        """Mean pitch so far; the engine worker, which tracks pitch, sets it."""
        self._queue: deque[Pcm] = deque()
        self._queued = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._live: deque[Pcm] = deque()
        self._live_samples = 0
        self._since_live = 0
        self._thread = threading.Thread(target=self._run, name="adaptation", daemon=True)
        self._thread.start()

    def push(self, pcm: Pcm) -> None:
        """Near sound [N], pauses too."""
        with self._lock:
            self._queue.append(pcm)
            self._queued += len(pcm)
            while self._queued > MAX_QUEUED_S * 16_000:
                self._queued -= len(self._queue.popleft())
                self.dropped += 1
        if self._queued >= 8_000:
            self._wake.set()

    def close(self) -> None:
        """Stop and forget the voice."""
        self._stop = True
        self._wake.set()
        self._thread.join(timeout=5.0)
        with self._lock:
            self._queue.clear()
        self._live.clear()
        self.voice = None

    def _run(self) -> None:
        try:  # Linux gives every thread its own niceness
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        except (AttributeError, OSError) as error:
            log.debug("the adaptation worker keeps its priority: %s", error)
        try:
            encoder = VoiceEncoder()
            while not self._stop:
                self._wake.wait(1.0)
                self._wake.clear()
                self._learn(encoder)
        except SottovoceError as error:
            log.warning("the voice is not learned: %s", error)

    def _learn(self, encoder: VoiceEncoder) -> None:
        with self._lock:
            pieces = list(self._queue)
            self._queue.clear()
            self._queued = 0
        if not pieces or self._stop:
            return
        pcm = np.concatenate(pieces)
        encoder.f0_mean_hz = self.f0_mean_hz
        found = encoder.push(pcm)
        if found is not None:
            self.voice = found
            self.steps += 1
        if float(np.sqrt(np.mean(pcm**2))) < SPEECH_RMS:
            return
        self._live.append(pcm)
        self._live_samples += len(pcm)
        self._since_live += len(pcm)
        while self._live and self._live_samples - len(self._live[0]) > LIVE_S * 16_000:
            self._live_samples -= len(self._live.popleft())
        if self.voice is not None and (
            found is not None or self._since_live > LIVE_EVERY_S * 16_000
        ):
            self._since_live = 0
            live = embed(np.concatenate(self._live))
            sent = descriptor_vector(self.voice)[:DVECTOR_DIM]
            norm = float(np.linalg.norm(sent)) or 1.0
            self.similarity = float(np.dot(live, sent) / norm)
