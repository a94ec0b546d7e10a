"""The echo guard: echo cancellation, noise suppression and gain control before the recogniser.

The work is done by WebRTC's audio processing module (as ``livekit`` ships it), 10 ms at a time.
It is told what the loudspeaker plays and takes it out of what the microphone hears. Without the
library speech passes unchanged and ``name`` is empty.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import numpy as np

from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

FRAME: Final = SAMPLE_RATE_HZ // 100
MAX_PENDING: Final = SAMPLE_RATE_HZ  # one second of reference waits at most; drops the oldest


class EchoGuard:
    """Engine worker only. ``played`` first, then ``clean``."""

    def __init__(self, echo: bool = True, noise: bool = True, gain: bool = True) -> None:
        self.name = ""
        self._near = np.zeros(0, np.float32)
        self._far = np.zeros(0, np.float32)
        self._processor: Any = None
        self._echo = False
        self.configure(echo, noise, gain)

    def configure(self, echo: bool, noise: bool, gain: bool) -> None:
        """Switch parts on or off; starts adapting anew."""
        self._processor = None
        self.name = ""
        if not (echo or noise or gain):
            return
        try:
            from livekit.rtc.apm import AudioProcessingModule
        except (ImportError, OSError) as error:
            log.info("no echo guard: %s", error)
            return
        self._echo = echo
        self._processor = AudioProcessingModule(
            echo_cancellation=echo,
            noise_suppression=noise,
            auto_gain_control=gain,
            high_pass_filter=echo,  # rumble misleads the canceller
        )
        parts = [name for on, name in ((echo, "echo"), (noise, "noise"), (gain, "gain")) if on]
        self.name = "WebRTC " + ", ".join(parts)

    def played(self, pcm: Pcm) -> None:
        """What was just handed to the loudspeaker, [N] 16 kHz."""
        if self._processor is None:
            return
        self._far = np.concatenate([self._far, pcm])[-MAX_PENDING:]
        while len(self._far) >= FRAME:
            frame, self._far = self._far[:FRAME], self._far[FRAME:]
            self._processor.process_reverse_stream(_audio_frame(frame))

    def clean(self, pcm: Pcm, delay_ms: float) -> Pcm:
        """Microphone [N] → [M], whole 10 ms frames; the rest waits for the next call.

        ``delay_ms``: from handing a sample to the loudspeaker to hearing its echo.
        """
        if self._processor is None:
            return pcm
        self._near = np.concatenate([self._near, pcm])
        usable = len(self._near) - len(self._near) % FRAME
        frames, self._near = self._near[:usable], self._near[usable:]
        if self._echo:
            self._processor.set_stream_delay_ms(int(np.clip(delay_ms, 0, 500)))
        cleaned = [_audio_frame(frame) for frame in frames.reshape(-1, FRAME)]
        for audio in cleaned:
            self._processor.process_stream(audio)  # in place
        data = np.frombuffer(b"".join(bytes(audio.data) for audio in cleaned), np.int16)
        return (data / 32768.0).astype(np.float32)


def _audio_frame(pcm: Pcm) -> Any:
    from livekit.rtc import AudioFrame

    data = (np.clip(pcm, -1.0, 1.0) * 32767.0).astype(np.int16).tobytes()
    return AudioFrame(bytearray(data), SAMPLE_RATE_HZ, 1, FRAME)
