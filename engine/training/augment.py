"""Other voices, rooms and lines for the recogniser: one clip becomes another recording of it.

PCM goes in; out comes PCM of the same words at another speed, pitch and vocal-tract length, with
noise, room, telephone band, Opus or another level, and the factor by which its times moved.
Randomness comes from the caller's generator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from engine.mel import SAMPLE_RATE_HZ
from engine.opus import OpusDecoder, OpusEncoder

F32 = NDArray[np.float32]
OPUS_FRAME_MS = 20


def change_speed(pcm: F32, factor: float) -> F32:
    """Play ``factor`` times as fast: pitch and formants move with it (Ko et al., 2015)."""
    import soxr

    return np.asarray(soxr.resample(pcm, SAMPLE_RATE_HZ * factor, SAMPLE_RATE_HZ), np.float32)


def add_noise(pcm: F32, snr_db: float, tilt: float, rng: np.random.Generator) -> F32:
    """Stationary noise whose power falls with frequency to the power ``tilt`` (0 white, 2 brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(len(pcm)))
    shape = np.maximum(np.arange(len(spectrum)) / len(pcm) * SAMPLE_RATE_HZ, 40.0) ** (-tilt / 2)
    noise = np.fft.irfft(spectrum * shape, len(pcm))
    power = float(np.mean(pcm * pcm)) / max(float(np.mean(noise * noise)), 1e-20)
    return np.asarray(pcm + noise * np.sqrt(power * 10 ** (-snr_db / 10)), np.float32)


def add_babble(pcm: F32, others: F32, snr_db: float) -> F32:
    """Other people talking. others: [M]; repeated or cut to length."""
    noise = np.resize(others, len(pcm))
    power = float(np.mean(pcm * pcm)) / max(float(np.mean(noise * noise)), 1e-12)
    return np.asarray(pcm + noise * np.sqrt(power * 10 ** (-snr_db / 10)), np.float32)


def add_room(pcm: F32, rng: np.random.Generator) -> F32:
    """A shoebox room by image sources; the direct sound stays where it was."""
    import pyroomacoustics

    size = rng.uniform([2.5, 2.5, 2.2], [7.0, 6.0, 3.5])
    absorption, order = pyroomacoustics.inverse_sabine(rng.uniform(0.2, 0.6), size)
    room = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE_HZ,
        materials=pyroomacoustics.Material(absorption),
        max_order=min(order, 8),
    )
    talker, microphone = rng.uniform(0.4, 1.0, 3), rng.uniform(0.0, 1.0, 3)
    room.add_source(0.3 + talker * (size - 0.6))
    room.add_microphone(0.3 + microphone * (size - 0.6))
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float64)
    direct = int(np.argmax(np.abs(response)))
    wet = signal.fftconvolve(pcm, response)[direct : direct + len(pcm)]
    return np.asarray(wet / max(abs(response[direct]), 1e-6), np.float32)


def through_opus(pcm: F32, rate_bps: int) -> F32:
    """Coded and decoded, delay removed."""
    encoder, decoder = OpusEncoder(rate_bps, OPUS_FRAME_MS), OpusDecoder(OPUS_FRAME_MS)
    frame = OPUS_FRAME_MS * SAMPLE_RATE_HZ // 1000
    padded = np.concatenate([pcm, np.zeros(2 * frame, np.float32)])
    whole = padded[: len(padded) // frame * frame].reshape(-1, frame)
    out = np.concatenate([decoder.decode(encoder.encode(part)) for part in whole])
    lag = SAMPLE_RATE_HZ * 65 // 10_000  # 6.5 ms: libopus' look-ahead
    return np.asarray(out[lag : lag + len(pcm)], np.float32)


def through_telephone(pcm: F32) -> F32:
    """300 to 3400 Hz."""
    sections = signal.butter(4, [300, 3400], "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(signal.sosfilt(sections, pcm), np.float32)


def tilt_spectrum(pcm: F32, db_per_octave: float) -> F32:
    """Another microphone: a straight tilt around 1 kHz."""
    spectrum = np.fft.rfft(pcm)
    frequency = np.maximum(np.arange(len(spectrum)) * SAMPLE_RATE_HZ / max(len(pcm), 1), 60.0)
    gain = 10 ** (db_per_octave / 20 * np.log2(frequency / 1000.0))
    return np.asarray(np.fft.irfft(spectrum * gain, len(pcm)), np.float32)


def another_recording(pcm: F32, others: F32, rng: np.random.Generator) -> tuple[F32, float]:
    """A random mixture of the above. Returns the new PCM and the factor on all times.

    pcm: [N] 16 kHz, not empty; others: [M] somebody else, for babble.
    """
    factor = float(np.exp(rng.uniform(-0.16, 0.16)))
    out = change_speed(pcm, factor)
    if rng.random() < 0.5:
        out = tilt_spectrum(out, rng.uniform(-3.0, 3.0))
    if rng.random() < 0.25:
        out = add_room(out, rng)
    kind = rng.random()
    if kind < 0.3:
        out = add_noise(out, rng.uniform(5.0, 30.0), rng.uniform(0.0, 2.0), rng)
    elif kind < 0.4:
        out = add_babble(out, others, rng.uniform(8.0, 25.0))
    line = rng.random()
    if line < 0.12:
        out = through_opus(out, int(rng.choice([8_000, 12_000, 16_000])))
    elif line < 0.22:
        out = through_telephone(out)
    peak = max(float(np.abs(out).max()), 1e-6)
    level = 10 ** (rng.uniform(-30.0, 0.0) / 20)
    return np.asarray(out / peak * level, np.float32), 1.0 / factor
