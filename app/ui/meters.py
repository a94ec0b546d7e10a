"""The meters behind the quality light: bit rates, intelligibility, loss and jitter, delay.

``MeterBoard.show_stats`` is called 20 times a second and spreads the work: figures four times
a second, one plot redrawn at a time, and half a turn after the rest of the window was painted, so
that no turn of the event loop is long.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QWidget

from app.stats import ARMS, CallStats
from app.ui.delay_bar import DelayCard
from app.ui.history import RATE_HZ, SECONDS, History
from app.ui.meter_cards import IntelligibilityCard, LinkCard, RateCard
from app.ui.theme import theme
from app.ui.turns import Turns, each
from app.ui.widgets import GRID

HEADING_HEIGHT: Final = 26  # px: headings side by side stand on one line, buttons or not
LATER_MS: Final = 25  # half of the window's 50 ms
LONE_CARD_HEIGHT: Final = 244  # px, one below the other
TWO_COLUMNS_PX: Final = 800  # the delays of a bad link have many digits
CARD_HEIGHT: Final = 198  # px; two rows fit a window of 1280 by 820 without scrolling


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
        self.cards = (self.rates, self.intelligibility, self.link, self.delay)
        self._plots = (
            self.rates.draw,
            self.intelligibility.draw,
            self.link.draw_loss,
            self.link.draw_jitter,
        )
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GRID)
        self._columns = 0
        self._updates = self._kept = 0
        self._stats = CallStats()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setTimerType(Qt.TimerType.PreciseTimer)
        self._later.setInterval(LATER_MS)
        self._later.timeout.connect(self._draw)
        self._arrange(1)
        for card in self.cards:
            card.top.addStrut(HEADING_HEIGHT)
            theme().dress(card)
            policy = card.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            card.setSizePolicy(policy)

    def reveal(self) -> None:
        """Show the cards one a turn of the event loop: axes take some milliseconds to be drawn."""
        for card in self.cards:
            card.hide()
        Turns(self, each(card.show for card in self.cards))

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for number, card in enumerate(self.cards):
            self._grid.removeWidget(card)
            self._grid.addWidget(card, number // columns, number % columns)
            card.setMinimumHeight(CARD_HEIGHT if columns == 2 else LONE_CARD_HEIGHT)
        for line in range(len(self.cards)):  # rows of one height, whatever is in them
            self._grid.setRowStretch(line, 1 if line * columns < len(self.cards) else 0)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1 if columns == 2 else 0)

    def fit(self, width: int) -> None:
        self._arrange(2 if width >= TWO_COLUMNS_PX else 1)

    def clear(self) -> None:
        self.history.clear()
        self._updates = self._kept = 0

    def show_stats(self, stats: CallStats) -> None:
        """Points are kept even while the board is hidden; nothing is drawn then."""
        self._keep(stats)
        self._stats = stats
        if self.isVisible() and not self._later.isActive():
            self._later.start()

    def _draw(self) -> None:
        turn = self._updates % (1 + len(self._plots))
        self._updates += 1
        if turn == 0:
            for card in self.cards:
                card.show_stats(self._stats)
        else:
            self._plots[turn - 1]()

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
