"""The simulated link counts, reports and delivers as a real call would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.events import VoiceDescriptor
from transport.control import Hello, VoiceUpdate, encode_control, parse_control
from transport.impair import ImpairmentSettings
from transport.link import MediaPacket
from transport.loopback import LoopbackLink, loopback_pair
from transport.reports import UNKNOWN_LOSS, ReceiverReport, ReceptionMeter


def _talk(
    near: LoopbackLink,
    far: LoopbackLink,
    seconds: float,
    interval_ms: float = 200.0,
    payload: bytes = bytes(30),
) -> list[MediaPacket]:
    heard = []
    steps = round(seconds * 100)
    for step in range(steps):
        now_ms = step * 10.0
        if now_ms % interval_ms == 0.0:
            near.send("phonemes", round(now_ms * 16), payload, now_ms)
            far.send("phonemes", round(now_ms * 16), payload, now_ms)
        heard += far.receive(now_ms)
        near.receive(now_ms)
    return heard


def test_payloads_arrive_in_order_with_their_timestamps() -> None:
    near, far = loopback_pair()
    heard = _talk(near, far, 2.0)
    assert [packet.sequence_number for packet in heard] == list(range(10))
    assert [packet.timestamp for packet in heard] == [3200 * n for n in range(10)]
    assert {packet.payload for packet in heard} == {bytes(30)}


def test_wire_bytes_are_headers_tags_payload_and_rtcp() -> None:
    near, far = loopback_pair()
    near.send("phonemes", 0, bytes(30), 0.0)
    near.send("opus", 0, bytes(90), 0.0)
    stats = near.stats(0.0)
    assert stats.phonemes.wire_bytes_sent == 20 + 8 + 12 + 4 + 30
    assert stats.opus.wire_bytes_sent == 20 + 8 + 12 + 4 + 90
    far.receive(10.0)
    for now_ms in (100.0, 200.0, 300.0, 400.0):
        near.receive(now_ms)
        far.receive(now_ms)
    # one sender report of 28 bytes, shared by both arms; the far end has nothing to send of
    sender_report = 20 + 8 + 28 + 4 + 10
    sent = near.stats(400.0)
    assert sent.phonemes.wire_bytes_sent + sent.opus.wire_bytes_sent == 74 + 134 + sender_report
    got = far.stats(400.0)
    assert got.phonemes.wire_bytes_received == sent.phonemes.wire_bytes_sent
    assert got.opus.wire_bytes_received == sent.opus.wire_bytes_sent


def test_round_trip_and_jitter_are_measured_by_rtcp() -> None:
    settings = ImpairmentSettings(delay_ms=80)
    near, far = loopback_pair(settings)
    _talk(near, far, 4.0)
    stats = near.stats(4000.0)
    # receive() runs every 10 ms, but packets are stamped with their own arrival
    assert stats.round_trip_ms == pytest.approx(160, abs=2)
    assert far.stats(4000.0).phonemes.jitter_ms == pytest.approx(0.0, abs=0.1)
    near, far = loopback_pair(ImpairmentSettings(delay_ms=80, jitter_ms=30))
    _talk(near, far, 20.0)
    assert 10 < far.stats(20_000.0).phonemes.jitter_ms < 35


def test_losses_are_counted_by_the_receiver_and_reported_to_the_sender() -> None:
    near, far = loopback_pair(ImpairmentSettings(loss=0.4), seed=3)
    heard = _talk(near, far, 60.0)
    stats = far.stats(60_000.0).phonemes
    assert stats.packets_received == len(heard)
    assert stats.packets_lost == pytest.approx(300 - len(heard), abs=8)
    assert near.session.remote_fraction_lost("phonemes") > 0.1


def test_copies_are_dropped() -> None:
    near, far = loopback_pair(ImpairmentSettings(duplicate=1.0, delay_ms=5))
    heard = _talk(near, far, 2.0)
    assert len({packet.sequence_number for packet in heard}) == len(heard) == 10
    assert far.session.dropped["replay"] >= 9


def test_a_report_rides_on_the_next_media_packet() -> None:
    near, far = loopback_pair()
    report = encode_control(ReceiverReport(0.25, 100.0, 10.0, 7, 120.0))
    near.receive(0.0)
    near.send_control(report)
    near.send("phonemes", 0, bytes(30), 10.0)
    assert near.stats(10.0).phonemes.wire_bytes_sent == 74 + 16
    far.receive(20.0)
    (message,) = far.receive_control()
    assert message == report
    parsed = parse_control(message)
    assert isinstance(parsed, ReceiverReport)
    assert parsed.acked_index == 7
    assert parsed.fraction_lost == pytest.approx(0.25, abs=0.01)


def test_a_report_without_media_gets_its_own_packet() -> None:
    near, far = loopback_pair()
    near.receive(0.0)
    near.send_control(encode_control(ReceiverReport(acked_index=3)))
    messages: list[bytes] = []
    for step in range(60):
        near.receive(step * 10.0)
        far.receive(step * 10.0)
        messages += far.receive_control()
    assert [parse_control(m) for m in messages] == [ReceiverReport(acked_index=3)]


def test_control_messages_arrive_in_order_whatever_the_loss() -> None:
    near, far = loopback_pair(ImpairmentSettings(loss=0.6, delay_ms=50), seed=2)
    sent = [encode_control(Hello(f"talker {n}")) for n in range(20)]
    sent.append(encode_control(VoiceUpdate(VoiceDescriptor(1, 100, (1, 2, 3)))))
    near.receive(0.0)
    for message in sent:
        near.send_control(message)
    got: list[bytes] = []
    for step in range(1000):
        far.receive(step * 10.0)
        got += far.receive_control()
    assert got == sent


def test_the_same_seed_gives_the_same_call() -> None:
    settings = ImpairmentSettings(loss=0.2, delay_ms=60, jitter_ms=30)
    runs = []
    for _ in range(2):
        near, far = loopback_pair(settings, seed=9)
        runs.append((_talk(near, far, 10.0), far.stats(10_000.0), near.stats(10_000.0)))
    assert runs[0] == runs[1]


def test_a_closed_link_takes_everything_and_delivers_nothing() -> None:
    near, far = loopback_pair()
    near.close()
    near.send("phonemes", 0, bytes(10), 0.0)
    near.send_control(b"x")
    far.send("phonemes", 0, bytes(2000), 0.0)
    assert near.receive(100.0) == far.receive(100.0) == []
    assert far.session.dropped["unsendable"] == 1


def test_the_meter_sees_loss_and_burst_length() -> None:
    near, far = loopback_pair(ImpairmentSettings(loss=0.2, burst_ms=400), seed=4)
    meter = ReceptionMeter()
    fractions, bursts = [], []
    for packet in _talk(near, far, 120.0, interval_ms=100.0):
        meter.on_packet(packet)
        report = meter.report(packet.arrival_ms + 300.0)
        fractions.append(report.fraction_lost)
        bursts.append(report.burst_ms)
    assert sum(fractions) / len(fractions) == pytest.approx(0.2, abs=0.08)
    assert 200 < sum(bursts) / len(bursts) < 700


def test_the_meter_ignores_copies_and_forgives_reordering() -> None:
    meter = ReceptionMeter()
    for n in (*range(20), 20, 21, 22, 22, 24, 23, 25, 21):
        meter.on_packet(MediaPacket("phonemes", n, n * 1600, b"", n * 100.0))
    report = meter.report(3000.0, acked_index=12, round_trip_ms=90.0)
    assert report.fraction_lost == 0.0
    assert report.burst_ms == 0.0
    assert (report.acked_index, report.round_trip_ms) == (12, 90.0)


def test_the_meter_does_not_call_a_fresh_hole_lost() -> None:
    meter = ReceptionMeter()
    for n in (*range(20), 22):
        meter.on_packet(MediaPacket("phonemes", n, n * 1600, b"", n * 100.0))
    assert meter.report(2210.0).fraction_lost == 0.0
    settled = meter.report(2600.0)
    assert settled.fraction_lost == pytest.approx(2 / 23)
    assert settled.burst_ms == pytest.approx(200.0)


def test_a_link_nobody_has_tried_is_taken_for_a_bad_one() -> None:
    meter = ReceptionMeter()
    assert meter.report(0.0).fraction_lost == UNKNOWN_LOSS
    losses = []
    for n in range(20):
        meter.on_packet(MediaPacket("phonemes", n, n * 1600, b"", n * 100.0))
        losses.append(meter.report(n * 100.0).fraction_lost)
    assert losses == sorted(losses, reverse=True) and losses[-1] == 0.0


def test_what_is_lost_on_the_edge_of_a_pause_does_not_last_as_long_as_the_pause() -> None:
    meter = ReceptionMeter()
    for n in (*range(20), 21, 22):
        after_ms = 5000.0 if n > 20 else 0.0
        meter.on_packet(
            MediaPacket("phonemes", n, n * 1600 + round(after_ms * 16), b"", n * 100.0 + after_ms)
        )
    assert meter.report(7500.0).burst_ms == pytest.approx(100.0)


def told_at(lost: Callable[[float], float], riding: bool = False) -> list[float]:
    """When reports of ``lost`` by time, one each second for 16 s, come to the far end."""
    near, far = loopback_pair()
    times: list[float] = []
    for step in range(1600):
        now_ms = step * 10.0
        if step % 100 == 0:
            report = ReceiverReport(fraction_lost=lost(now_ms), acked_index=step)
            near.send_control(encode_control(report))
        if riding and step % 20 == 0:
            near.send("phonemes", 0, bytes(9), now_ms)
        near.receive(now_ms)
        far.receive(now_ms)
        times += [now_ms for _ in far.receive_control()]
    return times


def test_a_report_without_news_waits_longer_for_a_packet_to_ride_on() -> None:
    first, *others = told_at(lambda now_ms: 0.1 if now_ms < 10_000.0 else 0.5)
    assert first <= 500.0
    assert 3 <= len([t for t in others if t < 10_000.0]) <= 6
    assert any(10_000.0 < t <= 10_500.0 for t in others)


def test_that_nothing_is_lost_seldom_rides_along_but_a_loss_at_once() -> None:
    first, *others = told_at(lambda now_ms: 0.0 if now_ms < 13_000.0 else 0.3, riding=True)
    assert first <= 500.0
    assert 2 <= len([t for t in others if t < 13_000.0]) <= 5  # the first ride on RTCP
    assert any(13_000.0 <= t <= 13_500.0 for t in others)


def test_an_end_that_only_listens_is_not_asked_whether_it_lives() -> None:
    near, far = loopback_pair()
    for step in range(2000):
        now_ms = step * 10.0
        if step % 20 == 0:
            near.send("phonemes", step * 160, bytes(9), now_ms)
        if step % 100 == 0:
            far.send_control(encode_control(ReceiverReport(acked_index=step)))
        near.receive(now_ms)
        far.receive(now_ms)
    assert near.session._last_probe_ms == float("-inf")


def test_repeats_of_old_events_are_not_jitter() -> None:
    near, far = loopback_pair()
    meter = ReceptionMeter()
    now_ms = 0.0
    for n in range(40):
        newest = n - n % 4  # three packets in four only repeat
        near.send("phonemes", newest * 3200, b"x", now_ms)
        for packet in far.receive(now_ms):
            meter.on_packet(packet)
        now_ms += 200.0
    assert far.stats(now_ms).phonemes.jitter_ms == pytest.approx(0.0, abs=0.1)
    assert meter.jitter_ms == pytest.approx(0.0, abs=0.1)


def test_the_meter_goes_on_after_the_talker_began_anew() -> None:
    meter = ReceptionMeter()
    for n in range(20):
        meter.on_packet(MediaPacket("phonemes", n, 2**20 + 3200 * n, b"", 200.0 * n))
    for n in range(20, 40):
        meter.on_packet(MediaPacket("phonemes", n, 3200 * n, b"", 200.0 * n + 40 * (n % 2)))
    assert 10 < meter.jitter_ms < 60
