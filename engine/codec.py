"""Whole recordings: PCM → events and a voice → a small file → PCM.

``SpeechCodec`` lets the streaming encoder and decoder of a call do the work, so a file holds what
a call would have sent. Besides training and the weights, this is the one module of the engine that
touches files; any bytes may be handed to its parser, which returns or refuses.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bitstream import decode_block, encode_block, event_bits
from engine.decoder import SpeechDecoder
from engine.describe import Segment, describe, event_latents
from engine.errors import SottovoceError
from engine.events import (
    DESCRIPTOR_MAX_BYTES,
    MAX_LAYERS,
    PITCH_LEVELS,
    Pcm,
    PhonemeEvent,
    VoiceDescriptor,
)
from engine.mel import HOP, SAMPLE_RATE_HZ
from engine.synthesizer import SpokenEvent

F32 = NDArray[np.float32]

MAGIC = b"SOTV"
FORMAT_VERSION = 3
HEADER = struct.Struct("<4sBBII")  # magic, version, descriptor bytes, samples, events
BLOCK = struct.Struct("<IH")  # ticks of silence before the block, its bytes
CHECKSUM = struct.Struct("<I")  # CRC-32 of everything before it
BLOCK_EVENTS = 64
MAX_SECONDS = 4 * 3_600  # no recording is longer
MAX_SAMPLES = MAX_SECONDS * SAMPLE_RATE_HZ
MAX_EVENTS = MAX_SAMPLES // HOP  # one event lasts a tick at least
MAX_FILE_BYTES = 16 * 1024 * 1024
RECOGNIZERS = ("streaming", "best")
BRIDGED_TICKS = 20  # pauses that belong to a talkspurt are shorter (ITU-T P.59)
OVERHANG_TICKS = 20  # how far the last event may reach beyond the last sample
PIECE = SAMPLE_RATE_HZ  # samples the encoder is fed at a time


class SottoError(SottovoceError):
    """Bytes that are no usable .sotto recording."""


@dataclass(frozen=True, slots=True)
class EncodedSpeech:
    """A recording as the codec keeps it."""

    events: tuple[PhonemeEvent, ...]
    """Consecutive from index 0, in order, without overlap."""
    voice: VoiceDescriptor | None
    """Who speaks; None is the mean voice."""
    samples: int
    """Length of the recording at 16 kHz; decoding gives exactly as many."""

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE_HZ

    @property
    def speech_seconds(self) -> float:
        """How long the talkspurts last together: pauses of less than 200 ms are part of one."""
        ticks, end = 0, -BRIDGED_TICKS
        for event in self.events:
            if not event.is_silence:
                pause = event.start_tick - end
                ticks += event.duration_ticks + (pause if pause < BRIDGED_TICKS else 0)
                end = event.end_tick
        return ticks * HOP / SAMPLE_RATE_HZ

    @property
    def payload_bits(self) -> int:
        """Bits of all event blocks, their padding to whole bytes included."""
        return 8 * sum(len(block) for _, block in self._blocks())

    @property
    def descriptor_bits(self) -> int:
        return 8 * len(self.voice.to_bytes()) if self.voice else 0

    @property
    def bits_per_second(self) -> float:
        """Event bits over the whole recording's length; 0 for an empty one."""
        return self.payload_bits / self.seconds if self.samples else 0.0

    @property
    def speech_bits_per_second(self) -> float:
        """All event bits, those of pauses too, over ``speech_seconds``; 0 where nobody speaks."""
        return self.payload_bits / self.speech_seconds if self.speech_seconds else 0.0

    def event_bits(self) -> list[float]:
        """What each event costs; together ``payload_bits``, for framing is shared by all."""
        bits: list[float] = []
        for start in range(0, len(self.events), BLOCK_EVENTS):
            known = self.events[max(0, start - BLOCK_EVENTS) : start]
            bits += event_bits(self.events[start : start + BLOCK_EVENTS], known)
        share = self.payload_bits / sum(bits) if bits else 1.0
        return [share * own for own in bits]

    def with_layers(self, layers: int) -> EncodedSpeech:
        """The same recording with at most ``layers`` articulation codes an event."""
        cut = tuple(replace(event, codes=event.codes[:layers]) for event in self.events)
        return replace(self, events=cut)

    def to_bytes(self) -> bytes:
        """The .sotto format: header, descriptor, blocks, CRC. Raises SottovoceError when too long."""
        if self.samples > MAX_SAMPLES:
            raise SottoError(f"Recordings end at {MAX_SECONDS // 3600} h: cut this one into parts.")
        descriptor = self.voice.to_bytes() if self.voice else b""
        parts = [
            HEADER.pack(MAGIC, FORMAT_VERSION, len(descriptor), self.samples, len(self.events)),
            descriptor,
        ]
        for gap_ticks, block in self._blocks():
            parts += [BLOCK.pack(gap_ticks, len(block)), block]
        body = b"".join(parts)
        return body + CHECKSUM.pack(zlib.crc32(body))

    def _blocks(self) -> list[tuple[int, bytes]]:
        """(ticks of silence since the block before, the block's bytes) of up to 64 events each."""
        blocks, previous_end = [], 0
        for start in range(0, len(self.events), BLOCK_EVENTS):
            part = self.events[start : start + BLOCK_EVENTS]
            known = self.events[max(0, start - BLOCK_EVENTS) : start]
            data = encode_block(part, [len(event.codes) for event in part], known=known)
            blocks.append((part[0].start_tick - previous_end, data))
            previous_end = part[-1].end_tick
        return blocks

    @classmethod
    def from_bytes(cls, data: bytes) -> EncodedSpeech:
        """Parse what ``to_bytes`` wrote; bounded work. Raises SottoError for anything else."""
        if len(data) > MAX_FILE_BYTES:
            raise SottoError("This is too large for a .sotto file: choose another one.")
        if len(data) < HEADER.size + CHECKSUM.size or not data.startswith(MAGIC):
            raise SottoError("This is no .sotto file: choose one that `sottovoce encode` wrote.")
        body, (checksum,) = data[: -CHECKSUM.size], CHECKSUM.unpack(data[-CHECKSUM.size :])
        _, version, descriptor_bytes, samples, count = HEADER.unpack_from(body)
        if version > FORMAT_VERSION:
            raise SottoError(f"This .sotto file has format {version}: update Sottovoce to read it.")
        if version < FORMAT_VERSION:
            raise SottoError(
                f"This .sotto file has the old format {version}: encode the recording again."
            )
        if zlib.crc32(body) != checksum:
            raise SottoError("This .sotto file is damaged: get a fresh copy or encode it again.")
        position = HEADER.size + descriptor_bytes
        voice = (
            VoiceDescriptor.from_bytes(body[HEADER.size : position]) if descriptor_bytes else None
        )
        bad_voice = descriptor_bytes > DESCRIPTOR_MAX_BYTES or (descriptor_bytes and voice is None)
        if bad_voice or samples > MAX_SAMPLES or count > MAX_EVENTS:
            raise SottoError("This .sotto file holds impossible values: encode it again.")
        events = cls._parse_blocks(body, position, count, samples)
        return cls(events, voice, samples)

    @staticmethod
    def _parse_blocks(
        body: bytes, position: int, count: int, samples: int
    ) -> tuple[PhonemeEvent, ...]:
        events: list[PhonemeEvent] = []
        last_tick = samples // HOP + OVERHANG_TICKS
        tick = 0
        while position < len(body):
            if position + BLOCK.size > len(body):
                raise SottoError("This .sotto file ends inside a block: encode it again.")
            gap_ticks, size = BLOCK.unpack_from(body, position)
            position += BLOCK.size
            block = body[position : position + size]
            position += size
            first_tick = tick + gap_ticks
            fits = len(block) == size > 0 and first_tick <= last_tick
            known = events[-BLOCK_EVENTS:]
            part = decode_block(block, len(events), first_tick, known=known) if fits else None
            if not part or part[-1].end_tick > last_tick or len(events) + len(part) > count:
                raise SottoError(
                    "This .sotto file holds a block that makes no sense: encode it again."
                )
            events += part
            tick = part[-1].end_tick
        if len(events) != count:
            raise SottoError("This .sotto file misses events: encode it again.")
        return tuple(events)

    def save(self, path: str | Path) -> Path:
        """Write a .sotto file (temporary name, then rename). Raises SottoError on failure."""
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        data = self.to_bytes()
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise SottoError(
                f"Cannot write {path} ({error.strerror}): choose another place."
            ) from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> EncodedSpeech:
        """Read a .sotto file. Raises SottoError when it cannot be read or makes no sense."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise SottoError(
                f"Cannot read {path} ({error.strerror}): choose a .sotto file."
            ) from error
        return cls.from_bytes(data)


class SpeechCodec:
    """Encodes and decodes whole recordings. Raises WeightsError when a shipped model is damaged.

    >>> codec = SpeechCodec()
    >>> codec.encode(pcm).save("hello.sotto")
    >>> pcm = codec.decode(EncodedSpeech.load("hello.sotto"))
    """

    def encode(
        self,
        pcm: Pcm,
        layers: int = MAX_LAYERS,
        events: Sequence[Segment] | None = None,
        recognizer: str = "streaming",
    ) -> EncodedSpeech:
        """pcm: [N] mono at 16 kHz → events with ``layers`` articulation codes, and a voice.

        ``events`` names phonemes and times that are already known instead of recognising them.
        ``recognizer="best"`` hears words first, where delay is free (extra ``eval``). Samples that
        are not finite count as silence. Raises SottovoceError on other shapes and values.
        """
        pcm = _checked(pcm)
        if not 0 <= layers <= MAX_LAYERS or recognizer not in RECOGNIZERS:
            raise SottovoceError(
                f"Choose 0 to {MAX_LAYERS} layers and a recogniser of {', '.join(RECOGNIZERS)}."
            )
        if len(pcm) < HOP:
            return EncodedSpeech((), None, len(pcm))
        if events is None and recognizer == "best":
            from engine.word_recognizer import recognize_words

            events = recognize_words(pcm)
        if events is not None:
            described, voice = describe(pcm, events, layers)
            return EncodedSpeech(tuple(described), voice, len(pcm))
        from engine.encoder import SpeechEncoder  # here: who only decodes loads no recogniser

        encoder = SpeechEncoder(layers)
        heard: list[PhonemeEvent] = []
        for start in range(0, len(pcm), PIECE):
            heard += encoder.push(pcm[start : start + PIECE])
        heard += encoder.flush()
        return EncodedSpeech(_within(heard, len(pcm)), encoder.voice, len(pcm))

    def decode(self, encoded: EncodedSpeech, voice: VoiceDescriptor | None = None) -> Pcm:
        """Speak a recording: [encoded.samples] at 16 kHz, aligned with what was encoded.

        ``voice`` replaces the talker's; pitch moves by the ratio of the two mean pitches.
        """
        if encoded.samples > MAX_SAMPLES:
            raise SottoError(f"Recordings end at {MAX_SECONDS // 3600} h: cut this one into parts.")
        events = encoded.events
        if voice is not None and encoded.voice is not None:
            # Quarter semitones in the descriptor, semitones in the events.
            events = _transposed(events, round((voice.f0_mean - encoded.voice.f0_mean) / 4))
        decoder = SpeechDecoder(voice=voice or encoded.voice)
        late = SpeechDecoder.LOOKAHEAD_MS * SAMPLE_RATE_HZ // 1000
        out = np.zeros(encoded.samples + late, np.float32)
        position = 0
        for i, event in enumerate(events):
            for pcm in (
                decoder.silence(event.start_tick - position // HOP),
                decoder.speak(
                    SpokenEvent(
                        event, event.duration_ticks, events[i + 1] if i + 1 < len(events) else None
                    )
                ),
            ):
                kept = pcm[: max(0, len(out) - position)]
                out[position : position + len(kept)] = kept
                position += len(pcm)
        left = len(out) - position
        if left > 0:
            out[position:] = decoder.silence(-(-left // HOP))[:left]
        return out[late:]

    def features(self, pcm: Pcm, events: Sequence[Segment] | None = None) -> F32:
        """The articulation latents before quantisation, for use downstream.

        pcm: [N] at 16 kHz → [T, 64] float32, one row per event that ``encode`` of the same
        arguments returns (so at event rate, about 12 a second of speech).
        """
        pcm = _checked(pcm)
        encoded = self.encode(pcm, layers=0, events=events)
        return event_latents(pcm, encoded.events, encoded.voice)


def _checked(pcm: Pcm) -> Pcm:
    """Mono float32, finite, within full scale. Raises SottovoceError."""
    array = np.asarray(pcm)
    if array.ndim != 1:
        raise SottovoceError(
            f"The codec takes mono PCM of shape [N], not {array.shape}: mix it down."
        )
    if array.dtype.kind != "f":
        raise SottovoceError(
            "The codec takes float PCM in [-1, 1]: divide 16-bit samples by 32768."
        )
    if len(array) > MAX_SAMPLES:
        raise SottovoceError(f"Recordings end at {MAX_SECONDS // 3600} h: cut this one into parts.")
    clean = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(clean, -1.0, 1.0).astype(np.float32)


def _within(events: Sequence[PhonemeEvent], samples: int) -> tuple[PhonemeEvent, ...]:
    """Events that start inside the recording, the last one cut where the format wants it."""
    last_tick = samples // HOP + OVERHANG_TICKS
    return tuple(event for event in events if event.end_tick <= last_tick)


def _transposed(events: Sequence[PhonemeEvent], semitones: int) -> tuple[PhonemeEvent, ...]:
    def moved(event: PhonemeEvent) -> PhonemeEvent:
        if not event.voiced:
            return event
        first, second = (min(max(p + semitones, 0), PITCH_LEVELS - 1) for p in event.pitch)
        return replace(event, pitch=(first, second))

    return tuple(map(moved, events))
