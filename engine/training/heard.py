"""What the live encoder makes of the training clips: events as they really travel.

Hand alignments and the recogniser disagree about boundaries, voicing and errors, and the bitstream
carries what the recogniser says. Its network runs on the cached frontend features, so this costs a
twentieth of real time; results are kept beside them and a later run goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from engine.encoder import SpeechEncoder
from engine.events import PhonemeEvent
from engine.frontend import FEATURE_DIM, GUARD_FRAMES, STEP_FRAMES, STEP_SAMPLES, Frontend
from engine.mel import HOP, SAMPLE_RATE_HZ
from engine.recognizer import StreamingRecognizer
from engine.training.datasets import Clip, Corpus
from engine.training.kept import Rows, load_rows, save_rows, weights_fingerprint
from engine.training.recognizer_data import feature_path

Stream = list[PhonemeEvent]
KEEP_EVERY = 200  # clips
_COLUMNS = 7


class _KnownFeatures(Frontend):
    """A frontend that looks its features up."""

    def __init__(self, features: NDArray[np.float16]) -> None:
        # The live frontend's first features belong to the time before the first sample.
        self._features = np.pad(
            features.astype(np.float32), ((GUARD_FRAMES, 4 * STEP_FRAMES), (0, 0))
        )
        self._samples = self._given = 0

    def push(self, pcm: NDArray[np.float32], quiet: Sequence[bool] = ()) -> NDArray[np.float32]:
        self._samples += len(pcm)
        begin, self._given = self._given, self._samples // STEP_SAMPLES * STEP_FRAMES
        return self._features[begin : self._given]


def hear(pcm: NDArray[np.float32], features: NDArray[np.float16]) -> Stream:
    """Events of one clip, without codes. pcm: [N] at 16 kHz; features: [N // 320, FEATURE_DIM]."""
    if features.shape[1:] != (FEATURE_DIM,):
        raise ValueError(f"features of shape {features.shape}")
    recognizer = StreamingRecognizer()
    recognizer._frontend = _KnownFeatures(features)
    encoder = SpeechEncoder(0, recognizer=recognizer, track_voice=False)
    events = []
    for start in range(0, len(pcm), SAMPLE_RATE_HZ):
        events += encoder.push(pcm[start : start + SAMPLE_RATE_HZ])
    return events + encoder.flush()


def _to_rows(events: Sequence[PhonemeEvent]) -> Rows:
    rows = [
        (e.phoneme, e.start_tick, e.duration_ticks, e.voiced, *e.pitch, e.energy) for e in events
    ]
    return np.array(rows, np.int32).reshape(-1, _COLUMNS)


def _to_events(rows: Rows) -> Stream:
    return [
        PhonemeEvent(i, p, start, duration, bool(voiced), (first, second), energy)
        for i, (p, start, duration, voiced, first, second, energy) in enumerate(rows.tolist())
    ]


def heard_streams(
    corpus: Corpus, minutes: float, split: str = "train", source: str = ""
) -> list[tuple[Clip, Stream]]:
    """Every clip of ``split`` (and ``source``) heard so far, after at most ``minutes`` of hearing.

    Only clips with cached frontend features can be; the cache keeps the results by the fingerprint
    of the recogniser's weights.
    """
    path = corpus.cache_dir / f"heard-{weights_fingerprint('recognizer')}.npz"
    known = load_rows(path)
    pcm = np.load(corpus.cache_dir / "pcm.npy", mmap_mode="r")
    wanted = [c for c in corpus.clips if c.split == split and source in ("", c.source)]
    paths = {c.id: feature_path(corpus.cache_dir, c) for c in wanted}
    missing = [c for c in wanted if c.id not in known and paths[c.id].is_file()]
    # The last native readers are tuned on and the others most worth learning from.
    missing.reverse()
    missing.sort(key=lambda clip: clip.source != "librispeech")
    end, unsaved = time.monotonic() + 60 * minutes, 0
    for clip in tqdm(missing, desc="events", unit=" clips", mininterval=10):
        if time.monotonic() > end:
            break
        sound = pcm[clip.first_frame * HOP : (clip.first_frame + clip.frames) * HOP]
        features = np.load(paths[clip.id])
        known[clip.id] = _to_rows(hear((sound / 32767).astype(np.float32), features))
        unsaved += 1
        if unsaved == KEEP_EVERY:
            save_rows(path, known)
            unsaved = 0
    if unsaved:
        save_rows(path, known)
    return [(clip, _to_events(known[clip.id])) for clip in wanted if len(known.get(clip.id, ()))]
