"""Calls between two processes in two network namespaces, over wires that lose, delay and choke."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.transport import netns
from transport.impair import ImpairmentSettings
from transport.trace import parse_trace

TRACE = Path(__file__).parents[1] / "data" / "train_tunnel.trace"
WHY_NOT = netns.why_not()

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]


def _sound(results: list[dict[str, Any]]) -> None:
    """What every call must show, however bad its wire."""
    for result in results:
        assert result["failure"] is None
        assert result["connect_s"] is not None
        assert result["heard"] == result["unique"] > 0
    caller, callee = results
    assert callee["hello"] == "caller"
    assert caller["hello"] == "callee"


@pytest.mark.parametrize(
    "netem",
    [
        "delay 60ms 30ms loss 20% duplicate 5% reorder 10%",
        "delay 40ms rate 8kbit",
    ],
)
def test_a_call_crosses_netem(netem: str) -> None:
    if not netns.has_netem():
        pytest.skip("this kernel has no netem (sch_netem)")
    with netns.namespaces() as names, netns.netem_wire(names, netem):
        results = netns.Ends(names, 4.0).results()
    _sound(results)


def test_a_call_crosses_a_wire_that_loses_a_third_copies_and_reorders() -> None:
    settings = ImpairmentSettings(loss=0.3, delay_ms=60, jitter_ms=40, reorder=True, duplicate=0.1)
    with netns.namespaces() as names, netns.tun_wire(names, settings):
        results = netns.Ends(names, 3.0).results()
    _sound(results)
    for near, far in (results, results[::-1]):
        share = far["received"] / near["sent"]
        assert 0.4 < share < 0.95
        assert far["reconnections"] == 0


def test_a_call_crosses_a_replayed_capacity_trace_that_falls_to_nothing() -> None:
    settings = ImpairmentSettings(delay_ms=40, trace=parse_trace(TRACE.read_text()), queue_ms=2000)
    with netns.namespaces() as names, netns.tun_wire(names, settings):
        results = netns.Ends(names, 6.0).results()
    _sound(results)
    for near, far in (results, results[::-1]):
        assert far["received"] / near["sent"] > 0.4
        assert far["reconnections"] == 0


def test_a_call_crosses_a_wire_of_four_kilobits() -> None:
    settings = ImpairmentSettings(delay_ms=40, rate_bps=4_000, queue_ms=1500)
    with netns.namespaces() as names, netns.tun_wire(names, settings):
        results = netns.Ends(names, 12.0, interval_ms=320).results()
    _sound(results)
    for near, far in (results, results[::-1]):
        assert far["received"] / near["sent"] > 0.4
        assert far["reconnections"] == 0
        assert far["oldest_ms"] < 2_500


def test_a_call_survives_half_a_minute_without_a_network() -> None:
    settings = ImpairmentSettings(delay_ms=20)
    with netns.namespaces() as names, netns.tun_wire(names, settings) as devices:
        ends = netns.Ends(names, 41.0)
        ends.wait_connected()
        time.sleep(1.0)
        device = f"ip netns exec {names[1]} ip link set {devices[1]}"
        netns.run(f"{device} down")
        time.sleep(30.0)
        netns.run(f"{device} up")
        results = ends.results()
    for result in results:
        assert result["failure"] is None
        assert result["states"][-2:] == ["reconnecting", "connected"]
        assert result["reconnections"] >= 1
        assert result["heard"] == result["unique"] > 40
        assert result["drops"]["unconnected"] > 100  # what was said into the gap
        assert result["oldest_ms"] < 500  # and is not heard late


def test_a_call_survives_a_new_address() -> None:
    settings = ImpairmentSettings(delay_ms=20)
    with netns.namespaces() as names, netns.tun_wire(names, settings) as devices:
        ends = netns.Ends(names, 11.0)
        ends.wait_connected()
        time.sleep(1.0)
        inside = f"ip netns exec {names[1]} ip addr"
        netns.run(f"{inside} del {netns.HOSTS[1]}/24 dev {devices[1]}")
        netns.run(f"{inside} add 10.77.0.9/24 dev {devices[1]}")
        results = ends.results()
    for result in results:
        assert result["failure"] is None
        assert result["states"].count("connected") == 2
        assert result["reconnections"] == 1
        assert result["heard"] == result["unique"]
