"""An event and its neighbours as numbers for the networks: length, energy, voicing, pitch."""

from __future__ import annotations

import numpy as np

from engine.events import PhonemeEvent

OWN_SCALARS = 2
EVENT_SCALARS = 14
PITCH_CENTRE = 18.0  # semitone index near which most speech lies
PITCH_SPREAD = 8.0


def event_scalars(
    event: PhonemeEvent,
    play_ticks: int,
    previous: PhonemeEvent | None,
    following: PhonemeEvent | None,
) -> list[float]:
    """The numbers that describe an event and its neighbours, EVENT_SCALARS of them.

    The first OWN_SCALARS are length and energy.
    """
    row = [float(np.log(play_ticks / 8.0)), _energy(event), float(event.voiced), *_points(event)]
    if previous is None:
        row += [0.0, -1.0, 0.0]
    else:
        row += [1.0, _energy(previous), float(previous.voiced)]
    if following is None:
        row += [0.0] * 6
    else:
        row += [
            1.0, float(np.log(following.duration_ticks / 8.0)), _energy(following),
            float(following.voiced), *_points(following),
        ]  # fmt: skip
    return row


def _energy(event: PhonemeEvent) -> float:
    return (event.energy - 12) / 6.0


def _points(event: PhonemeEvent) -> tuple[float, float]:
    if not event.voiced:
        return 0.0, 0.0
    first, second = event.pitch
    return (first - PITCH_CENTRE) / PITCH_SPREAD, (second - PITCH_CENTRE) / PITCH_SPREAD
