"""PCM in, phoneme events and a voice descriptor out: everything the sender says about speech.

Recogniser, prosody, articulation codes and voice, each streaming. Events come as soon as their
phoneme is decided and its pitch was heard. Long silence is one event and then a hole.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import numpy as np

from engine.articulation import ArticulationEncoder
from engine.errors import SottovoceError
from engine.events import MAX_LAYERS, Pcm, PhonemeEvent, VoiceDescriptor
from engine.mel import HOP, LOG_FLOOR, N_MELS, WINDOW, log_mel
from engine.phonemes import SILENCE
from engine.prosody import LATENCY_TICKS, ProsodyTracker
from engine.recognizer import RecognizedPhoneme, StreamingRecognizer
from engine.voice import VoiceEncoder, descriptor_vector

HISTORY_TICKS = 200  # audio kept for the articulation encoder
EDGE_TICKS = WINDOW // 2 // HOP + 1  # a log-mel frame sees this much on each side


class SpeechEncoder:
    """Encodes one talker. Not for two threads at once; ``voice`` may be read from any."""

    def __init__(
        self,
        layers: int = MAX_LAYERS,
        recognizer: StreamingRecognizer | None = None,
        track_voice: bool = True,
    ) -> None:
        """``layers``: articulation codes an event carries, 0 … MAX_LAYERS. ``track_voice=False``
        leaves the descriptor to somebody else, who calls ``set_voice``."""
        if not 0 <= layers <= MAX_LAYERS:
            raise SottovoceError(f"Choose 0 to {MAX_LAYERS} articulation layers, not {layers}.")
        self.layers = layers
        self.samples_pushed = 0
        self._recognizer = recognizer or StreamingRecognizer()
        self._prosody = ProsodyTracker()
        self._articulation = ArticulationEncoder() if layers else None
        self._voice_encoder = VoiceEncoder() if track_voice else None
        self._voice: VoiceDescriptor | None = None
        self._voice_vector = descriptor_vector(None)
        self._lock = threading.Lock()
        self._audio = np.zeros(0, np.float32)
        self._audio_tick = 0  # tick of the first sample kept
        self._waiting: list[RecognizedPhoneme] = []
        self._previous: PhonemeEvent | None = None
        self._index = 0

    @property
    def voice(self) -> VoiceDescriptor | None:
        """The newest descriptor; None until about a second of speech was heard."""
        with self._lock:
            return self._voice

    def set_voice(self, voice: VoiceDescriptor) -> None:
        """Take a descriptor found elsewhere, for example by the adaptation thread."""
        vector = descriptor_vector(voice)
        with self._lock:
            self._voice, self._voice_vector = voice, vector

    def push(self, pcm: Pcm) -> list[PhonemeEvent]:
        """[N] mono samples at 16 kHz, any N → the events that ended. Indices have no holes.

        Samples that are not finite count as silence. Raises SottovoceError on other shapes.
        """
        if np.ndim(pcm) != 1:
            raise SottovoceError("The encoder needs mono PCM [N]: mix the channels down first.")
        clean = np.clip(np.nan_to_num(np.asarray(pcm, np.float32)), -1.0, 1.0)
        self.samples_pushed += len(clean)
        self._audio = np.concatenate([self._audio, clean])
        self._prosody.push(clean)
        if self._voice_encoder is not None:
            self._voice_encoder.f0_mean_hz = self._prosody.f0_mean_hz()
            found = self._voice_encoder.push(clean)
            if found is not None:
                self.set_voice(found)
        self._waiting += self._recognizer.push(clean)
        events = self._describe_ready(final=False)
        self._forget()
        return events

    def flush(self) -> list[PhonemeEvent]:
        """The audio has ended: the events still open. The encoder may be used no further."""
        self._prosody.flush()
        self._waiting += self._recognizer.flush()
        if self._voice is None and self._voice_encoder is not None:
            with contextlib.suppress(SottovoceError):  # nobody spoke: there is no voice to describe
                self.set_voice(self._voice_encoder.describe(self._audio))
        return self._describe_ready(final=True)

    def _describe_ready(self, final: bool) -> list[PhonemeEvent]:
        heard_ticks = self._audio_tick + len(self._audio) // HOP
        events = []
        while self._waiting:
            phoneme = self._waiting[0]
            end = phoneme.start_tick + phoneme.duration_ticks
            if not final and heard_ticks < end + LATENCY_TICKS:
                break
            self._waiting.pop(0)
            event = self._event(phoneme)
            if event is not None:
                events.append(event)
        return events

    def _event(self, phoneme: RecognizedPhoneme) -> PhonemeEvent | None:
        previous = self._previous
        silent = phoneme.phoneme == SILENCE
        if silent and (previous is None or previous.is_silence):
            return None  # a hole in the ticks says it for nothing
        prosody = self._prosody.measure(phoneme.start_tick, phoneme.duration_ticks)
        event = PhonemeEvent(
            index=self._index,
            phoneme=phoneme.phoneme,
            start_tick=phoneme.start_tick,
            duration_ticks=phoneme.duration_ticks,
            voiced=prosody.voiced and not silent,
            pitch=prosody.pitch if prosody.voiced and not silent else (0, 0),
            energy=prosody.energy,
        )
        if self._articulation is not None and not silent:
            mel = self._mel(event.start_tick, event.duration_ticks)
            codes = self._articulation.encode(mel, event, previous, self._voice_vector)
            event = replace(event, codes=codes[: self.layers])
        self._index += 1
        self._previous = event
        return event

    def _mel(
        self, first_tick: int, count: int
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Log-mel frames [count, 80] from ``first_tick``; what was not heard repeats the edge."""
        low = max(first_tick - EDGE_TICKS, self._audio_tick)
        start = (low - self._audio_tick) * HOP
        stop = max(0, first_tick + count + EDGE_TICKS - self._audio_tick) * HOP
        frames = log_mel(self._audio[start:stop])
        if len(frames) == 0:  # a pause so long that its beginning is forgotten
            return np.full((count, N_MELS), np.log(LOG_FLOOR), np.float32)
        wanted = np.arange(first_tick - low, first_tick - low + count)
        return np.ascontiguousarray(frames[np.clip(wanted, 0, max(0, len(frames) - 1))])

    def _forget(self) -> None:
        oldest = self._waiting[0].start_tick if self._waiting else self._heard_ticks()
        keep_from = min(oldest - EDGE_TICKS, self._heard_ticks() - HISTORY_TICKS)
        drop = keep_from - self._audio_tick
        if drop > 0:
            self._audio = self._audio[drop * HOP :]
            self._audio_tick += drop

    def _heard_ticks(self) -> int:
        return self._audio_tick + len(self._audio) // HOP
