"""What a missing event most probably was: bigram statistics and the neighbours that did arrive.

Playout speaks the prediction in place of the event that was lost. The guess is the phoneme that best
joins the one before and the one after and can last as long as the hole; pitch and energy lie between
the neighbours'.
"""

from __future__ import annotations

import numpy as np

from engine.events import MAX_EVENT_TICKS, PhonemeEvent
from engine.phonemes import N_PHONEMES, SILENCE
from engine.probability import NO_CLASS, NO_PHONEME, PHONEME_CLASS, Tables, default_tables

_ANY_RATE = 2  # the duration table's row for an ordinary phoneme before


def predict_event(
    previous: PhonemeEvent | None,
    following: PhonemeEvent | None,
    index: int,
    start_tick: int,
    duration_ticks: int,
    tables: Tables | None = None,
) -> PhonemeEvent:
    """The likeliest event between two neighbours, either of which may be unknown.

    ``following`` should be the next event only when nothing else is missing before it.
    ``duration_ticks`` is clipped to 1 ... MAX_EVENT_TICKS.
    """
    tables = tables or default_tables()
    duration_ticks = min(max(duration_ticks, 1), MAX_EVENT_TICKS)
    phoneme = _likeliest(previous, following, duration_ticks, tables)
    neighbours = [event for event in (previous, following) if event is not None]
    spoken = [event for event in neighbours if not event.is_silence] or neighbours
    energy = round(sum(event.energy for event in spoken) / len(spoken)) if spoken else 0
    pitches = [event.pitch[1 if event is previous else 0] for event in neighbours if event.voiced]
    usually_voiced = tables.odds("voiced", (phoneme,)).probabilities[1] >= 0.5
    voiced = bool(pitches) and bool(usually_voiced)
    pitch = (pitches[0], pitches[-1]) if voiced else (0, 0)
    return PhonemeEvent(index, phoneme, start_tick, duration_ticks, voiced, pitch, energy)


def _likeliest(
    previous: PhonemeEvent | None,
    following: PhonemeEvent | None,
    duration_ticks: int,
    tables: Tables,
) -> int:
    before = NO_PHONEME if previous is None else previous.phoneme
    manner = NO_CLASS if previous is None else PHONEME_CLASS[before]
    score = -tables.bits("phoneme")[NO_PHONEME, before]
    score = score - tables.bits("duration")[manner, _ANY_RATE, :, duration_ticks - 1]
    if following is not None:
        score = score - tables.bits("phoneme")[before, :N_PHONEMES, following.phoneme]
    if previous is not None and previous.phoneme != SILENCE:
        score[previous.phoneme] -= 2.0  # a piece of the same phoneme would have been stretched
    return int(np.argmax(score))
