"""The echo of this machine: plays speech through its loudspeaker and listens to its microphone.

Says how loud the echo is, how late it comes and how much of it the guard takes out, with the same
queue and hints as in a call. Whoever is in the room keeps quiet meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.signal import correlate

from app.audio import AudioPort
from app.echo import ADAPT_S, BLOCK, MakeGuard, ratio_db, talking
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

TURN_S: Final = 0.01
QUEUE_MS: Final = 80.0
LONGEST_DELAY_MS: Final = 1000.0
HEARD: Final = 0.15  # correlation from which what the microphone hears is our own sound
AFTER_S: Final = 0.7  # listen on, for the echo of the last word


@dataclass(frozen=True, slots=True)
class EchoHere:
    microphone: str
    loudspeaker: str
    heard: bool
    """Whether the microphone hears the loudspeaker at all; without, the rest says nothing."""
    loss_db: float
    """How much quieter the echo is than what was played (echo return loss)."""
    delay_ms: float
    """From a sample's turn at the loudspeaker to reading its echo: sound card, air, sound card."""
    erle_db: float
    """Echo return loss enhancement by the guard, after it had time to learn."""

    def __str__(self) -> str:
        if not self.heard:
            return "No echo: the microphone does not hear the loudspeaker (headphones, or muted)."
        return (
            f"echo {self.loss_db:.0f} dB below what is played, {self.delay_ms:.0f} ms later; "
            f"the guard takes out {self.erle_db:.0f} dB of it"
        )


def measure_here(
    port: AudioPort, far: Pcm, make: MakeGuard, wait: Callable[[float], None]
) -> EchoHere:
    """Play ``far`` [N] at 16 kHz through ``port``, which is started and closed here; ``wait`` lets
    so many seconds pass. Raises SottovoceError when a device is missing or gives too little."""
    guard = make()
    port.start()
    try:
        if not (port.microphone and port.loudspeaker):
            raise SottovoceError(port.notice or "An echo needs a microphone and a loudspeaker.")
        played: list[Pcm] = []
        heard: list[Pcm] = []
        cleaned: list[Pcm] = []
        at = 0
        end = len(far) + int(AFTER_S * SAMPLE_RATE_HZ)
        while at < end:
            microphone = port.read()
            queued_ms = port.queued_ms()
            count = max(0, int((QUEUE_MS - queued_ms) * SAMPLE_RATE_HZ / 1000.0))
            piece = np.zeros(count, np.float32)
            sound = far[at : at + count]
            piece[: len(sound)] = sound
            port.write(piece)
            at += count
            guard.played(piece)
            played.append(piece)
            heard.append(microphone)
            cleaned.append(guard.clean(microphone, queued_ms + sum(port.latency_ms())))
            wait(TURN_S)
        names = port.microphone, port.loudspeaker
    finally:
        port.close()
    sides = (np.concatenate(pieces) for pieces in (played, heard, cleaned))
    return compare(*names, *sides)


def compare(microphone: str, loudspeaker: str, played: Pcm, heard: Pcm, cleaned: Pcm) -> EchoHere:
    """Figures from what was played, heard and let through, each [N] at 16 kHz from one moment on."""
    if min(map(len, (played, heard, cleaned))) < 2 * ADAPT_S * SAMPLE_RATE_HZ:
        raise SottovoceError("The microphone gives too little sound: check it in the settings.")
    length = min(len(played), len(heard), len(cleaned))
    played, heard, cleaned = played[:length], heard[:length], cleaned[:length]
    match = correlate(heard, played, method="fft")[length - 1 :]
    match = match[: int(LONGEST_DELAY_MS * SAMPLE_RATE_HZ / 1000.0)]
    late = int(np.argmax(np.abs(match)))
    echo, source = heard[late:], played[: length - late]
    size = float(np.sqrt(np.sum(np.square(echo)) * np.sum(np.square(source))))
    alike = float(np.abs(match[late])) / max(size, 1e-12)
    talks = talking(source)
    adapted = np.arange(len(talks)) * BLOCK >= ADAPT_S * SAMPLE_RATE_HZ
    return EchoHere(
        microphone,
        loudspeaker,
        alike > HEARD,
        ratio_db(source, echo, talks),
        1000.0 * late / SAMPLE_RATE_HZ,
        ratio_db(echo, cleaned[late:], talks & adapted),
    )
