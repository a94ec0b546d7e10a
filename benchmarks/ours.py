"""Our codec in its variants: layers 0 … 4, transcript phonemes, and the vocoder by itself."""

from __future__ import annotations

import time
from functools import lru_cache

import numpy as np

from benchmarks.corpus import Sample
from benchmarks.peers import Coded, Coder
from engine.codec import EncodedSpeech, SpeechCodec
from engine.decoder import SpeechDecoder
from engine.events import MAX_EVENT_TICKS, MAX_LAYERS, TICK_MS, PhonemeEvent
from engine.frames import AcousticFrames
from engine.mel import HOP, SAMPLE_RATE_HZ, log_mel
from engine.phonemes import PHONEME_ID
from engine.prosody import ProsodyTracker
from engine.vocoder import Vocoder

LAYERS = range(MAX_LAYERS + 1)
CAPTURE = SAMPLE_RATE_HZ * 20 // 1000  # samples: a sound card's block


@lru_cache(maxsize=1)
def _codec() -> SpeechCodec:
    return SpeechCodec()


@lru_cache(maxsize=64)
def _streamed(sample_id: str, data: bytes) -> tuple[EncodedSpeech, float, float]:
    """A sample through the streaming encoder: (all layers, processor seconds, delay in ms).

    The delay is the median over phonemes from the middle of one being spoken until its event
    comes out, which is when the far end could begin to speak it.
    """
    from engine.encoder import SpeechEncoder  # the rest works without a trained recogniser

    pcm = np.frombuffer(data, np.float32)
    encoder = SpeechEncoder(layers=MAX_LAYERS)
    events: list[PhonemeEvent] = []
    waits: list[float] = []
    began = time.process_time()
    for start in range(0, len(pcm), CAPTURE):
        new = encoder.push(pcm[start : start + CAPTURE])
        now_ms = (start + CAPTURE) * 1000 / SAMPLE_RATE_HZ
        waits += [now_ms - e.start_tick * TICK_MS for e in new if not e.is_silence]
        events += new
    events += encoder.flush()
    spent = time.process_time() - began
    encoded = EncodedSpeech(tuple(events), encoder.voice, len(pcm))
    return encoded, spent, float(np.median(waits)) if waits else 0.0


def _coded(
    sample: Sample,
    encoded: EncodedSpeech,
    encode_seconds: float,
    delay_ms: float | None,
    own: bool,
) -> Coded:
    began = time.process_time()
    pcm = _codec().decode(encoded)
    return Coded(
        pcm,
        float(encoded.payload_bits),
        _speech_bits(sample, encoded),
        encode_seconds,
        time.process_time() - began,
        None if delay_ms is None else delay_ms + SpeechDecoder.LOOKAHEAD_MS,
        [e.phoneme for e in encoded.events if not e.is_silence] if own else [],
        encoded.descriptor_bits,
    )


def _speech_bits(sample: Sample, encoded: EncodedSpeech) -> float:
    """Bits of the events that touch a talkspurt, as for the peers' frames."""
    mask = sample.speech_mask(HOP)
    bits = zip(encoded.events, encoded.event_bits(), strict=True)
    return float(sum(cost for event, cost in bits if mask[event.start_tick : event.end_tick].any()))


def streaming(layers: int) -> Coder:
    """What a call sends with ``layers`` articulation layers."""

    def run(sample: Sample) -> Coded:
        full, spent, delay_ms = _streamed(sample.id, sample.pcm.tobytes())
        return _coded(sample, full.with_layers(layers), spent, delay_ms, own=True)

    return run


def oracle(layers: int) -> Coder:
    """The transcript's phonemes, force-aligned, in place of the recogniser's."""

    def run(sample: Sample) -> Coded:
        segments = []
        for phoneme, start, ticks in sample.events:
            pieces = -(-ticks // MAX_EVENT_TICKS)
            edges = np.linspace(start, start + ticks, pieces + 1).round().astype(int)
            segments += [
                (PHONEME_ID[phoneme], int(a), int(b - a))
                for a, b in zip(edges, edges[1:], strict=False)
                if b > a
            ]
        began = time.process_time()
        encoded = _codec().encode(sample.pcm, layers=layers, events=segments)
        return _coded(sample, encoded, time.process_time() - began, None, own=False)

    return run


def best(layers: int) -> Coder:
    """Files and voice notes: words heard first, phonemised and aligned."""

    def run(sample: Sample) -> Coded:
        began = time.process_time()
        encoded = _codec().encode(sample.pcm, layers=layers, recognizer="best")
        return _coded(sample, encoded, time.process_time() - began, None, own=True)

    return run


def copy_synthesis(sample: Sample) -> Coded:
    """The true log-mel and pitch through our vocoder: what it loses by itself."""
    frames = len(sample.pcm) // HOP
    began = time.process_time()
    mel = log_mel(sample.pcm)
    tracker = ProsodyTracker(history_ticks=frames + 1)
    tracker.push(sample.pcm)
    tracker.flush()
    f0_hz = tracker.f0_hz(0, frames)
    analysed = time.process_time()
    vocoder = Vocoder()
    ahead = Vocoder.LOOKAHEAD_FRAMES
    padded = AcousticFrames(
        np.pad(mel, ((0, ahead), (0, 0)), mode="edge"), np.pad(f0_hz, (0, ahead))
    )
    pcm, _ = vocoder.step(padded, vocoder.initial_state())
    return Coded(
        np.clip(pcm[ahead * HOP :], -1.0, 1.0).astype(np.float32),
        encode_seconds=analysed - began,
        decode_seconds=time.process_time() - analysed,
    )


OURS: dict[str, Coder] = {
    **{f"phonemes-{layers}": streaming(layers) for layers in LAYERS},
    "best-0": best(0),
    f"best-{MAX_LAYERS}": best(MAX_LAYERS),
    "oracle-0": oracle(0),
    f"oracle-{MAX_LAYERS}": oracle(MAX_LAYERS),
    "copy": copy_synthesis,
}
