"""The Opus jitter buffer waits, recovers, conceals and follows its target, driven by time alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.alignment import find_delay
from engine.events import Pcm
from engine.opus import OpusEncoder
from engine.opus_playout import CLOCK_RATE_HZ, ArrivalHistogram, OpusPlayout
from engine.time_stretch import find_period, lengthen, shorten
from tests.speech import any_speech

FRAME_MS = 20
Arrival = tuple[float, int, int, bytes]


@pytest.fixture(scope="module")
def speech() -> Pcm:
    return any_speech(8.0)


@pytest.fixture(scope="module")
def packets(speech: Pcm) -> list[bytes]:
    encoder = OpusEncoder(24_000, FRAME_MS, fec=True, expected_loss_percent=30)
    return [encoder.encode(f) for f in speech[: len(speech) // 320 * 320].reshape(-1, 320)]


def arrivals(packets: list[bytes], delays_ms: np.ndarray, lost: set[int]) -> list[Arrival]:
    """(arrival ms, sequence, timestamp, payload) of what gets through, in order of arrival."""
    step = CLOCK_RATE_HZ * FRAME_MS // 1000
    through = [
        ((i + 1) * FRAME_MS + float(delays_ms[i]), i, i * step, packet)
        for i, packet in enumerate(packets)
        if i not in lost
    ]
    return sorted(through)


def listen(playout: OpusPlayout, through: list[Arrival], until_ms: float) -> Pcm:
    """What a speaker that takes 10 ms at a time hears."""
    sound: list[Pcm] = []
    heard, now_ms, at = 0, 0.0, 0
    while now_ms < until_ms:
        while at < len(through) and through[at][0] <= now_ms:
            arrival_ms, sequence, timestamp, payload = through[at]
            playout.push(sequence, timestamp, payload, arrival_ms)
            at += 1
        while heard < (now_ms + 10) * 16:
            pcm = playout.pull(now_ms)
            assert 0 < len(pcm) <= 1300
            sound.append(pcm)
            heard += len(pcm)
        now_ms += 10
    return np.concatenate(sound)


def test_a_perfect_link_plays_every_frame_once(speech: Pcm, packets: list[bytes]) -> None:
    playout = OpusPlayout(FRAME_MS)
    heard = listen(playout, arrivals(packets, np.zeros(len(packets)), set()), 8500)
    stats = playout.stats()
    assert stats.frames_decoded == len(packets)
    assert stats.frames_fec == 0
    assert stats.delay_ms <= 30
    assert 20 <= find_delay(speech, heard) / 16 <= 60


def test_a_lost_frame_comes_back_from_the_next_packet(packets: list[bytes]) -> None:
    lost = set(range(10, len(packets), 5))
    playout = OpusPlayout(FRAME_MS)
    delays = np.random.default_rng(2).uniform(40, 90, len(packets))
    listen(playout, arrivals(packets, delays, lost), 8500)
    stats = playout.stats()
    assert stats.frames_fec > 0.3 * len(lost)
    assert stats.frames_fec + stats.frames_decoded <= len(packets)


def test_the_target_follows_jitter(packets: list[bytes]) -> None:
    rng = np.random.default_rng(3)
    targets = []
    for jitter_ms in (0.0, 40.0, 150.0):
        playout = OpusPlayout(FRAME_MS)
        delays = 60 + rng.uniform(0, 1, len(packets)) * jitter_ms
        listen(playout, arrivals(packets, delays, set()), 8500)
        targets.append(playout.stats().target_delay_ms)
    assert targets[0] <= 10
    assert 30 <= targets[1] <= 60
    assert 110 <= targets[2] <= 170


def test_jitter_drops_few_frames_once_the_target_is_learnt(packets: list[bytes]) -> None:
    playout = OpusPlayout(FRAME_MS)
    delays = 60 + np.random.default_rng(4).uniform(0, 80, len(packets))
    listen(playout, arrivals(packets, delays, set()), 8500)
    assert playout.stats().frames_decoded > 0.93 * len(packets)


def test_delay_falls_back_after_a_stall(packets: list[bytes]) -> None:
    delays = np.full(len(packets), 50.0)
    delays[100:115] += np.linspace(300, 20, 15)  # the network stood still and then caught up
    playout = OpusPlayout(FRAME_MS)
    listen(playout, arrivals(packets, delays, set()), 8200)
    stats = playout.stats()
    assert stats.delay_ms < 120
    assert stats.frames_decoded > 0.9 * len(packets)


@pytest.mark.parametrize("drift_ppm", [-3000, 3000])
def test_clock_drift_is_absorbed(packets: list[bytes], drift_ppm: int) -> None:
    delays = 50 + np.arange(len(packets)) * FRAME_MS * drift_ppm * 1e-6
    playout = OpusPlayout(FRAME_MS)
    listen(playout, arrivals(packets, delays, set()), 8200)
    stats = playout.stats()
    assert stats.frames_decoded > 0.97 * len(packets)
    assert stats.delay_ms < 80


def test_a_talkspurt_after_dtx_keeps_its_delay(packets: list[bytes]) -> None:
    silent = set(range(120, 260))
    playout = OpusPlayout(FRAME_MS)
    listen(playout, arrivals(packets, np.full(len(packets), 50.0), silent), 8200)
    stats = playout.stats()
    assert stats.frames_decoded == len(packets) - len(silent)
    assert stats.delay_ms < 60


def test_a_long_silence_does_not_make_it_forget_the_jitter(packets: list[bytes]) -> None:
    step = CLOCK_RATE_HZ * FRAME_MS // 1000
    delays = 60 + np.random.default_rng(6).uniform(0, 80, 300)
    away = 700  # frames of silence, 14 s
    through = sorted(
        (((i if i < 150 else i + away) + 1) * FRAME_MS + delays[i], i,
         (i if i < 150 else i + away) * step, packets[i])
        for i in range(300)
    )  # fmt: skip
    playout = OpusPlayout(FRAME_MS)
    listen(playout, through, 20_500)
    stats = playout.stats()
    assert stats.target_delay_ms > 60
    assert stats.frames_decoded > 0.93 * 300


@pytest.mark.parametrize("jump", [-(2**32), 2**31, -8_000_000])
def test_a_media_clock_that_wraps_or_begins_anew_is_followed(
    packets: list[bytes], jump: int
) -> None:
    through = arrivals(packets[:200], np.full(200, 50.0), set())
    through = [(at, n, 2**32 + t + (jump if n >= 100 else 0), p) for at, n, t, p in through]
    playout = OpusPlayout(FRAME_MS)
    listen(playout, through, 4500)
    assert playout.stats().frames_decoded > 180
    assert playout.stats().delay_ms < 120


def test_before_the_first_packet_there_is_silence() -> None:
    playout = OpusPlayout(60)
    assert not playout.pull(0.0).any()
    assert playout.last_timestamp is None


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40),
            st.one_of(st.integers(-(2**40), 2**40), st.integers(0, 100_000)),
            st.binary(max_size=60),
            st.floats(0, 300),
        ),
        max_size=40,
    )
)
@settings(max_examples=80, deadline=None)
def test_hostile_packets_never_stop_the_sound(stream: list[tuple[int, int, bytes, float]]) -> None:
    playout = OpusPlayout(20)
    now_ms = 0.0
    for sequence, timestamp, payload, gap_ms in stream:
        now_ms += gap_ms
        playout.push(sequence, timestamp, payload, now_ms)
        pcm = playout.pull(now_ms)
        assert 0 < len(pcm) <= 1300
        assert np.isfinite(pcm).all()
    stats = playout.stats()
    assert stats.packets_received == len(stream)


def test_a_flood_is_bounded(packets: list[bytes]) -> None:
    playout = OpusPlayout(20)
    for sequence in range(3000):
        playout.push(sequence, sequence * 960 % 200_000, packets[20], 1.0)
    assert playout.stats().packets_discarded > 2500


def test_the_histogram_counts_from_the_earliest_packet() -> None:
    histogram = ArrivalHistogram()
    for i in range(200):
        histogram.add(i * 20.0, i * 20.0 + (130.0 if i % 10 == 0 else 100.0))
    assert histogram.base_ms == 100.0
    assert 30.0 <= histogram.target_ms <= 40.0


def test_stretching_keeps_pitch_and_changes_length() -> None:
    t = np.arange(960) / 16_000
    voice = (0.3 * np.sin(2 * np.pi * 125 * t) + 0.1 * np.sin(2 * np.pi * 250 * t)).astype("f4")
    period = find_period(voice)
    assert period is not None
    assert period % 128 in (0, 1, 127)
    assert len(shorten(voice)) == 960 - period
    assert len(lengthen(voice)) == 960 + period
    assert np.abs(np.diff(lengthen(voice))).max() < 1.5 * np.abs(np.diff(voice)).max()
    noise = np.random.default_rng(5).normal(0, 0.2, 960).astype(np.float32)
    assert shorten(noise) is noise
