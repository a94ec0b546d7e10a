"""The cards of the meter board: bit rates, intelligibility, loss and jitter.

Each reads its curves from the board's ``History``; ``show_stats`` sets the figures and what a screen
reader says, ``draw`` the plot.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.stats import ARMS, CallStats
from app.ui.buttons import Segments
from app.ui.history import History
from app.ui.time_plot import LineSample, TimePlot, figure
from app.ui.view_models import MIN_BPS, arm_name, ms_text, percent_text, rate_text, tr
from app.ui.widgets import Card, label, row, set_text

Way = Literal["sent", "received"]
COLOURS: Final = {"phonemes": "accent", "opus": "second"}
JITTER_TOP_MS: Final = 200.0
_RATE_TICKS = [(1, "10"), (2, "100"), (3, "1 k"), (4, "10 k"), (5, "100 k")]
_SHARE_TICKS = [(0, "0 %"), (50, "50 %"), (100, "100 %")]


class RateCard(Card):
    """Payload and wire bit/s of both arms, in the way chosen, on a logarithmic scale."""

    def __init__(self, history: History) -> None:
        super().__init__(tr("Bit rate"))
        self._history = history
        self.ways = Segments(
            [("received", tr("Received")), ("sent", tr("Sent"))],
            tr("Direction of the bit rates"),
            small=True,
        )
        self.ways.choose("received")
        self.ways.chosen.connect(lambda _way: self.draw())
        self.top.addWidget(self.ways)
        self.plot = TimePlot(0.8, 5.7, _RATE_TICKS, tr("Bit rates over the last minute"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label(tr("on the wire"), "small"), 0, 2, 1, 2)
        grid.addWidget(label(tr("payload"), "small"), 0, 4, 1, 2)
        self.values: dict[str, QLabel] = {}
        for line, arm in enumerate(ARMS, start=1):
            grid.addWidget(label(arm_name(arm), "small"), line, 0)
            for place, kind in ((2, "wire"), (4, "payload")):
                self.plot.add_curve(f"{arm}.{kind}", COLOURS[arm], dashed=kind == "payload")
                grid.addWidget(LineSample(COLOURS[arm], dashed=kind == "payload"), line, place)
                value = self.values[f"{arm}.{kind}"] = figure()
                value.setMinimumWidth(72)
                grid.addWidget(value, line, place + 1)
        self.body.addWidget(self.plot, 1)
        self.body.addLayout(grid)

    def show_stats(self, stats: CallStats) -> None:
        way: Way = "sent" if self.ways.current() == "sent" else "received"
        words = []
        for arm in ARMS:
            rate = getattr(stats.rates[arm], way)
            wire, payload = rate_text(rate.wire_bps), rate_text(rate.payload_bps)
            set_text(self.values[f"{arm}.wire"], wire)
            set_text(self.values[f"{arm}.payload"], payload)
            told = tr("{0}: {1} on the wire, {2} payload")
            words.append(told.format(arm_name(arm), wire, payload))
        self.setAccessibleDescription("; ".join(words))

    def draw(self) -> None:
        way = self.ways.current()
        for arm in ARMS:
            for kind in ("wire", "payload"):
                bps = self._history.series(f"{arm}.{way}.{kind}")
                y = np.log10(np.where(bps >= MIN_BPS, bps, np.nan))  # silence is a gap
                self.plot.set_curve(f"{arm}.{kind}", self._history.age_s, y)


class IntelligibilityCard(Card):
    """How much of what was said can be understood, both arms on one scale."""

    def __init__(self, history: History) -> None:
        super().__init__(tr("Intelligibility"))
        self.setToolTip(
            tr("Phonemes recognised here, compared with those said, over the last ten seconds")
        )
        self._history = history
        self.plot = TimePlot(-16, 118, _SHARE_TICKS, tr("Intelligibility over the last minute"))
        self.values: dict[str, QLabel] = {}
        for arm in ARMS:
            self.plot.add_curve(arm, COLOURS[arm])
            self.values[arm] = label("–", "figure")
        self.body.addLayout(_big_figures(self.values))
        self.body.addWidget(self.plot, 1)

    def show_stats(self, stats: CallStats) -> None:
        for arm in ARMS:
            set_text(self.values[arm], percent_text(stats.intelligibility.get(arm)))
        words = (f"{arm_name(arm)} {self.values[arm].text()}" for arm in ARMS)
        self.setAccessibleDescription(", ".join(words))

    def draw(self) -> None:
        for arm in ARMS:
            y = 100.0 * self._history.series(f"{arm}.understood")
            self.plot.set_curve(arm, self._history.age_s, y)


class LinkCard(Card):
    """Loss of both arms, and jitter below it."""

    def __init__(self, history: History) -> None:
        super().__init__(tr("Loss and jitter"))
        self._history = history
        self.round_trip = label("", "small")
        self.top.addWidget(self.round_trip)
        lost = tr("Packets lost over the last minute")
        self.loss = TimePlot(-14, 114, _SHARE_TICKS, lost, times=False)
        ticks = [(0, "0 ms"), (100, "100 ms"), (200, "200 ms")]
        self.jitter = TimePlot(-28, JITTER_TOP_MS + 28, ticks, tr("Jitter over the last minute"))
        self.jitter.add_curve("jitter", "text")
        for plot in (self.loss, self.jitter):
            plot.setMinimumHeight(48)
        self.values: dict[str, QLabel] = {}
        cells: list[QWidget | int | None] = []
        for arm in ARMS:
            self.loss.add_curve(arm, COLOURS[arm])
            self.values[arm] = figure()
            cells += [LineSample(COLOURS[arm]), label(arm_name(arm), "small"), self.values[arm], 8]
        self.values["jitter"] = figure()
        cells += [None, LineSample("text"), label(tr("Jitter"), "small"), self.values["jitter"]]
        self.body.addWidget(self.loss, 1)
        self.body.addWidget(self.jitter, 1)
        self.body.addLayout(row(*cells, spacing=6))

    def show_stats(self, stats: CallStats) -> None:
        for arm in ARMS:
            set_text(self.values[arm], percent_text(stats.loss.get(arm)))
        set_text(self.values["jitter"], ms_text(stats.jitter_ms))
        round_trip = tr("Round trip {0}").format(ms_text(stats.round_trip_ms))
        set_text(self.round_trip, round_trip)
        loss = (f"{arm_name(arm)} {self.values[arm].text()}" for arm in ARMS)
        jitter = tr("jitter {0}").format(ms_text(stats.jitter_ms))
        self.setAccessibleDescription(", ".join((*loss, jitter, round_trip)))

    def draw_loss(self) -> None:
        for arm in ARMS:
            y = 100.0 * self._history.series(f"{arm}.loss")
            self.loss.set_curve(arm, self._history.age_s, y)

    def draw_jitter(self) -> None:
        y = np.minimum(self._history.series("jitter"), JITTER_TOP_MS)
        self.jitter.set_curve("jitter", self._history.age_s, y)


def _big_figures(values: dict[str, QLabel]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(6)
    grid.setVerticalSpacing(0)
    for number, arm in enumerate(ARMS):
        name = row(LineSample(COLOURS[arm]), label(arm_name(arm), "small"), None, spacing=6)
        grid.addLayout(name, 0, number)
        grid.addWidget(values[arm], 1, number)
        grid.setColumnStretch(number, 1)
    return grid
