"""Offline scores: how well speech is understood, how much it sounds like itself, how good.

Reference and degraded PCM (16 kHz) or transcripts go in, plain numbers come out. Judges are
imported when first asked for (``engine.scorers``). Delays are removed before waveforms are
compared; a score that cannot be formed (silence, too short) is NaN, never an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine import scorers
from engine.alignment import align
from engine.edit_distance import count_edits, merge_repeats
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import HOP, SAMPLE_RATE_HZ, log_mel
from engine.phonemes import SILENCE
from engine.transcripts import word_edits

_PITCH_FLOOR_HZ: Final = 60.0
_PITCH_CEILING_HZ: Final = 500.0
_DTW_BAND: Final = 0.1  # of the longer sound: how far timing may wander


def _phonemes(ids: Sequence[int]) -> list[int]:
    return merge_repeats(i for i in ids if i != SILENCE)


def per(reference: Sequence[int], hypothesis: Sequence[int]) -> float:
    """Phoneme error rate, 0 ... 1: silences dropped, repeats merged, capped at 1."""
    return count_edits(_phonemes(reference), _phonemes(hypothesis)).rate


def corpus_per(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Phoneme errors over reference phonemes of many utterances, each capped at 1."""
    edits = [count_edits(_phonemes(a), _phonemes(b)) for a, b in pairs]
    return _pooled([(e.rate * e.reference_length, e.reference_length) for e in edits])


def wer(texts: Sequence[str] | str, sounds: Sequence[Pcm] | Pcm, beam: int = 5) -> float:
    """Word error rate of Whisper tiny.en over utterances, each capped at 1 (it hallucinates)."""
    if isinstance(texts, str):
        texts = [texts]
    if isinstance(sounds, np.ndarray):
        sounds = [sounds]
    edits = [
        word_edits(text, scorers.transcribe(pcm, beam))
        for text, pcm in zip(texts, sounds, strict=True)
    ]
    return _pooled([(e.rate * e.reference_length, e.reference_length) for e in edits])


def _pooled(errors: Sequence[tuple[float, int]]) -> float:
    total = sum(length for _, length in errors)
    return sum(wrong for wrong, _ in errors) / total if total else float("nan")


def _comparable(reference: Pcm, degraded: Pcm) -> tuple[Pcm, Pcm] | None:
    """Aligned and of one length, or None where there is nothing to compare."""
    a, b = align(_clean(reference), _clean(degraded))
    if len(a) < SAMPLE_RATE_HZ // 4 or not np.any(a) or not np.any(b):
        return None
    return a, b


def _clean(pcm: Pcm) -> Pcm:
    return np.clip(np.nan_to_num(np.asarray(pcm, np.float32)), -1.0, 1.0)


def estoi(reference: Pcm, degraded: Pcm, extended: bool = True) -> float:
    """Extended STOI, 0 ... 1 (Jensen & Taal, 2016); plain STOI with ``extended=False``."""
    try:
        from pystoi import stoi
    except ImportError as error:
        raise scorers.missing("pystoi") from error
    pair = _comparable(reference, degraded)
    return float(stoi(*pair, SAMPLE_RATE_HZ, extended=extended)) if pair else float("nan")


def pesq_wb(reference: Pcm, degraded: Pcm) -> float:
    """Wide-band PESQ, about 1 ... 4.6 (ITU-T P.862.2)."""
    try:
        from pesq import PesqError, pesq
    except ImportError as error:
        raise scorers.missing("pesq") from error
    pair = _comparable(reference, degraded)
    score = pesq(SAMPLE_RATE_HZ, *pair, "wb", on_error=PesqError.RETURN_VALUES) if pair else -1.0
    return float(score) if score > 0 else float("nan")  # negative values are its error codes


def dnsmos(degraded: Pcm) -> float:
    """DNSMOS P.835 overall, about 1 ... 5, without a reference."""
    return scorers.dnsmos_overall(degraded)


def speaker_similarity(a: Pcm, b: Pcm) -> float:
    """Cosine of Resemblyzer's embeddings, -1 ... 1."""
    return float(scorers.embed_voice(a) @ scorers.embed_voice(b))


def second_speaker_similarity(a: Pcm, b: Pcm) -> float:
    """Cosine of another embedder's vectors: a check on the first, which the codec also uses."""
    return float(scorers.embed_voice_second(a) @ scorers.embed_voice_second(b))


def speaker_anchors(voices: Sequence[Pcm], second: bool = False) -> tuple[float, float]:
    """(same speaker, different speakers): mean cosine between the halves of one recording and
    between recordings of different people. Recordings under 4 s are left out of the halves."""
    embed = scorers.embed_voice_second if second else scorers.embed_voice
    halves = [
        float(embed(pcm[: len(pcm) // 2]) @ embed(pcm[len(pcm) // 2 :]))
        for pcm in voices
        if len(pcm) >= 4 * SAMPLE_RATE_HZ
    ]
    vectors = np.stack([embed(pcm) for pcm in voices])
    others = (vectors @ vectors.T)[np.triu_indices(len(voices), 1)]
    same = float(np.mean(halves)) if halves else float("nan")
    return same, float(others.mean()) if others.size else float("nan")


def _pitch(pcm: Pcm) -> NDArray[np.float64]:
    """f0 in Hz every 10 ms, 0 where unvoiced."""
    import pyworld

    wave = pcm.astype(np.float64)
    f0, times = pyworld.dio(
        wave,
        SAMPLE_RATE_HZ,
        f0_floor=_PITCH_FLOOR_HZ,
        f0_ceil=_PITCH_CEILING_HZ,
        frame_period=1000.0 * HOP / SAMPLE_RATE_HZ,
    )
    return np.asarray(pyworld.stonemask(wave, f0, times, SAMPLE_RATE_HZ))


def f0_correlation(reference: Pcm, degraded: Pcm) -> float:
    """Pearson correlation of log f0 over frames voiced in both sounds."""
    pair = _comparable(reference, degraded)
    if pair is None:
        return float("nan")
    a, b = _pitch(pair[0]), _pitch(pair[1])
    length = min(len(a), len(b))
    both = (a[:length] > 0) & (b[:length] > 0)
    if both.sum() < 10:
        return float("nan")
    x, y = np.log(a[:length][both]), np.log(b[:length][both])
    if x.std() < 1e-9 or y.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def mse_dtw(reference: Pcm, degraded: Pcm) -> float:
    """Mean squared log-mel difference (nepers squared) along the best time alignment.

    Timing errors cost nothing by themselves: what is left is how each sound sounds.
    """
    try:
        import librosa
    except ImportError as error:
        raise SottovoceError("Scoring needs librosa: run `pip install librosa`.") from error
    pair = _comparable(reference, degraded)
    if pair is None:
        return float("nan")
    a, b = log_mel(pair[0]), log_mel(pair[1])
    a, b = a - a.mean(), b - b.mean()  # loudness is not what is asked here
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    costs = np.maximum(squares, 0.0) / a.shape[1]
    band = max(_DTW_BAND, 20 / max(len(a), 1))
    _, path = librosa.sequence.dtw(C=costs, global_constraints=True, band_rad=min(band, 1.0))
    return float(costs[path[:, 0], path[:, 1]].mean())
