"""Minutes of calling: run with ``pytest -m soak tests/soak`` (SOTTOVOCE_SOAK_S sets how long)."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app.audio import FilePort
from app.call import Call
from app.call_state import CallState
from app.settings import Settings
from app.talker import conversation, find_talkers
from tests.app.calls import HERE, connect
from tests.soak.resident import resident_mb
from transport.impair import ImpairmentSettings

SECONDS = float(os.environ.get("SOTTOVOCE_SOAK_S", "120"))
pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 180)]
GROWTH_MB = 60.0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_at_half_the_packets_lost_a_call_goes_on_and_memory_stays(tmp_path: Path) -> None:
    talkers = find_talkers()
    tracks = conversation(talkers[0].pcm, talkers[1].pcm, 60.0)
    before = threading.active_count()
    calls = [
        Call(
            Settings(
                name=name,
                echo_cancellation=False,
                noise_suppression=False,
                gain_control=False,
                recordings=str(tmp_path),
            ),
            FilePort(track, name=name, repeat=True),
            rtc=HERE,
        )
        for name, track in zip(("Ada", "Bo"), tracks, strict=True)
    ]
    try:
        for call in calls:
            call.set_impairment(ImpairmentSettings(loss=0.5, delay_ms=60, jitter_ms=30))
        connect(*calls)
        time.sleep(min(60.0, SECONDS / 2))  # queues, models and the voice's caches fill
        settled_mb = resident_mb()
        end_s = time.monotonic() + SECONDS
        arms = ("opus", "phonemes")
        turn = 0
        while time.monotonic() < end_s:
            time.sleep(5.0)
            turn += 1
            calls[0].set_arm(arms[turn % 2])  # type: ignore[arg-type]
            for call in calls:
                assert call.state in (CallState.ACTIVE, CallState.RECONNECTING), call.stats().notice
        grown_mb = resident_mb() - settled_mb
        stats = calls[0].stats()
        print(
            f"grew {grown_mb:.1f} MB in {SECONDS:.0f} s, loss {dict(stats.loss)}, "
            f"events {stats.events_lost}/{stats.events_received}"
        )
        assert grown_mb < GROWTH_MB
        assert stats.events_received > 0
        lost = stats.events_lost / (stats.events_received + stats.events_lost)
        assert lost <= 0.05
        assert np.isfinite(stats.mouth_to_ear_ms)
    finally:
        for call in calls:
            call.close()
    assert threading.active_count() <= before + 1
