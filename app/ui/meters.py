"""The meters behind the quality light: bit rates, intelligibility, loss and jitter, delay.

``MeterBoard.show_stats`` is called 20 times a second and spreads the work: figures four times
a second, one plot redrawn at a time, so that no turn of the event loop is long.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.stats import ARMS, CallStats
from app.ui.buttons import Segments
from app.ui.delay_bar import DelayCard
from app.ui.history import RATE_HZ, SECONDS, History
from app.ui.theme import theme
from app.ui.time_plot import LineSample, TimePlot, figure
from app.ui.view_models import MIN_BPS, arm_name, ms_text, percent_text, rate_text, tr
from app.ui.widgets import GRID, Card, label, row, set_text

Way = Literal["sent", "received"]
COLOURS: Final = {"phonemes": "accent", "opus": "second"}
TURNS: Final = 5  # figures and each plot once in so many updates
JITTER_TOP_MS: Final = 200.0
LONE_CARD_HEIGHT: Final = 244  # px, one below the other
CARD_HEIGHT: Final = 198  # px; two rows fit a window of 1280 by 820 without scrolling
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
            for kind, value in (("wire", rate.wire_bps), ("payload", rate.payload_bps)):
                text = rate_text(value)
                set_text(self.values[f"{arm}.{kind}"], text)
                words.append(f"{arm_name(arm)} {kind} {text}")
        self.setAccessibleDescription(", ".join(words))

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
        self.loss = TimePlot(-14, 114, _SHARE_TICKS, tr("Packets lost over the last minute"))
        self.loss.getPlotItem().hideAxis("bottom")
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

    def draw(self) -> None:
        age = self._history.age_s
        for arm in ARMS:
            self.loss.set_curve(arm, age, 100.0 * self._history.series(f"{arm}.loss"))
        self.jitter.set_curve("jitter", age, np.minimum(self._history.series("jitter"), 200.0))


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


class MeterBoard(QWidget):
    """The four cards, in two columns where there is room and in one where there is not."""

    def __init__(self) -> None:
        super().__init__()
        names = ["jitter"]
        for arm in ARMS:
            names += [f"{arm}.understood", f"{arm}.loss"]
            names += [
                f"{arm}.{way}.{kind}"
                for way in ("sent", "received")
                for kind in ("wire", "payload")
            ]
        self.history = History(names)
        self.rates = RateCard(self.history)
        self.intelligibility = IntelligibilityCard(self.history)
        self.link = LinkCard(self.history)
        self.delay = DelayCard()
        self._cards = (self.rates, self.intelligibility, self.link, self.delay)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GRID)
        self._columns = 0
        self._updates = self._kept = 0
        self._arrange(1)
        for card in self._cards:
            theme().dress(card)

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for number, card in enumerate(self._cards):
            self._grid.removeWidget(card)
            self._grid.addWidget(card, number // columns, number % columns)
            card.setMinimumHeight(CARD_HEIGHT if columns == 2 else LONE_CARD_HEIGHT)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1 if columns == 2 else 0)

    def fit(self, width: int) -> None:
        self._arrange(2 if width >= 620 else 1)

    def clear(self) -> None:
        self.history.clear()
        self._updates = self._kept = 0

    def show_stats(self, stats: CallStats) -> None:
        """Points are kept even while the board is hidden; nothing is drawn then."""
        turn = self._updates % TURNS
        self._updates += 1
        self._keep(stats)
        if not self.isVisible():
            return
        if turn == 0:
            for card in self._cards:
                card.show_stats(stats)
        elif turn <= 3:
            card = (self.rates, self.intelligibility, self.link)[turn - 1]
            card.draw()

    def _keep(self, stats: CallStats) -> None:
        """One point every quarter of a second of the call, however late this turn comes."""
        due = int(stats.seconds * RATE_HZ)
        missing = min(due - self._kept, SECONDS * RATE_HZ)
        if missing > 0:
            points = _points(stats)
            for _ in range(missing):
                self.history.push(points)
        self._kept = due


def _points(stats: CallStats) -> dict[str, float | None]:
    points: dict[str, float | None] = {"jitter": stats.jitter_ms}
    for arm in ARMS:
        points[f"{arm}.understood"] = stats.intelligibility.get(arm)
        points[f"{arm}.loss"] = stats.loss.get(arm)
        for way in ("sent", "received"):
            rate = getattr(stats.rates[arm], way)
            points[f"{arm}.{way}.wire"] = rate.wire_bps
            points[f"{arm}.{way}.payload"] = rate.payload_bps
    return points
