"""The codecs Sottovoce is measured against, behind one function: a sample in, what came out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyworld
import soxr

from benchmarks.corpus import Sample
from engine.alignment import find_delay
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from engine.opus import OpusDecoder, OpusEncoder

OPUS_RATES_KBPS = (6, 8, 12, 24)
CODEC2_MODES = ("700C", "1200", "2400", "3200")
OPUS_FRAME_MS = 20
CODEC2_RATE_HZ = 8_000


@dataclass(frozen=True)
class Coded:
    """One sample through one codec."""

    pcm: Pcm
    payload_bits: float | None = None
    """None where nothing is sent (the original, resynthesis)."""
    speech_bits: float | None = None
    """The part of ``payload_bits`` spent while somebody speaks."""
    encode_seconds: float = 0.0
    """Of processor time, one thread."""
    decode_seconds: float = 0.0
    delay_ms: float | None = None
    """Algorithmic: from the moment a sound is spoken until it could be heard."""
    phonemes: list[int] = field(default_factory=list)
    """What a phoneme codec sent: its recogniser's reading."""
    descriptor_bits: int = 0


Coder = Callable[[Sample], Coded]


def original(sample: Sample) -> Coded:
    return Coded(sample.pcm)


def opus(rate_kbps: int) -> Coder:
    def run(sample: Sample) -> Coded:
        encoder = OpusEncoder(rate_kbps * 1000, OPUS_FRAME_MS)
        decoder = OpusDecoder(OPUS_FRAME_MS)
        size = encoder.frame_samples
        frames = np.pad(sample.pcm, (0, -len(sample.pcm) % size)).reshape(-1, size)
        began = time.process_time()
        packets = [encoder.encode(frame) for frame in frames]
        encoded = time.process_time()
        pcm = np.concatenate([decoder.decode(packet) for packet in packets])
        decoded = time.process_time()
        bits = np.array([8 * len(packet) for packet in packets])
        return Coded(
            pcm,
            float(bits.sum()),
            float(bits[sample.speech_mask(size)].sum()),
            encoded - began,
            decoded - encoded,
            OPUS_FRAME_MS + find_delay(sample.pcm, pcm) * 1000 / SAMPLE_RATE_HZ,
        )

    return run


def codec2(mode: str) -> Coder:
    def run(sample: Sample) -> Coded:
        import pycodec2

        codec = pycodec2.Codec2(700 if mode == "700C" else int(mode))
        size = codec.samples_per_frame()
        narrow = soxr.resample(sample.pcm, SAMPLE_RATE_HZ, CODEC2_RATE_HZ)
        integers = np.clip(np.round(narrow * 32767), -32768, 32767).astype(np.int16)
        frames = np.pad(integers, (0, -len(integers) % size)).reshape(-1, size)
        began = time.process_time()
        packets = [codec.encode(frame) for frame in frames]
        encoded = time.process_time()
        heard = np.concatenate([codec.decode(packet) for packet in packets])
        decoded = time.process_time()
        wide = soxr.resample(heard.astype(np.float32) / 32768, CODEC2_RATE_HZ, SAMPLE_RATE_HZ)
        pcm = np.clip(wide, -1.0, 1.0).astype(np.float32)
        bits = codec.bits_per_frame()  # packed back to back, as a call would
        mask = sample.speech_mask(size * SAMPLE_RATE_HZ // CODEC2_RATE_HZ)
        frame_ms = 1000 * size / CODEC2_RATE_HZ
        return Coded(
            pcm,
            float(bits * len(packets)),
            float(bits * mask.sum()),
            encoded - began,
            decoded - encoded,
            frame_ms + find_delay(sample.pcm, pcm) * 1000 / SAMPLE_RATE_HZ,
        )

    return run


def world(sample: Sample) -> Coded:
    """WORLD analysis and synthesis without quantisation (Morise, 2016)."""
    wave = sample.pcm.astype(np.float64)
    began = time.process_time()
    f0, times = pyworld.dio(wave, SAMPLE_RATE_HZ)
    f0 = pyworld.stonemask(wave, f0, times, SAMPLE_RATE_HZ)
    envelope = pyworld.cheaptrick(wave, f0, times, SAMPLE_RATE_HZ)
    aperiodicity = pyworld.d4c(wave, f0, times, SAMPLE_RATE_HZ)
    analysed = time.process_time()
    pcm = pyworld.synthesize(f0, envelope, aperiodicity, SAMPLE_RATE_HZ)
    return Coded(
        np.clip(pcm, -1.0, 1.0).astype(np.float32),
        encode_seconds=analysed - began,
        decode_seconds=time.process_time() - analysed,
    )


PEERS: dict[str, Coder] = {
    "original": original,
    **{f"opus-{rate}k": opus(rate) for rate in OPUS_RATES_KBPS},
    **{f"codec2-{mode}": codec2(mode) for mode in CODEC2_MODES},
    "world": world,
}
