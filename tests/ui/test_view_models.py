"""Words for numbers, the quality light, and the colours they are painted in."""

from __future__ import annotations

import dataclasses
import threading
from types import MappingProxyType

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.call_state import CallState
from app.stats import DELAY_STAGES, CallStats, Level
from app.ui.history import RATE_HZ, SECONDS, History
from app.ui.level_meter import HOLD_UPDATES, LevelMeter
from app.ui.meters import MeterBoard
from app.ui.palette import DARK, LIGHT, Palette, contrast
from app.ui.spectrogram import BINS, HOP, WINDOW, Spectrogram, columns
from app.ui.theme import theme
from app.ui.time_plot import TimePlot
from app.ui.tones import RATE_HZ as TONE_HZ
from app.ui.tones import Tones, tone
from app.ui.view_models import (
    badge_text,
    display_name,
    duration_text,
    initials,
    judge,
    percent_text,
    rate_text,
)
from engine.events import Pcm
from tests.app.calls import wait_for

ACTIVE = CallStats(state=CallState.ACTIVE, peer_name="Bo", seconds=10.0, events_received=9)


def test_numbers_become_short_words() -> None:
    assert [rate_text(bps) for bps in (0, 411.6, 999.9, 6300)] == [
        "0 bit/s",
        "412 bit/s",
        "1000 bit/s",
        "6.3 kbit/s",
    ]
    assert [duration_text(s) for s in (7.9, 754, 3723)] == ["0:07", "12:34", "1:02:03"]
    assert [percent_text(p) for p in (None, 0.0, 0.876)] == ["–", "0 %", "88 %"]


def test_hostile_names_become_safe_ones() -> None:
    assert display_name("\u202eevil\x00\n<b>Bo</b>" + "x" * 10_000).startswith("evil")
    assert len(display_name("x" * 10_000)) == 40
    assert display_name("\x07\u200b") == "Unnamed"
    assert initials("Ada Lovelace") == "AL"
    assert initials("💥 ...") == "?"


