"""The port between a call and whatever hears and speaks: 16 kHz mono blocks in, blocks out.

The engine worker is the only one who calls ``read`` and ``write``; neither blocks. A port that
has no device behind it is paced by a clock, so a call needs no special case for it:
``FilePort`` plays a recording into the call in real time, ``NullPort`` only listens.
``app.devices.SoundDevicePort`` has the real devices.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from app.clock import Clock, SystemClock
from app.ring import Ring
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

SAMPLES_PER_MS: Final = SAMPLE_RATE_HZ // 1000
RING_MS: Final = 2000  # more than any stall of the engine worker that a call survives


class AudioPort(Protocol):
    @property
    def microphone(self) -> str:
        """Name of what is heard; empty without one."""

    @property
    def loudspeaker(self) -> str: ...

    @property
    def notice(self) -> str:
        """One line when something is wrong with a device; empty when all is well."""

    def start(self) -> None: ...

    def read(self) -> Pcm:
        """Everything captured since the last call, 16 kHz; silence flows without a microphone."""

    def write(self, pcm: Pcm) -> None:
        """Queue for playing; what does not fit is dropped (newest) and counted."""

    def queued_ms(self) -> float:
        """Written and not yet played."""

    def latency_ms(self) -> tuple[float, float]:
        """What the device itself adds: (capture, playback)."""

    def dropped(self) -> Mapping[str, int]:
        """Counts of samples by queue: ``capture`` refused, ``playback`` refused, ``underrun``."""

    def close(self) -> None: ...


class NullPort:
    """No devices: hears silence, plays into nothing, at the pace of ``clock``."""

    microphone = ""
    loudspeaker = ""

    def __init__(self, clock: Clock | None = None, notice: str = "") -> None:
        self.notice = notice
        self._clock: Clock = clock or SystemClock()
        self._playback = Ring(RING_MS * SAMPLES_PER_MS)
        self._began_ms: float | None = None
        self._passed = 0

    def start(self) -> None:
        self._began_ms = self._clock.now_ms()
        self._passed = 0

    def read(self) -> Pcm:
        if self._began_ms is None:
            return np.zeros(0, np.float32)
        due = int((self._clock.now_ms() - self._began_ms) * SAMPLES_PER_MS)
        count = min(due - self._passed, RING_MS * SAMPLES_PER_MS)  # after a long stall: skip ahead
        self._passed = due
        played = np.empty(count, np.float32)
        self._playback.read_into(played)
        self.played(played)
        return self.captured(count)

    def captured(self, count: int) -> Pcm:
        """The next ``count`` samples of the microphone."""
        return np.zeros(count, np.float32)

    def played(self, pcm: Pcm) -> None:
        """What the loudspeaker just gave out."""

    def write(self, pcm: Pcm) -> None:
        self._playback.write(pcm)

    def queued_ms(self) -> float:
        return len(self._playback) / SAMPLES_PER_MS

    def latency_ms(self) -> tuple[float, float]:
        return 0.0, 0.0

    def dropped(self) -> Mapping[str, int]:
        return {
            "capture": 0,
            "playback": self._playback.dropped,
            "underrun": self._playback.missing,
        }

    def close(self) -> None:
        self._began_ms = None


class FilePort(NullPort):
    """A recording as the microphone and, optionally, a WAV as the loudspeaker, in real time."""

    def __init__(
        self,
        speech: Pcm,
        out: Path | None = None,
        *,
        name: str = "file",
        repeat: bool = False,
        held: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """``speech`` [N] 16 kHz; after its end silence, or from the start with ``repeat``.
        ``held``: silence until ``release``."""
        super().__init__(clock)
        self.microphone = name
        self.loudspeaker = str(out) if out else ""
        self._speech = np.asarray(speech, np.float32)
        self._position = 0
        self._repeat = repeat and len(speech) > 0
        self._held = held
        self._sink = _FileSink(out) if out else None

    def release(self) -> None:
        """Let the recording begin."""
        self._held = False

    @property
    def finished(self) -> bool:
        """Whether the whole recording was heard."""
        return not self._repeat and self._position >= len(self._speech)

    def captured(self, count: int) -> Pcm:
        out = np.zeros(count, np.float32)
        filled = 0
        while filled < count and not self._held:
            if self._repeat and self._position >= len(self._speech):
                self._position = 0
            piece = self._speech[self._position : self._position + count - filled]
            if not len(piece):
                break
            out[filled : filled + len(piece)] = piece
            self._position += len(piece)
            filled += len(piece)
        return out

    def played(self, pcm: Pcm) -> None:
        if self._sink:
            self._sink.write(pcm)

    def dropped(self) -> Mapping[str, int]:
        lost = self._sink.dropped if self._sink else 0
        return {**super().dropped(), "file": lost}

    def close(self) -> None:
        super().close()
        if self._sink:
            self._sink.close()
            self._sink = None


class SplitPort:
    """One port's microphone with another's loudspeaker."""

    def __init__(self, ears: AudioPort, mouth: AudioPort) -> None:
        self.ears = ears
        self.mouth = mouth

    @property
    def microphone(self) -> str:
        return self.ears.microphone

    @property
    def loudspeaker(self) -> str:
        return self.mouth.loudspeaker

    @property
    def notice(self) -> str:
        return self.ears.notice or self.mouth.notice

    def start(self) -> None:
        self.ears.start()
        self.mouth.start()

    def read(self) -> Pcm:
        self.mouth.read()  # what a port plays may be paced by its reading
        return self.ears.read()

    def write(self, pcm: Pcm) -> None:
        self.mouth.write(pcm)

    def queued_ms(self) -> float:
        return self.mouth.queued_ms()

    def latency_ms(self) -> tuple[float, float]:
        return self.ears.latency_ms()[0], self.mouth.latency_ms()[1]

    def dropped(self) -> Mapping[str, int]:
        heard = self.ears.dropped().get("capture", 0)
        return {**self.mouth.dropped(), "capture": heard}

    def close(self) -> None:
        self.ears.close()
        self.mouth.close()


class _FileSink:
    """Writes a WAV on a thread of its own, so that a slow disk never holds the call up."""

    def __init__(self, path: Path) -> None:
        from app.wavstream import WavStream

        self._stream = WavStream(path)
        self._pieces: queue.Queue[Pcm | None] = queue.Queue(maxsize=400)  # drops the newest
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"wav {path.name}", daemon=True)
        self._thread.start()

    def write(self, pcm: Pcm) -> None:
        try:
            self._pieces.put_nowait(pcm)
        except queue.Full:
            self.dropped += len(pcm)

    def close(self) -> None:
        try:
            self._pieces.put(None, timeout=5.0)
        except queue.Full:
            return
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._stream.write(piece)
        self._stream.close()
