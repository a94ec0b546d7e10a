"""Ringing tones, made of sines here and played through the default loudspeaker.

Soft and low on purpose. Without a loudspeaker nothing is played and nobody is told: the window
says the same things in words.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Final, Protocol

import numpy as np

from app.helper import Helper
from engine.events import Pcm

log = logging.getLogger(__name__)

RATE_HZ: Final = 16_000
LEVEL: Final = 0.08  # full scale; about -22 dBFS, well below speech


class Sounds(Protocol):
    def play(self, name: str, *, repeat: bool = False) -> None: ...

    def stop(self) -> None: ...


class NoSounds:
    """For tests and for people who want none."""

    def play(self, name: str, *, repeat: bool = False) -> None:
        return

    def stop(self) -> None:
        return


def _note(frequency_hz: float, seconds: float, overtone: float = 0.15) -> Pcm:
    """A struck, decaying sine with a soft octave: [N] float32 at ``RATE_HZ``."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    rise = np.minimum(1.0, t / 0.012)
    fall = np.exp(-3.2 * t / seconds) * np.minimum(1.0, (seconds - t) / 0.02)
    wave = np.sin(2 * np.pi * frequency_hz * t) + overtone * np.sin(4 * np.pi * frequency_hz * t)
    return np.asarray(LEVEL * rise * fall * wave, np.float32)


def _pause(seconds: float) -> Pcm:
    return np.zeros(int(seconds * RATE_HZ), np.float32)


def tone(name: str) -> Pcm:
    """``ringing``, ``connected``, ``ended`` or ``test``: [N] float32. Raises KeyError."""
    pieces = {
        "ringing": (_note(392.0, 0.45), _note(523.3, 0.8), _pause(1.9)),
        "connected": (_note(523.3, 0.16), _note(784.0, 0.35)),
        "ended": (_note(523.3, 0.18), _note(392.0, 0.4)),
        "test": (_note(392.0, 0.3), _note(493.9, 0.3), _note(587.3, 0.3), _note(784.0, 0.7)),
    }[name]
    return np.concatenate(pieces)


class Tones:
    """Plays one tone at a time on a thread of its own."""

    def __init__(self, device: str = "") -> None:
        self.device = device
        self._stop = threading.Event()
        self._helper = Helper("tones").start()

    def use(self, device: str) -> None:
        """From the next tone on."""
        self.device = device

    def play(self, name: str, *, repeat: bool = False) -> None:
        """Start ``name``; what was playing stops."""
        self.play_pcm(tone(name), repeat=repeat)

    def play_pcm(self, pcm: Pcm, *, repeat: bool = False) -> None:
        """Play [N] float32 at 16 kHz; what was playing stops."""
        self.stop()
        stop = self._stop = threading.Event()
        self._helper.do(partial(_play, self.device, pcm, repeat, stop))

    def stop(self) -> None:
        self._stop.set()


def _play(device: str, pcm: Pcm, repeat: bool, stop: threading.Event) -> None:
    try:
        import sounddevice

        rate_hz = int(sounddevice.query_devices(device or None, "output")["default_samplerate"])
        steps = np.arange(0, len(pcm), RATE_HZ / rate_hz)
        pcm = np.interp(steps, np.arange(len(pcm)), pcm).astype(np.float32)
        block = rate_hz // 50
        with sounddevice.OutputStream(
            samplerate=rate_hz, channels=1, dtype="float32", device=device or None
        ) as stream:
            while not stop.is_set():
                for start in range(0, len(pcm), block):
                    if stop.is_set():
                        return
                    stream.write(pcm[start : start + block])
                if not repeat:
                    return
    except Exception as error:  # no PortAudio, no device, a device that went away
        log.info("tones are silent: %s", error)
