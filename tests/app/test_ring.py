from __future__ import annotations

import threading

import numpy as np
import pytest

from app.ring import Ring
from engine.errors import SottovoceError


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)


def test_what_goes_in_comes_out_in_order_across_the_seam() -> None:
    ring = Ring(7)
    out = []
    for start in range(0, 40, 5):
        assert ring.write(ramp(start, 5)) == 5
        out.append(ring.read(5))
    assert np.array_equal(np.concatenate(out), ramp(0, 40))


def test_a_view_is_contiguous_wherever_the_seam_is() -> None:
    ring = Ring(8)
    ring.write(ramp(0, 6))
    ring.skip(6)
    ring.write(ramp(6, 8))
    view = ring.peek(8)
    assert np.array_equal(view, ramp(6, 8))
    assert view.base is not None  # a view, not a copy


def test_a_full_ring_refuses_the_newest_and_counts_it() -> None:
    ring = Ring(4)
    assert ring.write(ramp(0, 6)) == 4
    assert ring.dropped == 2
    assert np.array_equal(ring.read(9), ramp(0, 4))


def test_missing_samples_are_silence_and_counted() -> None:
    ring = Ring(8)
    ring.write(ramp(1, 3))
    out = np.full(5, 9.0, np.float32)
    assert ring.read_into(out) == 3
    assert np.array_equal(out, [1, 2, 3, 0, 0])
    assert ring.missing == 2


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(SottovoceError):
        Ring(0)


def test_a_writer_and_a_reader_on_two_threads_lose_nothing() -> None:
    ring, total = Ring(512), 12_000
    got: list[np.ndarray] = []

    def write() -> None:
        sent = 0
        while sent < total:
            count = min(97, total - sent, ring.free)
            sent += ring.write(ramp(sent, count))

    writer = threading.Thread(target=write)
    writer.start()
    while sum(map(len, got)) < total:
        piece = ring.read(131)
        if len(piece):
            got.append(piece)
    writer.join()
    assert np.array_equal(np.concatenate(got), ramp(0, total))
