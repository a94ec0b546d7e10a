"""Human speech for calls without a microphone: given files, telephone prompts, espeak-ng last.

``find_talkers`` returns two 16 kHz recordings with the name of where each came from;
``conversation`` lays them out as two people who take turns and sometimes overlap.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from app.wavfile import WavError, read_wav
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ

SOUNDS: Final = Path("/usr/share/asterisk/sounds")  # Debian: asterisk-core-sounds-en-g722
PROMPTS: Final = (
    ("demo-congrats", "demo-moreinfo", "vm-options", "demo-thanks", "queue-periodic-announce"),
    ("demo-abouttotry", "tt-allbusy", "demo-echotest", "vm-instructions", "dir-intro"),
)
SECOND_VOICE_SLOWER: Final = 1.16  # played slower, hence lower: tells two talkers apart
PAUSE_MS: Final = 350
TURN_MS: Final = (3500, 5500)
OVERLAP_MS: Final = 500
LEVEL_RMS: Final = 0.07  # a telephone talker at a good distance, about -23 dBFS
TEXTS: Final = (
    "Good morning. The bridge is open again, but only for light vehicles. We will send two people "
    "with the medicine before noon, and they will need somebody who knows the road.",
    "Thank you, that is very good news. Please tell them to bring a second battery, because the "
    "radio has been weak since last night, and we do not know how long it will last.",
)


@dataclass(frozen=True, slots=True)
class Talker:
    name: str
    """What is heard, for people: a file name or 'telephone prompts'."""
    pcm: Pcm


def read_speech(path: Path) -> Pcm:
    """Any sound file, raw G.722 too → [N] float32 16 kHz. Raises WavError with what to do."""
    if path.suffix != ".g722" or not path.is_file():
        return read_wav(path)
    import av

    try:
        with av.open(str(path), format="g722") as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except (av.FFmpegError, ValueError) as error:
        raise WavError(f"{path} cannot be read as G.722: give a WAV file.") from error
    if not frames:
        raise WavError(f"{path} holds no sound: give a WAV file.")
    return (np.concatenate(frames).astype(np.float32) / 32768.0).astype(np.float32)


def _prompts() -> list[Talker]:
    """Two talkers from the prompts installed here; the same woman, once a bit slower and lower."""
    import soxr

    found: list[Talker] = []
    folders = sorted(SOUNDS.glob("en*")) if SOUNDS.is_dir() else []
    for names in PROMPTS:
        paths = [folder / f"{name}.g722" for name in names for folder in folders]
        pieces = [read_speech(path) for path in paths if path.is_file()]
        if not pieces:
            return []
        pause = np.zeros(PAUSE_MS * SAMPLE_RATE_HZ // 1000, np.float32)
        pcm = np.concatenate([part for piece in pieces for part in (piece, pause)])
        if found:
            pcm = soxr.resample(pcm, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * SECOND_VOICE_SLOWER)
        found.append(Talker("telephone prompts" + (", lower" if found else ""), pcm))
    return found


def _synthetic() -> list[Talker]:
    """Two espeak-ng talkers. Raises SottovoceError when there is no espeak-ng either."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SottovoceError(
            "No speech was found here: give --talker FILE.wav, or install "
            "asterisk-core-sounds-en-g722 or espeak-ng."
        )
    talkers = []
    for text, voice in zip(TEXTS, ("en-us+f3", "en-us+m3"), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "talker.wav"
            command = [program, "-v", voice, "-s", "150", "-w", str(path), text]
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            if done.returncode != 0:
                raise SottovoceError("espeak-ng could not speak: give --talker FILE.wav.")
            talkers.append(Talker("espeak-ng", read_wav(path)))
    return talkers


def level(pcm: Pcm) -> Pcm:
    """The same speech at the level of a telephone talker, by the RMS of its louder half."""
    usable = len(pcm) - len(pcm) % 320
    if not usable:
        return pcm
    power = np.sort((pcm[:usable].reshape(-1, 320) ** 2).mean(axis=1))
    rms = float(np.sqrt(power[len(power) // 2 :].mean()))
    if rms < 1e-5:
        return pcm
    peak = float(np.abs(pcm).max())
    return (pcm * min(LEVEL_RMS / rms, 0.98 / peak)).astype(np.float32)


def find_talkers(paths: Sequence[Path] = ()) -> tuple[Talker, Talker]:
    """Two talkers: the files given, filled up with prompts or else espeak-ng.

    Raises SottovoceError when a file is no sound or nothing at all speaks here.
    """
    given = [Talker(path.name, level(read_speech(path))) for path in paths[:2]]
    if len(given) < 2:
        others = _prompts() or _synthetic()
        given += [Talker(other.name, level(other.pcm)) for other in others[len(given) :]]
    return given[0], given[1]


def _cut(pcm: Pcm, start: int, shortest: int, longest: int) -> int:
    """Where to end a turn: the quietest 20 ms between ``shortest`` and ``longest`` from start."""
    stretch = pcm[start + shortest : start + longest]
    frames = len(stretch) // 320
    if frames < 1:
        return min(len(pcm), start + longest)
    power = (stretch[: frames * 320].reshape(frames, 320) ** 2).mean(axis=1)
    return start + shortest + int(np.argmin(power)) * 320


def conversation(one: Pcm, two: Pcm, seconds: float) -> tuple[Pcm, Pcm]:
    """Two tracks [seconds * 16000]: turns of some seconds, cut in pauses.

    Every third turn begins while the other still talks. Recordings that are too short repeat.
    """
    length = round(seconds * SAMPLE_RATE_HZ)
    tracks = np.zeros((2, length), np.float32)
    speech = (one, two)
    heard = [0, 0]
    shortest, longest = (ms * SAMPLE_RATE_HZ // 1000 for ms in TURN_MS)
    now, turn = 0, 0
    while now < length and min(len(one), len(two)) > 0:
        side = turn % 2
        pcm, start = speech[side], heard[side]
        end = min(_cut(pcm, start, shortest, longest), len(pcm))
        room = min(end - start, length - now)
        tracks[side, now : now + room] += pcm[start : start + room]
        heard[side] = end if end < len(pcm) else 0
        turn += 1
        shift_ms = -OVERLAP_MS if turn % 3 == 0 else PAUSE_MS
        now += max(1600, end - start + shift_ms * SAMPLE_RATE_HZ // 1000)
    return tracks[0], tracks[1]
