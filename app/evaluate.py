"""Scores of what arrived against what was said, for two sound files or a whole bundle.

Every score that needs a package or a text that is not there is left out with a reason, never
guessed. A bundle's ``report.json`` tells each arm's delay, which is taken off before scoring.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.export import TWO_TALKERS
from app.recorder import INFO_FILE
from app.wavfile import read_wav
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

Scores = dict[str, Any]
MAX_LAG_MS = 3_000.0  # the longest delay that is looked for when none was reported


def estimate_delay_ms(near: Pcm, far: Pcm) -> float:
    """How much later ``far`` is, by the loudness contours (10 ms frames), 0 ... MAX_LAG_MS."""

    def contour(pcm: Pcm) -> np.ndarray[Any, np.dtype[np.float64]]:
        frames = len(pcm) // 160
        power = np.square(pcm[: frames * 160].astype(np.float64)).reshape(frames, 160).mean(axis=1)
        level = np.log10(power + 1e-7)
        return np.asarray(level - level.mean())

    a, b = contour(near), contour(far)
    lags = range(min(int(MAX_LAG_MS // 10), max(len(b) - 1, 0)) + 1)
    if len(a) == 0 or len(b) == 0:
        return 0.0
    match = [float(np.dot(a[: len(b) - lag], b[lag : lag + len(a)])) for lag in lags]
    return 10.0 * int(np.argmax(match))


def shifted(far: Pcm, delay_ms: float, samples: int) -> Pcm:
    """``far`` without its first ``delay_ms``, cut or padded to ``samples``."""
    part = far[round(delay_ms * SAMPLE_RATE_HZ / 1000) :][:samples]
    return np.pad(part, (0, samples - len(part))).astype(np.float32)


def score(near: Pcm, far: Pcm, text: str = "", delay_ms: float | None = None) -> Scores:
    """Score ``far`` against ``near``; without ``delay_ms`` it is estimated.

    Returns the scores and, under ``left_out``, why others are missing.
    """
    from engine import metrics

    delay = estimate_delay_ms(near, far) if delay_ms is None else delay_ms
    aligned = shifted(far, delay, len(near))
    scores: Scores = {"delay_ms": round(delay, 1)}
    left_out: dict[str, str] = {}

    def keep(name: str, compute: Callable[[], Any]) -> None:
        try:
            value = compute()
        except (ImportError, SottovoceError, ValueError, RuntimeError, OSError) as error:
            left_out[name] = " ".join(str(error).split())[:160]
            return
        if isinstance(value, dict):
            scores.update({f"{name}_{k}": round(float(v), 4) for k, v in value.items()})
        else:
            scores[name] = round(float(value), 4)

    keep("estoi", lambda: metrics.estoi(near, aligned))
    keep("pesq_wb", lambda: metrics.pesq_wb(near, aligned))
    keep("speaker_similarity", lambda: metrics.speaker_similarity(near, aligned))
    keep("mse_dtw", lambda: metrics.mse_dtw(near, aligned))
    keep("dnsmos", lambda: metrics.dnsmos(aligned))
    if text.strip():
        keep("wer", lambda: metrics.wer(text, aligned))
    else:
        left_out["wer"] = "no text given (--text)"
    if left_out:
        scores["left_out"] = left_out
    return scores


def evaluate_pair(near: Path, far: Path, text: str = "") -> Scores:
    """Score two sound files. Raises SottovoceError when one cannot be read."""
    return score(read_wav(near), read_wav(far), text)


def _about(folder: Path) -> dict[str, Any]:
    """What the folder says of itself, whole or cut short by a crash."""
    for name in ("manifest.json", INFO_FILE):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def evaluate_bundle(folder: Path, text: str = "") -> dict[str, Scores]:
    """Score every ``far_*.wav`` of a bundle. Raises SottovoceError when it is none."""
    near_path = folder / "near.wav"
    if not near_path.is_file():
        raise SottovoceError(f"{folder} holds no near.wav: give a bundle of `sottovoce simulate`.")
    if TWO_TALKERS in _about(folder):
        raise SottovoceError(
            f"near.wav and far_*.wav in {folder} are two people in a call: give the near.wav that "
            "the other side recorded, then the far file from here."
        )
    near = read_wav(near_path)
    far_paths = sorted(folder.glob("far_*.wav"))
    if not far_paths:
        raise SottovoceError(f"{folder} holds no far_*.wav: nothing arrived that could be scored.")
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = {}
    scores = {}
    for path in far_paths:
        figures = report.get(path.stem.removeprefix("far_")) if isinstance(report, dict) else None
        delay = figures.get("delay_ms_median") if isinstance(figures, dict) else None
        reported = float(delay) if isinstance(delay, int | float) else None
        scores[path.name] = score(near, read_wav(path), text, reported)
    return scores


def as_table(scores: dict[str, Scores]) -> str:
    """Plain text: a line a score, a column a sound."""
    rows = sorted({key for one in scores.values() for key in one if key != "left_out"})
    width = max([len(row) for row in rows] + [12])
    columns = {name: max(len(name), 10) for name in scores}
    lines = [" " * width + "".join(f"  {name:>{w}}" for name, w in columns.items())]
    for row in rows:
        cells = "".join(f"  {scores[n].get(row, '–'):>{w}}" for n, w in columns.items())
        lines.append(f"{row:<{width}}{cells}")
    for name, one in scores.items():
        for key, why in one.get("left_out", {}).items():
            lines.append(f"{name}: no {key}: {why}")
    return "\n".join(lines)
