"""What a screen reader gets: through Qt's accessibility interface, as the reader asks for it."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.call_state import CallState
from app.stats import DELAY_STAGES, CallStats, EventMark, Level, Rate, VoiceStats, WayRates
from app.ui.meters import MeterBoard
from app.ui.phoneme_stream import PhonemeStream
from app.ui.voice_panel import VoicePanel
from tests.ui.conftest import MakeWindow

STATS = CallStats(
    state=CallState.ACTIVE,
    peer_name="Bo",
    seconds=61.0,
    rates=MappingProxyType(
        {
            "phonemes": WayRates(Rate(412.0, 1730.0), Rate(433.0, 1840.0)),
            "opus": WayRates(Rate(6010.0, 9120.0), Rate(6020.0, 9230.0)),
        }
    ),
    intelligibility=MappingProxyType({"phonemes": 0.93, "opus": 0.41}),
    loss=MappingProxyType({"phonemes": 0.22, "opus": 0.27}),
    jitter_ms=33.0,
    round_trip_ms=141.0,
    delay_stages_ms=MappingProxyType({name: 11.0 * (n + 1) for n, name in enumerate(DELAY_STAGES)}),
    opus_delay_ms=317.0,
    near=Level(-23.0, -11.0, True),
    far=Level(-37.0, -19.0, False),
    voice=VoiceStats(
        bits_sent=288,
        bits_received=264,
        updates_sent=3,
        updates_received=2,
        similarity=0.87,
        adaptation_steps=46,
        f0_mean_hz=187.0,
        peer_f0_mean_hz=112.0,
    ),
    events_received=512,
    events_concealed=7,
    events_lost=5,
)


def told(widget: QWidget) -> str:
    """Name, value and description of ``widget`` and of all labels in it."""
    words = []
    for part in (widget, *widget.findChildren(QWidget)):
        reader = QAccessible.queryAccessibleInterface(part)
        if reader is None or not reader.isValid():
            continue
        kinds = (QAccessible.Text.Name, QAccessible.Text.Value, QAccessible.Text.Description)
        words += [reader.text(kind) for kind in kinds]
    return " | ".join(word for word in words if word)


def own_words(widget: QWidget) -> str:
    """Description of ``widget`` alone, as it is read when one comes to it."""
    reader = QAccessible.queryAccessibleInterface(widget)
    assert reader is not None
    return reader.text(QAccessible.Text.Description)


@pytest.fixture
def board(qapp: QApplication, qtbot: QtBot) -> MeterBoard:
    made = MeterBoard()
    qtbot.addWidget(made)
    for card in made.cards:
        card.show_stats(STATS)
    return made


@pytest.mark.parametrize(
    ("card", "figures"),
    [
        ("rates", ["1.8 kbit/s", "433 bit/s", "9.2 kbit/s", "6.0 kbit/s"]),
        ("intelligibility", ["93 %", "41 %"]),
        ("link", ["22 %", "27 %", "33 ms", "141 ms"]),
        ("delay", ["231 ms", *(f"{11 * (n + 1)} ms" for n in range(6)), "317 ms"]),
    ],
)
def test_every_figure_of_a_meter_is_read_out(
    board: MeterBoard, card: str, figures: list[str]
) -> None:
    words = own_words(getattr(board, card))
    assert [figure for figure in figures if figure not in words] == []


def test_what_is_painted_in_plots_is_also_there_as_labels(board: MeterBoard) -> None:
    shown = " | ".join(label.text() for label in board.findChildren(QLabel))
    for figure in ("1.8 kbit/s", "93 %", "27 %", "33 ms", "231 ms", "317 ms"):
        assert figure in shown


@pytest.mark.parametrize(
    ("curve", "value"),
    [
        ("phonemes.understood", 0.93),
        ("opus.understood", 0.41),
        ("phonemes.loss", 0.22),
        ("opus.loss", 0.27),
        ("phonemes.sent.payload", 412.0),
        ("phonemes.sent.wire", 1730.0),
        ("opus.received.payload", 6020.0),
        ("opus.received.wire", 9230.0),
        ("jitter", 33.0),
    ],
)
def test_a_plot_draws_the_figure_that_is_read_out(
    board: MeterBoard, curve: str, value: float
) -> None:
    board.show_stats(STATS)
    assert board.history.series(curve)[-1] == pytest.approx(value)


def test_the_other_way_of_the_bit_rates_is_read_out_when_it_is_chosen(board: MeterBoard) -> None:
    board.rates.ways.choose("sent")
    board.rates.show_stats(STATS)
    assert "1.7 kbit/s" in own_words(board.rates)
    assert "412 bit/s" in own_words(board.rates)


def test_the_voice_is_read_out_in_numbers(qtbot: QtBot) -> None:
    panel = VoicePanel()
    qtbot.addWidget(panel)
    panel.show_stats(STATS)
    words = told(panel)
    for said in (
        "Descriptor sent: 288 bits",
        "Updates sent: 3",
        "Adaptation steps: 46",
        "Mean pitch: 187 Hz",
        "Descriptor received: 264 bits",
        "Mean pitch: 112 Hz",
        "Received: 512",
        "Never arrived: 5",
        "Concealed: 7",
        "87 %",
    ):
        assert said in words


def test_levels_are_read_out_with_their_warning(make_window: MakeWindow) -> None:
    bar = make_window().page.bar
    for _update in range(30):  # a reader is told about once a second
        bar.show_stats(STATS, "Space")
    near, far = own_words(bar.near), own_words(bar.far)
    assert "−23 dB" in near and "−11 dB" in near and "too loud" in near
    assert "−37 dB" in far and "too loud" not in far


def test_the_header_tells_the_state_the_quality_and_the_synthetic_voice(
    make_window: MakeWindow,
) -> None:
    header = make_window().page.header
    header.show_stats(STATS, False)
    words = told(header)
    for said in ("Bo", "1:01", "In a call", "Synthetic voice", "Quality: Good"):
        assert said in words


def test_phonemes_are_read_out(qapp: QApplication) -> None:
    lane = PhonemeStream("far", "Phonemes of the other side")
    marks = [
        EventMark("far", n, 3, ipa, 8 * n, 8, None, -20.0, "played", 80.0 * n)
        for n, ipa in enumerate(("h", "ə", "l", "oʊ"))
    ]
    lane.set_events(tuple(marks), 400.0)
    lane.describe()
    assert own_words(lane) == "h ə l oʊ"
