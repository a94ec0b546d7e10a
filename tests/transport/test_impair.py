"""The impaired link does what its settings say, and the same thing every time."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from engine.errors import SottovoceError
from transport.impair import PRESETS, Impairment, ImpairmentSettings, preset
from transport.trace import CapacityTrace, parse_trace


def _run(
    settings: ImpairmentSettings, seed: int = 1, packets: int = 5000, lane: str = "phonemes"
) -> list[list[tuple[float, int]]]:
    link = Impairment(settings, seed)
    return [link.submit(n, n * 20.0, lane, 60) for n in range(packets)]


def _lost_runs(arrivals: list[list[tuple[float, int]]]) -> list[int]:
    runs, length = [], 0
    for arrival in arrivals:
        if arrival:
            runs += [length] if length else []
            length = 0
        else:
            length += 1
    return runs


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_random_loss_is_the_share_that_was_set(loss: float) -> None:
    lost = sum(not arrival for arrival in _run(ImpairmentSettings(loss=loss)))
    assert lost / 5000 == pytest.approx(loss, abs=0.02)


def test_bursts_have_the_set_loss_and_mean_length() -> None:
    arrivals = _run(ImpairmentSettings(loss=0.2, burst_ms=250), packets=100_000)
    assert sum(not arrival for arrival in arrivals) / 100_000 == pytest.approx(0.2, abs=0.02)
    # outages that fall between two packets go unseen, so seen ones are one interval longer
    assert statistics.mean(_lost_runs(arrivals)) * 20 == pytest.approx(260, rel=0.1)


def test_both_arms_meet_the_same_outages_and_their_own_random_losses() -> None:
    bursty = ImpairmentSettings(loss=0.3, burst_ms=200)
    together = Impairment(bursty, 7)
    alone = Impairment(bursty, 7)
    for n in range(2000):
        now_ms = n * 20.0
        phonemes = bool(together.submit(n, now_ms, "phonemes"))
        opus = bool(together.submit(n, now_ms, "opus"))
        assert phonemes == opus == bool(alone.submit(n, now_ms, "opus"))
    random_loss = ImpairmentSettings(loss=0.3)
    mixed, pure = Impairment(random_loss, 7), Impairment(random_loss, 7)
    for n in range(2000):
        for _ in range(n % 3):
            mixed.submit(n, n * 20.0, "opus")
        assert bool(mixed.submit(n, n * 20.0)) == bool(pure.submit(n, n * 20.0))


def test_a_late_question_about_an_outage_gets_the_same_answer() -> None:
    settings = ImpairmentSettings(loss=0.4, burst_ms=100)
    forwards = Impairment(settings, 3)
    expected = [bool(forwards.submit(0, n * 10.0)) for n in range(500)]
    backwards = Impairment(settings, 3)
    backwards.submit(0, 5000.0)
    assert [bool(backwards.submit(0, n * 10.0)) for n in range(500)] == expected


def test_the_same_seed_gives_the_same_link_and_another_seed_another() -> None:
    settings = PRESETS["train"]
    assert _run(settings, 5) == _run(settings, 5)
    assert _run(settings, 5) != _run(settings, 6)


def test_delay_and_jitter_stay_in_their_range() -> None:
    settings = ImpairmentSettings(delay_ms=60, jitter_ms=30, reorder=True)
    delays = [a[0][0] - n * 20.0 for n, a in enumerate(_run(settings))]
    assert min(delays) >= 30
    assert max(delays) <= 90
    assert statistics.mean(delays) == pytest.approx(60, abs=2)


@pytest.mark.parametrize("reorder", [False, True])
def test_packets_overtake_each_other_only_when_allowed(reorder: bool) -> None:
    settings = ImpairmentSettings(delay_ms=60, jitter_ms=50, reorder=reorder)
    times = [arrival[0][0] for arrival in _run(settings, packets=500)]
    assert any(b < a for a, b in pairwise(times)) == reorder


def test_copies_arrive_after_their_original() -> None:
    arrivals = _run(ImpairmentSettings(duplicate=0.3, delay_ms=10, jitter_ms=5))
    doubles = [arrival for arrival in arrivals if len(arrival) == 2]
    assert len(doubles) / 5000 == pytest.approx(0.3, abs=0.03)
    assert all(first[0] <= second[0] for first, second in doubles)


def test_a_bottleneck_passes_its_rate_and_drops_what_waits_too_long() -> None:
    link = Impairment(ImpairmentSettings(rate_bps=8000, queue_ms=500))
    arrivals = [link.submit(n, n * 10.0, "phonemes", 100) for n in range(1000)]  # 80 kb/s offered
    passed = [arrival[0][0] for arrival in arrivals if arrival]
    assert len(passed) == pytest.approx(10_000 / 100, abs=8)
    waits = [arrival[0][0] - n * 10.0 for n, arrival in enumerate(arrivals) if arrival]
    assert max(waits) <= 601


@pytest.mark.parametrize("shared", [False, True])
def test_arms_share_the_bottleneck_only_when_told(shared: bool) -> None:
    link = Impairment(ImpairmentSettings(rate_bps=8000, queue_ms=300, shared_bottleneck=shared))
    passed = 0
    for n in range(500):
        link.submit(n, n * 20.0, "opus", 100)
        passed += bool(n % 10 == 0 and link.submit(n, n * 20.0, "phonemes", 40))
    assert (passed == 50) != shared


def test_drift_stretches_the_arrival_times() -> None:
    settings = ImpairmentSettings(delay_ms=50, drift_ppm=300)
    last = _run(settings, packets=5000)[-1]
    assert last[0][0] == pytest.approx((4999 * 20.0 + 50) * 1.0003)


def test_a_trace_repeats_and_blocks_where_it_has_no_capacity() -> None:
    trace = parse_trace("0 8000\n1 0\n2 8000\n")
    assert trace == CapacityTrace((0.0, 1000.0, 2000.0), (8000.0, 0.0, 8000.0), 3000.0)
    assert trace.sent_at(0.0, 4000) == pytest.approx(500)
    assert trace.sent_at(500.0, 8000) == pytest.approx(2500)
    assert trace.sent_at(2500.0, 8000) == pytest.approx(3500)
    assert trace.sent_at(0.0, 16_000 * 1000 + 800) == pytest.approx(3_000_000 + 100)
    link = Impairment(ImpairmentSettings(trace=trace, queue_ms=5000))
    assert link.submit(0, 1100.0, "phonemes", 100)[0][0] == pytest.approx(2100)


def test_mahimahi_traces_become_rates() -> None:
    trace = parse_trace("5\n50\n99\n250\n")
    assert trace.rates_bps == (360_000.0, 0.0, 120_000.0)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "a b", "0 1 2", "0 -5", "5\n3", "1 100", "0 0", "0 5\n0 6", "0 nan"]
)
def test_a_bad_trace_is_refused_with_advice(text: str) -> None:
    with pytest.raises(SottovoceError):
        parse_trace(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"loss": 1.5},
        {"loss": -0.1},
        {"loss": float("nan")},
        {"delay_ms": -1},
        {"loss": 1.0, "burst_ms": 100},
        {"drift_ppm": 1e5},
        {"jitter_ms": "30"},
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(SottovoceError):
        ImpairmentSettings(**fields)


def test_presets_have_names_people_can_choose_from() -> None:
    assert preset("train").loss > 0
    with pytest.raises(SottovoceError, match="good Wi-Fi"):
        preset("trian")
