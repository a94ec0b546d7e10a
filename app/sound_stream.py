"""One direction of sound through PortAudio: a stream, a ring at its rate and a resampler beside it.

The callbacks copy samples between the device and the ring, and count. Opening, closing and
rescanning exclude each other; only the callbacks run on PortAudio's thread.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final, Literal

import numpy as np

from app.audio import RING_MS, SAMPLES_PER_MS
from app.clock import Clock
from app.ring import Ring
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

Way = Literal["input", "output"]
BLOCK_MS: Final = 10
STALLED_MS: Final = 1500.0  # no callback for so long: the device is gone

_portaudio = threading.Lock()
_open_streams = 0


def sounddevice_module() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise SottovoceError(
            "Sound devices need PortAudio: install libportaudio2, or call with --mic FILE.wav."
        ) from error
    return sounddevice


class SoundStream:
    """Opened and closed by the device watchdog, read and written by the engine worker."""

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

        sd = sounddevice_module()
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


def rescan() -> None:
    """Make PortAudio look for devices again, which it only does while no stream is open."""
    with _portaudio:
        if _open_streams:
            return
        try:
            sd = sounddevice_module()
            sd._terminate()
            sd._initialize()
        except Exception as error:
            log.info("looking for sound devices: %s", error)
