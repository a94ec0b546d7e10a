"""Spoken events in, PCM out: synthesizer, voice glide, vocoder and limiter of one listener.

One decoder serves one stream and keeps its state. What it returns is always exactly as long as
what was asked for, finite and within full scale, whatever the network or a model brought forth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.comfort import FADE, ComfortLoop, crossfade
from engine.errors import SottovoceError
from engine.events import TICK_MS, Pcm, VoiceDescriptor
from engine.frames import AcousticFrames
from engine.mel import HOP, N_MELS
from engine.synthesizer import SpokenEvent, Synthesizer
from engine.vocoder import Vocoder
from engine.voice import descriptor_vector, interpolate

F32 = NDArray[np.float32]

GLIDE_TICKS = 20  # a new voice arrives within 200 ms, so that nobody hears it jump
COMFORT_MEL = -10.5  # nepers: white noise at -71 dBFS, a line that is open but quiet
QUIETEST_MEL, LOUDEST_MEL = -11.5, -8.0  # comfort noise stays between these
DYING_AWAY = (0.6, 0.3)  # share of the last frame's level left in the first frames of silence
COMFORT_PACE = 0.05  # share of each silent frame that the comfort noise takes on
REST_TICKS = 20  # after this much silence the synthesizer starts afresh
SETTLE_TICKS = 40  # after this much nothing of the speech is left in the vocoder
KNEE = 0.8  # the limiter leaves everything below alone


def limit(pcm: Pcm) -> Pcm:
    """Bend samples beyond KNEE smoothly towards full scale; sample by sample, so without seams."""
    loud = np.abs(pcm)
    bent = KNEE + (1.0 - KNEE) * np.tanh((loud - KNEE) / (1.0 - KNEE))
    return np.where(loud <= KNEE, pcm, np.sign(pcm) * bent).astype(np.float32)


class SpeechDecoder:
    """Speaks one stream of events.

    Models may be shared between decoders: they hold no state. Raises WeightsError when the
    shipped weights are missing or damaged.
    """

    LOOKAHEAD_MS = Vocoder.LOOKAHEAD_FRAMES * TICK_MS

    def __init__(
        self,
        synthesizer: Synthesizer | None = None,
        vocoder: Vocoder | None = None,
        voice: VoiceDescriptor | None = None,
    ) -> None:
        """``voice`` is spoken from the first sample on; ``set_voice`` glides instead."""
        self._synthesizer = synthesizer or Synthesizer()
        self._vocoder = vocoder or Vocoder()
        self._spoken_state = self._synthesizer.initial_state()
        self._vocoder_state = self._vocoder.initial_state()
        self._from_voice: F32 = descriptor_vector(voice)
        self._to_voice: F32 = self._from_voice
        self._glide_ticks = GLIDE_TICKS  # of GLIDE_TICKS done
        self._comfort = np.full(N_MELS, COMFORT_MEL, np.float32)
        self._last_mel = self._comfort
        self._silent_ticks = 0
        self._resting: ComfortLoop | None = None
        """Set once a silence has settled; until speech returns."""

    def set_voice(self, voice: VoiceDescriptor | None) -> None:
        """Glide to ``voice`` over the next GLIDE_TICKS ticks of speech; None is the mean voice.

        Raises SottovoceError for a descriptor that names no voice; the voice stays as it was.
        """
        target = np.asarray(descriptor_vector(voice), np.float32)
        if not np.isfinite(target).all():
            raise SottovoceError(
                "The voice descriptor names no voice: ask the far end for another."
            )
        self._from_voice = self._current_voice()
        self._to_voice = target
        self._glide_ticks = 0

    def speak(self, spoken: SpokenEvent) -> Pcm:
        """Speak one event: [play_ticks * 160] samples, LOOKAHEAD_MS behind the event."""
        voice = self._current_voice(ahead_ticks=spoken.play_ticks / 2)
        frames, following = self._synthesizer.step(spoken, voice, self._spoken_state)
        if not (np.isfinite(frames.mel).all() and np.isfinite(frames.f0_hz).all()):
            # A model gone astray would stay there: start it afresh and let this event be silent.
            self._spoken_state = self._synthesizer.initial_state()
            return self.silence(spoken.play_ticks)
        self._spoken_state = following
        self._glide_ticks = min(GLIDE_TICKS, self._glide_ticks + spoken.play_ticks)
        self._silent_ticks = 0
        if spoken.event.is_silence:
            self._learn_comfort(frames.mel)
        self._last_mel = frames.mel[-1]
        rested, self._resting = self._resting, None
        pcm = self._render(frames)
        if rested is not None and not rested.missing_ticks:
            # the vocoder goes on where it stopped when the loop began
            return crossfade(rested.play(FADE), pcm)
        return pcm

    def silence(self, ticks: int) -> Pcm:
        """Comfort noise, [ticks * 160] samples; speech before it dies away smoothly.

        A long silence costs next to nothing: see ``engine.comfort``.
        """
        pieces = [np.zeros(0, np.float32)]
        while ticks > 0:
            unsettled = SETTLE_TICKS - self._silent_ticks
            if unsettled > 0:
                count = min(ticks, REST_TICKS, unsettled)
                pieces.append(self._rest(count))
            else:
                loop = self._resting = self._resting or ComfortLoop()
                count = min(ticks, REST_TICKS, loop.missing_ticks) or ticks
                if loop.missing_ticks:
                    pieces.append(loop.feed(self._rest(count)))
                else:
                    pieces.append(loop.play(count * HOP))
            ticks -= count
        return np.concatenate(pieces)

    def _rest(self, ticks: int) -> Pcm:
        mel = np.tile(self._comfort, (ticks, 1))
        for tick, share in enumerate(DYING_AWAY[self._silent_ticks :][:ticks]):
            mel[tick] += share * np.maximum(self._last_mel - self._comfort, 0.0)
        self._silent_ticks += ticks
        if self._silent_ticks >= REST_TICKS:
            self._spoken_state = self._synthesizer.initial_state()
        return self._render(AcousticFrames(mel, np.zeros(ticks, np.float32)))

    def _current_voice(self, ahead_ticks: float = 0.0) -> F32:
        done = min(1.0, (self._glide_ticks + ahead_ticks) / GLIDE_TICKS)
        if done >= 1.0:
            return self._to_voice
        return np.asarray(interpolate(self._from_voice, self._to_voice, done), np.float32)

    def _learn_comfort(self, mel: F32) -> None:
        """Let comfort noise drift towards how the talker's pauses sound."""
        for frame in np.clip(mel, QUIETEST_MEL, LOUDEST_MEL):
            self._comfort = self._comfort + COMFORT_PACE * (frame - self._comfort)

    def _render(self, frames: AcousticFrames) -> Pcm:
        pcm, self._vocoder_state = self._vocoder.step(frames, self._vocoder_state)
        return limit(np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0))
