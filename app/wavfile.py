"""Reading speech from sound files and writing it: 16 kHz mono float32 inside, 16-bit WAV outside.

Reading takes anything libsndfile knows, at any rate and channel count, and refuses what is not
sound with one line. Writing goes to a temporary name and is renamed when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

MAX_SECONDS = 2 * 3600  # whole files are held in memory: 2 h are 460 MB
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
READABLE = "a WAV, FLAC, Ogg or MP3 file"


class WavError(SottovoceError):
    """A sound file that cannot be read or written."""


def read_wav(path: Path | str) -> Pcm:
    """Read speech as [N] float32, 16 kHz mono, N > 0. Channels are averaged, rates converted.

    Raises WavError when the file is missing, empty, not sound, too long or holds no numbers.
    """
    import soundfile
    import soxr

    path = Path(path)
    if not path.exists():
        raise WavError(f"{path}: no such file. Give {READABLE}.")
    if not path.is_file():
        raise WavError(f"{path} is not a file. Give {READABLE}.")
    try:
        if path.stat().st_size == 0:
            raise WavError(f"{path} is empty. Give {READABLE}.")
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
                raise WavError(f"{path}: a rate of {rate_hz} Hz cannot be speech. Give {READABLE}.")
            limit = MAX_SECONDS * rate_hz
            if file.frames > limit and file.seekable():
                raise WavError(f"{path} is longer than {MAX_SECONDS // 3600} hours: cut it first.")
            samples = file.read(min(file.frames, limit), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError, ValueError, MemoryError) as error:
        reason = str(error).split("\n")[0].removeprefix(f"Error opening {str(path)!r}: ")
        raise WavError(f"{path} cannot be read as sound ({reason}). Give {READABLE}.") from error
    if len(samples) == 0:
        raise WavError(f"{path} holds no samples. Give {READABLE} with speech in it.")
    pcm = samples.mean(axis=1)
    if not np.isfinite(pcm).all():
        raise WavError(f"{path} holds values that are not numbers: write it again as 16-bit WAV.")
    if rate_hz != SAMPLE_RATE_HZ:
        pcm = soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    if len(pcm) == 0:
        raise WavError(f"{path} is too short: give at least a few milliseconds.")
    return np.ascontiguousarray(np.clip(pcm, -1.0, 1.0), np.float32)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``; renamed to it on success, removed on any failure.

    Raises WavError (with what to do) when the folder is missing or cannot be written to.
    """
    if path.is_dir():
        raise WavError(f"{path} is a folder: give a file name.")
    if not path.parent.is_dir():
        raise WavError(f"The folder {path.parent} does not exist: create it first.")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WavError(f"{path} cannot be written ({reason}): choose another place.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_wav(path: Path | str, pcm: Pcm, comment: str = "", rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write mono 16-bit WAV atomically; values beyond ±1 are clipped. Same input, same bytes.

    ``comment`` goes into the file's LIST INFO chunk (how a player shows "synthetic speech").
    Raises WavError when it cannot be written.
    """
    import soundfile

    path = Path(path)
    samples = np.round(np.clip(np.asarray(pcm, np.float64), -1.0, 1.0) * 32767.0).astype(np.int16)
    with replacing(path) as partial:
        try:
            with soundfile.SoundFile(
                partial, "w", rate_hz, 1, subtype="PCM_16", format="WAV"
            ) as file:
                if comment:
                    file.comment = comment
                file.write(samples)
        except soundfile.SoundFileError as error:
            raise WavError(f"{path} cannot be written ({error}): choose another place.") from error


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically. Raises WavError when it cannot be written."""
    with replacing(Path(path)) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
