"""A window that stays open for long: what it keeps is bounded, and its memory levels off.

The fast test feeds a page the polls of many minutes. The slow one is a real call in real time
(``pytest -m soak tests/ui``; SOTTOVOCE_SOAK_S sets how long), its memory written down on the way.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.audio import FilePort
from app.call import Call
from app.call_state import CallState
from app.mark_view import MarkView
from app.settings import Settings
from app.stats import ARMS, DELAY_STAGES, CallStats, ChatLine, EventMark, Level, Rate, WayRates
from app.talker import conversation, find_talkers
from app.ui.call_page import CallPage
from engine.events import Pcm
from tests.app.calls import HERE, connect
from tests.ui.conftest import MakeWindow
from transport.impair import ImpairmentSettings

POLL_S = 0.1  # of the fast test; a window polls twice as often
SOAK_S = float(os.environ.get("SOTTOVOCE_SOAK_S", "300"))
SAMPLE_S = 10.0
MAX_MB_A_MINUTE = 1.0
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")


def resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Script:
    """What a page asks of a call, from a clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._rng = np.random.default_rng(3)
        self._marks = {side: deque[EventMark](maxlen=200) for side in ("near", "far")}
        self._views = {side: MarkView() for side in self._marks}

    def advance(self) -> None:
        before, self.seconds = self.seconds, self.seconds + POLL_S
        for tick in range(int(before * 100), int(self.seconds * 100)):
            if tick % 8 == 0:
                for side, marks in self._marks.items():
                    marks.append(self._mark(side, tick))

    def _mark(self, side: str, tick: int) -> EventMark:
        f0_hz = (float(self._rng.uniform(80, 250)), 120.0) if tick % 24 else None
        far = "played" if tick % 40 else "concealed"
        kind = "sent" if side == "near" else far
        return EventMark(side, tick, 3, "b", tick, 8, f0_hz, -20.0, kind, 10.0 * tick)  # type: ignore[arg-type]

    def near_events(self) -> tuple[EventMark, ...]:
        return self._views["near"].since(self._marks["near"], 0.0)

    def far_events(self) -> tuple[EventMark, ...]:
        return self._views["far"].since(self._marks["far"], 0.0)

    def heard(self, since_sample: int) -> tuple[int, Pcm]:
        end = int(self.seconds * 16_000)
        count = min(end - since_sample, 32_000)
        return end, self._rng.standard_normal(count).astype(np.float32) * 0.05

    def chat(self) -> tuple[ChatLine, ...]:
        return ()

    def impairment(self) -> None:
        return None

    def stats(self) -> CallStats:
        draw = self._rng.random

        def rate() -> Rate:
            return Rate(1000.0 + 3000.0 * draw(), 2000.0 + 4000.0 * draw())

        return CallStats(
            state=CallState.ACTIVE,
            peer_name="Bo",
            seconds=self.seconds,
            rates=MappingProxyType({arm: WayRates(rate(), rate()) for arm in ARMS}),
            intelligibility=MappingProxyType({arm: draw() for arm in ARMS}),
            loss=MappingProxyType({arm: draw() for arm in ARMS}),
            jitter_ms=100.0 * draw(),
            round_trip_ms=80.0 + draw(),
            delay_stages_ms=MappingProxyType({name: 100.0 * draw() for name in DELAY_STAGES}),
            near=Level(-20.0 - 10.0 * draw(), -10.0, False),
            far=Level(-20.0 - 10.0 * draw(), -10.0, False),
        )


@pytest.fixture
def page(qapp: QApplication) -> Iterator[CallPage]:
    made = CallPage()
    made.resize(1180, 780)
    made.show()
    yield made
    made.attach(None)
    made.close()
    made.deleteLater()


def pass_minutes(page: CallPage, script: Script, minutes: float) -> None:
    """Every poll of that time, each painted; the meters draw in their own turn."""
    for _poll in range(int(minutes * 60.0 / POLL_S)):
        script.advance()
        page.show_stats(script.stats(), "Space")
        page.meters._draw()
        QApplication.processEvents()


@needs_proc
def test_minutes_of_painting_leave_nothing_behind(page: CallPage, qtbot: QtBot) -> None:
    script = Script()
    page.attach(script)  # type: ignore[arg-type]
    page.open_details(True)
    qtbot.waitUntil(lambda: all(card.isVisible() for card in page.meters.cards), timeout=5000)
    pass_minutes(page, script, 0.5)  # every queue of the script is full, every glyph made
    memory_mb, objects = resident_mb(), len(gc.get_objects())
    pass_minutes(page, script, 0.6)
    grown_mb, grown = resident_mb() - memory_mb, len(gc.get_objects()) - objects
    print(f"{grown} objects and {grown_mb:.1f} MB more after 360 polls")
    assert grown < 100
    assert grown_mb < 10.0  # one picture a poll would be 60


@needs_proc
@pytest.mark.soak
@pytest.mark.network
@pytest.mark.timeout(SOAK_S + 240)
def test_the_memory_of_a_real_call_in_a_window_levels_off(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    talkers = find_talkers()
    tracks = conversation(talkers[0].pcm, talkers[1].pcm, 60.0)
    plain = {"echo_cancellation": False, "noise_suppression": False, "gain_control": False}
    mine, theirs = (
        Call(
            Settings(name=name, recordings=str(tmp_path), **plain),  # type: ignore[arg-type]
            FilePort(track, name=name, repeat=True),
            rtc=HERE,
        )
        for name, track in zip(("Ada", "Bo"), tracks, strict=True)
    )
    window = make_window(mine)
    window.attach(mine)
    connect(mine, theirs)
    window.page.open_details(True)
    for call in (mine, theirs):
        call.set_impairment(ImpairmentSettings(loss=0.2, delay_ms=60, jitter_ms=30))
    memory_mb = []
    for number in range(int(SOAK_S / SAMPLE_S)):
        qtbot.wait(int(1000 * SAMPLE_S))
        mine.set_arm(("phonemes", "opus")[number % 2])  # type: ignore[arg-type]
        memory_mb.append(resident_mb())
        print(f"{mine.stats().seconds:6.0f} s {memory_mb[-1]:7.1f} MB", flush=True)
    stats = mine.stats()
    mine.close()
    theirs.close()
    settled = np.array(memory_mb[len(memory_mb) // 3 :])
    minutes = np.arange(len(settled)) * SAMPLE_S / 60.0
    slope = float(np.polyfit(minutes, settled, 1)[0])
    print(f"{slope:+.2f} MB a minute from {settled[0]:.1f} to {settled[-1]:.1f} MB")
    assert stats.state is CallState.ACTIVE
    assert stats.events_received > SOAK_S  # somebody talked
    assert slope < MAX_MB_A_MINUTE
