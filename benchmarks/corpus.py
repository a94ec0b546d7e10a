"""The speech that figures are measured on: unseen speakers, with accents, children, in noise."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import soundfile

from engine.codec import BRIDGED_TICKS
from engine.errors import SottovoceError
from engine.events import TICK_MS, Pcm
from engine.mel import SAMPLE_RATE_HZ
from tests import speech

SETS = ("readers", "accents", "children", "noise")
LEARNERS = {"accents": "adult", "children": "child"}
"""Sets of Mandarin speakers of English, and which of them."""
SENTENCES = 3  # of each of them
NOISE_SNR_DB = 10.0
Event = tuple[str, int, int]


@dataclass(frozen=True)
class Sample:
    """One utterance to be sent: ``pcm`` is what the microphone hears, ``clean`` what was said."""

    id: str
    text: str
    pcm: Pcm
    clean: Pcm
    events: tuple[Event, ...]
    """(phoneme, start tick, ticks) by forced alignment with the transcript."""

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE_HZ

    def talkspurts(self) -> list[tuple[int, int]]:
        """(first tick, end tick) of the speech portions, by the alignment.

        As in ITU-T P.59 a pause of less than 200 ms belongs to the talkspurt it interrupts; longer
        pauses and the silence before and after are no speech.
        """
        spurts: list[tuple[int, int]] = []
        for phoneme, start, ticks in self.events:
            if phoneme == "sil":
                continue
            if spurts and start - spurts[-1][1] < BRIDGED_TICKS:
                spurts[-1] = (spurts[-1][0], start + ticks)
            else:
                spurts.append((start, start + ticks))
        return spurts

    def speech_mask(self, hop: int) -> np.ndarray:
        """[ceil(N / hop)] bool: which hops of ``hop`` samples lie in talkspurts."""
        mask = np.zeros(-(-len(self.pcm) // hop), bool)
        samples = SAMPLE_RATE_HZ * TICK_MS // 1000
        for start, end in self.talkspurts():
            mask[start * samples // hop : -(-end * samples // hop)] = True
        return mask

    @property
    def speech_seconds(self) -> float:
        return sum(end - start for start, end in self.talkspurts()) * TICK_MS / 1000


def load_set(name: str = "readers", limit: int | None = None) -> list[Sample]:
    """The clips of a set, at most ``limit``. Raises SottovoceError without the corpus."""
    if speech.speech_dir() is None:
        raise SottovoceError(f"Benchmarks need speech: {speech.SPEECH_REASON}.")
    if name in LEARNERS:
        clips = _in_turn([c for c in speech.clips("speechocean") if c.group == LEARNERS[name]])
    else:
        clips = speech.clips("librispeech")
        if limit is not None:  # a few stand for all the better the more they differ in length
            clips = clips[:: max(1, len(clips) // limit)]
    aligned = speech.alignments()
    samples = []
    for number, clip in enumerate(clips[:limit]):
        clean = speech.load_pcm(clip.path)
        heard = _in_noise(clean, number) if name == "noise" else clean
        samples.append(Sample(clip.id, clip.text, heard, clean, tuple(aligned[clip.id])))
    return samples


def _in_turn(clips: list[speech.Clip]) -> list[speech.Clip]:
    """SENTENCES of each speaker, a first one of everybody, then a second one."""
    by_speaker: dict[str, list[speech.Clip]] = {}
    for clip in clips:
        by_speaker.setdefault(clip.speaker, []).append(clip)
    rounds = zip_longest(*by_speaker.values())
    return [clip for turn in islice(rounds, SENTENCES) for clip in turn if clip]


def _readable(paths: list[Path], first: int) -> Pcm:
    """The first recording from ``first`` on that libsndfile reads to its end: it gives up on a few."""
    for step in range(len(paths)):
        with contextlib.suppress(soundfile.LibsndfileError):
            return speech.load_pcm(paths[(first + step) % len(paths)])
    raise SottovoceError("No recording in the folder `noise` can be read.")


def _in_noise(clean: Pcm, number: int) -> Pcm:
    """``clean`` with background noise NOISE_SNR_DB below it; every clip has another noise."""
    folder = speech.noise_dir()
    if folder is None:
        raise SottovoceError("The noise set needs a folder `noise` beside the speech corpus.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix in {".ogg", ".opus", ".wav", ".flac"})
    noise = np.resize(_readable(paths, number * 37), len(clean))
    power = float(np.mean(noise**2)) or 1.0
    gain = np.sqrt(np.mean(clean**2) / power / 10 ** (NOISE_SNR_DB / 10))
    return np.clip(clean + gain * noise, -1.0, 1.0).astype(np.float32)
