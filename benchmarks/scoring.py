"""Scoring what came out of a codec, clip by clip, with a cache so that a run can be resumed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from benchmarks.corpus import Sample
from benchmarks.peers import Coded
from engine import metrics, scorers
from engine.edit_distance import count_edits, merge_repeats
from engine.events import Pcm
from engine.g2p import text_to_ids
from engine.transcripts import word_edits

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, Any]
F32 = NDArray[np.float32]
JUDGES = ("metrics", "scorers", "transcripts", "edit_distance", "alignment", "g2p")


def cache_dir() -> Path:
    named = os.environ.get("SOTTOVOCE_BENCH_CACHE")
    folder = Path(named) if named else Path(platformdirs.user_cache_dir("sottovoce", False))
    return folder / "benchmarks"


def fingerprint(*patterns: str) -> str:
    """Hash of every file under the repository that matches: results of other code are stale."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def judges_fingerprint() -> str:
    return fingerprint(*(f"engine/{name}.py" for name in JUDGES))


def load_row(key: str) -> Row | None:
    try:
        row = json.loads((cache_dir() / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) else None


def save_row(key: str, row: Row) -> None:
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{key}.partial"
    partial.write_text(json.dumps(row), encoding="utf-8")
    partial.replace(folder / f"{key}.json")


@lru_cache(maxsize=64)
def _voices(key: str, data: bytes) -> tuple[F32, F32]:
    """Both judges' vectors of a reference, made once for all codecs."""
    pcm = np.frombuffer(data, np.float32)
    return scorers.embed_voice(pcm), scorers.embed_voice_second(pcm)


def score_understanding(sample: Sample, pcm: Pcm) -> Row:
    """Words and phonemes that independent recognisers read in ``pcm``, against the transcript."""
    words = word_edits(sample.text, scorers.transcribe(pcm))
    truth = merge_repeats(text_to_ids(sample.text))
    phonemes = count_edits(truth, scorers.hear_phonemes(pcm))
    voice, second = _voices(sample.id, sample.clean.tobytes())
    return {
        "words": words.reference_length,
        "word_errors": words.rate * words.reference_length,
        "phonemes": phonemes.reference_length,
        "phoneme_errors": phonemes.rate * phonemes.reference_length,
        "estoi": metrics.estoi(sample.clean, pcm),
        "speaker": float(voice @ scorers.embed_voice(pcm)),
        "speaker_second": float(second @ scorers.embed_voice_second(pcm)),
    }


def score_sound(sample: Sample, pcm: Pcm) -> Row:
    """Quality and melody: the slower scores."""
    return {
        "pesq": metrics.pesq_wb(sample.clean, pcm),
        "dnsmos": metrics.dnsmos(pcm),
        "f0_correlation": metrics.f0_correlation(sample.clean, pcm),
        "mse_dtw": metrics.mse_dtw(sample.clean, pcm),
    }


def score_coded(sample: Sample, coded: Coded, sound: bool = True) -> Row:
    """Everything a table needs of one clip; without ``sound`` the slower scores are left out."""
    row: Row = {
        "seconds": sample.seconds,
        "speech_seconds": sample.speech_seconds,
        "payload_bits": coded.payload_bits,
        "speech_bits": coded.speech_bits,
        "descriptor_bits": coded.descriptor_bits,
        "encode_seconds": coded.encode_seconds,
        "decode_seconds": coded.decode_seconds,
        "delay_ms": coded.delay_ms,
        **score_understanding(sample, coded.pcm),
    }
    if sound:
        row |= score_sound(sample, coded.pcm)
    if coded.phonemes:
        truth = merge_repeats(text_to_ids(sample.text))
        sent = merge_repeats(coded.phonemes)
        row["sent_errors"] = count_edits(truth, sent).rate * len(truth)
    return row


def _total(rows: Sequence[Row], key: str) -> float | None:
    values = [row.get(key) for row in rows]
    return None if any(v is None for v in values) else math.fsum(v for v in values if v is not None)


def _mean(rows: Sequence[Row], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None and math.isfinite(row[key])]
    return math.fsum(values) / len(values) if values else None


def _ratio(rows: Sequence[Row], above: str, below: str) -> float | None:
    a, b = _total(rows, above), _total(rows, below)
    return a / b if a is not None and b else None


def summarise(rows: Sequence[Row]) -> Row:
    """Clip rows → one codec's figures: rates and errors pooled, other scores averaged."""
    return {
        "clips": len(rows),
        "payload_bps": _ratio(rows, "payload_bits", "seconds"),
        "speech_bps": _ratio(rows, "speech_bits", "speech_seconds"),
        "wer": _ratio(rows, "word_errors", "words"),
        "per": _ratio(rows, "phoneme_errors", "phonemes"),
        "sent_per": _ratio(rows, "sent_errors", "phonemes"),
        **{
            key: _mean(rows, key)
            for key in (
                "estoi", "pesq", "dnsmos", "speaker", "speaker_second", "f0_correlation",
                "mse_dtw", "delay_ms", "descriptor_bits",
            )
        },
        "rtf_encode": _ratio(rows, "encode_seconds", "seconds"),
        "rtf_decode": _ratio(rows, "decode_seconds", "seconds"),
    }  # fmt: skip
