"""Hears a microphone for the set-up wizard: levels now, three seconds to play back.

Runs on the window's timer through an ``AudioPort``; opening a device happens on a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from app.audio import AudioPort
from app.levels import level_of
from app.stats import Level
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

KEPT_SECONDS: Final = 3.0
OpenPort = Callable[[str, str], AudioPort]


def open_devices(microphone: str, loudspeaker: str) -> AudioPort:
    from app.devices import SoundDevicePort

    return SoundDevicePort(microphone, loudspeaker)


class SoundCheck:
    """``hear`` about 20 times a second; ``start`` again for other devices."""

    def __init__(self, open_port: OpenPort = open_devices) -> None:
        self._open_port = open_port
        self._lock = threading.Lock()
        self._port: AudioPort | None = None
        self._wanted = self._playing = 0
        self._kept: list[Pcm] = []
        self._keeping = False
        self.notice = ""

    def start(self, microphone: str, loudspeaker: str) -> None:
        """Open these devices; the ones before are closed."""
        self._wanted += 1
        number = self._wanted

        def change() -> None:
            with self._lock:
                old, self._port = self._port, None
                if old is not None:
                    old.close()
                if number != self._wanted:
                    return
                port = self._open_port(microphone, loudspeaker)
                port.start()
                self.notice = port.notice
                self._port = port

        threading.Thread(target=change, name="sound check", daemon=True).start()

    def hear(self) -> Level:
        """The level since the last call; keeps samples while recording."""
        port = self._port
        if port is None:
            return Level()
        self.notice = port.notice
        pcm = port.read()
        if self._keeping and len(pcm):
            self._kept.append(np.array(pcm))
        return level_of(pcm)

    def record(self) -> None:
        self._kept, self._keeping = [], True

    @property
    def recorded_s(self) -> float:
        return sum(map(len, self._kept)) / SAMPLE_RATE_HZ

    def recorded(self) -> Pcm:
        """Stop recording and give back what was said: [N] float32."""
        self._keeping = False
        kept, self._kept = self._kept, []
        pcm = np.concatenate(kept) if kept else np.zeros(0, np.float32)
        return pcm[: int(KEPT_SECONDS * SAMPLE_RATE_HZ)]

    def play(self, pcm: Pcm) -> None:
        """Through the loudspeaker, in the port's own pieces (its ring holds two seconds)."""
        port = self._port
        if port is None:
            return
        self._playing += 1
        number = self._playing

        def feed() -> None:
            step = SAMPLE_RATE_HZ // 10
            pause = threading.Event()
            for begin in range(0, len(pcm), step):
                if number != self._playing:
                    return  # something else is to be heard now
                port.write(pcm[begin : begin + step])
                while port.queued_ms() > 300.0:
                    if pause.wait(0.02) or port is not self._port:
                        return

        threading.Thread(target=feed, name="sound check", daemon=True).start()

    def close(self) -> None:
        self._wanted += 1

        def shut() -> None:
            with self._lock:
                port, self._port = self._port, None
                if port is not None:
                    port.close()

        threading.Thread(target=shut, name="sound check", daemon=True).start()
