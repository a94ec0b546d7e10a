"""Voices between two voices."""

from __future__ import annotations

import numpy as np

from engine.dvector import DVECTOR_DIM
from engine.events import VoiceDescriptor
from engine.voice import blend, descriptor_vector


def test_a_blend_lies_between_its_two_voices() -> None:
    one = VoiceDescriptor(1, 60, tuple(range(10, 30)))
    two = VoiceDescriptor(4, 100, tuple(range(200, 220)))
    assert blend(one, two, 0.0) == one
    assert blend(one, two, 1.0) == two
    middle = blend(one, two, 0.5)
    assert middle.f0_mean == 80

    def alike(a: VoiceDescriptor, b: VoiceDescriptor) -> float:
        return float(np.dot(descriptor_vector(a)[:DVECTOR_DIM], descriptor_vector(b)[:DVECTOR_DIM]))

    assert alike(middle, one) > alike(one, two)
    assert alike(middle, two) > alike(one, two)