@pytest.mark.parametrize(
    ("changes", "light"),
    [
        ({}, "good"),
        ({"intelligibility": {"phonemes": 0.9, "opus": 0.2}}, "good"),
        ({"intelligibility": {"phonemes": 0.6, "opus": 0.9}}, "warn"),
        ({"intelligibility": {"phonemes": 0.3, "opus": 0.9}}, "danger"),
        ({"delay_stages_ms": dict.fromkeys(DELAY_STAGES, 120.0)}, "warn"),
        ({"delay_stages_ms": dict.fromkeys(DELAY_STAGES, 260.0)}, "danger"),
        ({"state": CallState.RECONNECTING}, "danger"),
        ({"state": CallState.CONNECTING}, "muted"),
    ],
)
def test_the_light_judges_the_arm_that_is_heard(changes: dict[str, object], light: str) -> None:
    fixed = {
        key: MappingProxyType(value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    quality = judge(dataclasses.replace(ACTIVE, **fixed))  # type: ignore[arg-type]
    assert quality.light == light
    assert quality.reason


def test_the_badge_never_misses_a_synthetic_voice() -> None:
    opus = dataclasses.replace(ACTIVE, arm="opus", synthetic=False)
    assert badge_text(ACTIVE, blind=False) == "Synthetic voice"
    assert badge_text(opus, blind=False) == ""
    assert badge_text(opus, blind=True)
    assert badge_text(dataclasses.replace(opus, synthetic=True), blind=False)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_ground(palette: Palette) -> None:
    for ground in (palette.ground, palette.surface, palette.sunken):
        for ink in (palette.text, palette.muted, palette.danger, palette.warn, palette.good):
            assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert contrast(palette.on_accent, palette.accent) >= 4.5
    assert contrast(palette.on_danger, palette.danger) >= 4.5
    for tint in (palette.accent_weak, palette.second_weak):
        assert contrast(palette.text, tint) >= 4.5


def test_history_keeps_exactly_the_last_minute() -> None:
    history = History(["a", "b"])
    assert np.isnan(history.series("a")).all()
    total = 3 * SECONDS * RATE_HZ + 17
    for number in range(total):
        history.push({"a": float(number), "b": None})
    series = history.series("a")
    assert len(series) == SECONDS * RATE_HZ == len(history.age_s)
    assert series[-1] == total - 1
    assert (np.diff(series) == 1.0).all()
    assert np.isnan(history.series("b")).all()


def test_a_peak_holds_then_falls_and_clipping_shows(qapp: object) -> None:
    meter = LevelMeter("Your microphone")
    meter.set_level(Level(-20.0, -3.0, True))
    meter.describe()
    assert meter.clipped
    assert "too loud" in meter.accessibleDescription()
    for _update in range(HOLD_UPDATES):
        meter.set_level(Level(-40.0, -38.0))
    assert meter.peak_dbfs == -3.0
    for _update in range(20):
        meter.set_level(Level(-40.0, -38.0))
    assert -25.0 < meter.peak_dbfs < -10.0


def test_the_spectrogram_shows_a_tone_where_it_is(qapp: object) -> None:
    hertz = 1000.0
    pcm = np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000).astype(np.float32) * 0.3
    made = columns(pcm)
    assert made.shape == ((16_000 - WINDOW) // HOP + 1, BINS)
    loudest = BINS - 1 - made.mean(axis=0).argmax()
    assert abs(loudest * 16_000 / WINDOW - hertz) < 40.0
    whole, pieces = Spectrogram(), Spectrogram()
    whole.push(pcm)
    for begin in range(0, len(pcm), 777):
        pieces.push(pcm[begin : begin + 777])
    assert (whole._pixels == pieces._pixels).all()


@pytest.mark.parametrize("name", ["ringing", "connected", "ended", "test"])
def test_tones_are_soft_and_end_without_a_click(name: str) -> None:
    pcm = tone(name)
    assert 0.02 < np.abs(pcm).max() < 0.2
    assert abs(pcm[0]) < 0.01
    assert abs(pcm[-1]) < 0.01
    assert len(pcm) < 4 * TONE_HZ


def test_a_new_tone_stops_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[str, int, bool]] = []

    def play(device: str, pcm: Pcm, repeat: bool, stop: threading.Event) -> None:
        played.append((device, len(pcm), repeat))
        assert stop.wait(5.0)

    monkeypatch.setattr("app.ui.tones._play", play)
    tones = Tones("a loudspeaker")
    before = set(threading.enumerate())
    tones.play("ringing", repeat=True)
    wait_for(lambda: len(played) == 1, "the first", 5.0)
    tones.play("connected")
    wait_for(lambda: len(played) == 2, "the second", 5.0)
    tones.stop()
    assert not set(threading.enumerate()) - before  # its thread was there
    ringing, connected = len(tone("ringing")), len(tone("connected"))
    assert played == [("a loudspeaker", ringing, True), ("a loudspeaker", connected, False)]


def test_plots_run_on_the_calls_clock_however_late_the_window_is(qapp: object) -> None:
    board = MeterBoard()
    for seconds in (0.0, 0.25, 0.3, 4.0, 4.0):  # nothing for almost four seconds
        stats = dataclasses.replace(ACTIVE, seconds=seconds, jitter_ms=10.0 + seconds)
        board.show_stats(stats)
    series = board.history.series("jitter")
    assert np.isfinite(series).sum() == 4 * RATE_HZ
    board.show_stats(dataclasses.replace(ACTIVE, seconds=1e9))
    board.clear()
    assert np.isnan(board.history.series("jitter")).all()


def test_a_restless_curve_is_drawn_in_the_quick_way_and_a_calm_one_smoothly(
    qapp: QApplication, qtbot: QtBot
) -> None:
    plot = TimePlot(0.0, 100.0, [(0, "0")], "a plot")
    plot.add_curve("line", "accent")
    plot.add_curve("dots", "second", dashed=True)
    plot.resize(400, 100)
    plot.show()
    x = np.linspace(-60.0, 0.0, 240).astype(np.float32)
    calm = (50.0 + 40.0 * np.sin(x / 5.0)).astype(np.float32)
    restless = np.where(np.arange(240) % 2, 90.0, 10.0).astype(np.float32)
    line, dots = (plot._curves[key].item for key in ("line", "dots"))
    pictures = []
    for y, mode, width in ((calm, "off", 1.5), (restless, "on", 1.0), (calm, "off", 1.5)):
        for key in ("line", "dots"):
            plot.set_curve(key, x, y)
        qtbot.waitUntil(lambda: not plot._later.isActive())
        assert line.opts["segmentedLineMode"] == mode
        assert line.opts["pen"].widthF() == 2.0
        assert dots.opts["pen"].widthF() == width
        pictures.append(plot.grab().toImage())
    assert pictures[0] == pictures[2] != pictures[1]
    plot.set_curve("line", x, np.full(240, np.nan, np.float32))
    assert line.getData()[0] is None


def test_a_plot_is_drawn_in_its_own_turn_and_never_while_the_window_is_painted(
    qapp: QApplication, qtbot: QtBot
) -> None:
    plot = TimePlot(0.0, 1.0, [(0, "0"), (1, "1")], "a plot")
    plot.add_curve("line", "accent")
    plot.resize(400, 100)
    plot.set_curve("line", np.array([-60.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32))
    plot.show()
    empty = plot.grab().toImage()
    qtbot.waitUntil(lambda: plot.grab().toImage() != empty)
    light = plot.grab().toImage()
    theme().choose("dark")
    assert plot.grab().toImage() == light
    qtbot.waitUntil(lambda: plot.grab().toImage() != light)
    theme().choose("light")
    qtbot.waitUntil(lambda: plot.grab().toImage() == light)
