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
from typing import Any, Final, Literal

import numpy as np

from app.audio import RING_MS, SAMPLES_PER_MS
from app.clock import Clock, SystemClock
from app.ring import Ring
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

Way = Literal["input", "output"]
BLOCK_MS: Final = 10
WATCH_S: Final = 0.5
STALLED_MS: Final = 1500.0  # no callback for so long: the device is gone
RETRY_MS: Final = 2000.0
DRY_MS: Final = 200  # an open microphone that gives nothing for so long is replaced by silence

_portaudio = threading.Lock()  # opening, closing and rescanning exclude each other
_open_streams = 0


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    channels: int
    default: bool


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise SottovoceError(
            "Sound devices need PortAudio: install libportaudio2, or call with --mic FILE.wav."
        ) from error
    return sounddevice


def list_devices(way: Way) -> list[Device]:
    """Devices that can record (input) or play (output). Empty when there are none at all."""
    try:
        sd = _sounddevice()
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


class _Stream:
    """One direction: a PortAudio stream, a ring at its rate and a resampler beside it."""

    def __init__(self, way: Way, wanted: str, clock: Clock) -> None:
        self.way: Way = way
        self.wanted = wanted
        self.name = ""
        self.rate_hz = SAMPLE_RATE_HZ
        self.ring = Ring(RING_MS * SAMPLES_PER_MS)
        self.callbacks = 0
        self._clock = clock
        self._stream: Any = None
        self._resampler: Any = None
        self._seen = (0, clock.now_ms())

    @property
    def alive(self) -> bool:
        return self._stream is not None

    @property
    def latency_ms(self) -> float:
        return 1000.0 * float(self._stream.latency) if self._stream is not None else 0.0

    def open(self) -> None:
        """Raises SottovoceError when the device is not there or refuses."""
        global _open_streams
        import soxr

        sd = _sounddevice()
        with _portaudio:
            try:
                info = sd.query_devices(self.wanted or None, self.way)
                self.rate_hz = int(info["default_samplerate"])
                self.ring = Ring(RING_MS * self.rate_hz // 1000)
                rates = (self.rate_hz, SAMPLE_RATE_HZ)
                if self.way == "output":
                    rates = (SAMPLE_RATE_HZ, self.rate_hz)
                self._resampler = None
                if rates[0] != rates[1]:
                    self._resampler = soxr.ResampleStream(*rates, 1, dtype="float32", quality="MQ")
                stream = (sd.InputStream if self.way == "input" else sd.OutputStream)(
                    samplerate=self.rate_hz,
                    blocksize=BLOCK_MS * self.rate_hz // 1000,
                    device=info["index"],
                    channels=1,
                    dtype="float32",
                    latency="low",
                    callback=self._capture if self.way == "input" else self._play,
                )
                stream.start()
            except Exception as error:  # ValueError, PortAudioError and what the host adds
                name = self.wanted or f"the default {self.way}"
                reason = str(error).split("\n")[0]
                raise SottovoceError(
                    f"The sound device {name!r} cannot be opened ({reason}): choose another one."
                ) from error
            self._stream, self.name = stream, str(info["name"])
            self._seen = (self.callbacks, self._clock.now_ms())
            _open_streams += 1

    def close(self) -> None:
        global _open_streams
        stream, self._stream = self._stream, None
        self._resampler = None
        if stream is None:
            return
        with _portaudio:
            _open_streams -= 1
            try:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)
            except Exception as error:  # a device that is gone may refuse even this
                log.info("closing %s: %s", self.name, error)

    def stalled(self) -> bool:
        """Whether PortAudio has stopped calling. Watchdog only."""
        if self._stream is None:
            return False
        now_ms = self._clock.now_ms()
        if self.callbacks != self._seen[0]:
            self._seen = (self.callbacks, now_ms)
        return now_ms - self._seen[1] > STALLED_MS or not self._stream.active

    # PortAudio's thread: copy and count, nothing else

    def _capture(self, data: Any, frames: int, moment: Any, status: Any) -> None:
        self.callbacks += 1
        self.ring.write(data[:, 0])

    def _play(self, data: Any, frames: int, moment: Any, status: Any) -> None:
        self.callbacks += 1
        self.ring.read_into(data[:, 0])

    # engine worker

    def resample(self, pcm: Pcm) -> Pcm:
        resampler = self._resampler  # the watchdog may take it away meanwhile
        if resampler is None or not len(pcm):
            return pcm
        return np.asarray(resampler.resample_chunk(pcm), np.float32)


class SoundDevicePort:
    """A microphone and a loudspeaker by name; empty names are the system's defaults."""

    def __init__(self, microphone: str = "", loudspeaker: str = "") -> None:
        self._clock: Clock = SystemClock()
        self._capture = _Stream("input", microphone, self._clock)
        self._playback = _Stream("output", loudspeaker, self._clock)
        self.notice = ""
        self._passed_ms = 0.0
        self._retry_ms = 0.0
        self._dry = 0  # samples that should have come since the last ones did
        self._stop = threading.Event()
        self._watchdog: threading.Thread | None = None

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
            return capture.resample(capture.ring.read(capture.ring.capacity))
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
        self.notice = " ".join(problems)

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
                _rescan()
                self._open_missing()


def _rescan() -> None:
    """Make PortAudio look for devices again, which it only does while no stream is open."""
    with _portaudio:
        if _open_streams:
            return
        try:
            sd = _sounddevice()
            sd._terminate()
            sd._initialize()
        except Exception as error:
            log.info("looking for sound devices: %s", error)


def open_port(microphone: str = "", loudspeaker: str = "") -> SoundDevicePort:
    """The port a call uses by default; never fails for want of a device."""
    return SoundDevicePort(microphone, loudspeaker)
