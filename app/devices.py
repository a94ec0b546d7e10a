"""Real microphones and loudspeakers through PortAudio, behind the same port as files.

The PortAudio callbacks copy samples between the device and two rings at the device's own rate,
and count; resampling happens on the engine worker. A watchdog thread notices a device that went
away (its callbacks stop), lets silence flow at the clock's pace, and opens it again by name when
it returns, so a call outlives a pulled plug.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.audio import RING_MS, SAMPLES_PER_MS
from app.clock import Clock, SystemClock
from app.sound_stream import SoundStream, Way, rescan, sounddevice_module
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

WATCH_S: Final = 0.5
RETRY_MS: Final = 2000.0
DRY_MS: Final = 200  # an open microphone that gives nothing for so long is replaced by silence
DEAD_MS: Final = 4000  # a microphone that never gave one sample but 0: systems deny it like that


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    channels: int
    default: bool


def list_devices(way: Way) -> list[Device]:
    """Devices that can record (input) or play (output). Empty when there are none at all."""
    try:
        sd = sounddevice_module()
        found = sd.query_devices()
        default = sd.default.device[0 if way == "input" else 1]
    except Exception as error:  # PortAudio reports a missing sound system in many ways
        log.info("no sound devices: %s", error)
        return []
    devices = []
    for number, info in enumerate(found):
        channels = int(info[f"max_{way}_channels"])
        if channels > 0:
            devices.append(Device(str(info["name"]), channels, number == default))
    return devices


class SoundDevicePort:
    """A microphone and a loudspeaker by name; empty names are the system's defaults."""

    def __init__(self, microphone: str = "", loudspeaker: str = "") -> None:
        self._clock: Clock = SystemClock()
        self._capture = SoundStream("input", microphone, self._clock)
        self._playback = SoundStream("output", loudspeaker, self._clock)
        self._problems = ""
        self._zeros: int | None = 0
        """Samples since the microphone was opened, all of them 0; None: it was heard."""
        self._passed_ms = 0.0
        self._retry_ms = 0.0
        self._dry = 0  # samples that should have come since the last ones did
        self._stop = threading.Event()
        self._watchdog: threading.Thread | None = None

    @property
    def notice(self) -> str:
        """What the user should know: a device that is missing, a microphone that is denied."""
        if self._problems or not self.microphone or (self._zeros or 0) < DEAD_MS * SAMPLES_PER_MS:
            return self._problems
        return (
            f"The microphone {self.microphone!r} gives no sound at all: "
            "switch it on, or allow this program to use it."
        )

    @property
    def microphone(self) -> str:
        return self._capture.name if self._capture.alive else ""

    @property
    def loudspeaker(self) -> str:
        return self._playback.name if self._playback.alive else ""

    def start(self) -> None:
        """Open what is there; what is not is retried, and ``notice`` says so."""
        self._passed_ms = self._clock.now_ms()
        self._open_missing()
        self._stop.clear()
        self._watchdog = threading.Thread(target=self._watch, name="devices", daemon=True)
        self._watchdog.start()

    def read(self) -> Pcm:
        capture, playback = self._capture, self._playback
        now_ms = self._clock.now_ms()
        due = int((now_ms - self._passed_ms) * SAMPLES_PER_MS)
        self._passed_ms += due / SAMPLES_PER_MS
        if not playback.alive:  # nobody takes what is played: let it run off at the clock's pace
            playback.ring.skip(due * playback.rate_hz // SAMPLE_RATE_HZ)
        if capture.alive and len(capture.ring):
            self._dry = 0
            pcm = capture.resample(capture.ring.read(capture.ring.capacity))
            if self._zeros is not None:
                self._zeros = None if pcm.any() else self._zeros + len(pcm)
            return pcm
        self._dry += due
        if capture.alive and self._dry < DRY_MS * SAMPLES_PER_MS:
            return np.zeros(0, np.float32)
        return np.zeros(min(due, RING_MS * SAMPLES_PER_MS), np.float32)

    def write(self, pcm: Pcm) -> None:
        self._playback.ring.write(self._playback.resample(pcm))

    def queued_ms(self) -> float:
        return 1000.0 * len(self._playback.ring) / self._playback.rate_hz

    def latency_ms(self) -> tuple[float, float]:
        return self._capture.latency_ms, self._playback.latency_ms

    def dropped(self) -> Mapping[str, int]:
        return {
            "capture": self._capture.ring.dropped,
            "playback": self._playback.ring.dropped,
            "underrun": self._playback.ring.missing,
        }

    def close(self) -> None:
        self._stop.set()
        if self._watchdog is not None:
            self._watchdog.join(timeout=5.0)
            self._watchdog = None
        self._capture.close()
        self._playback.close()

    def _open_missing(self) -> None:
        problems = []
        for stream in (self._capture, self._playback):
            if stream.alive:
                continue
            try:
                stream.open()
            except SottovoceError as error:
                problems.append(str(error))
            else:
                self._zeros = 0 if stream is self._capture else self._zeros
        self._problems = " ".join(problems)

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            for stream in (self._capture, self._playback):
                if stream.stalled():
                    log.warning("sound device gone: %s", stream.name)
                    stream.close()
                    self._retry_ms = 0.0
            gone = not (self._capture.alive and self._playback.alive)
            if gone and self._clock.now_ms() >= self._retry_ms:
                self._retry_ms = self._clock.now_ms() + RETRY_MS
                rescan()
                self._open_missing()


def open_port(microphone: str = "", loudspeaker: str = "") -> SoundDevicePort:
    """The port a call uses by default; never fails for want of a device."""
    return SoundDevicePort(microphone, loudspeaker)
