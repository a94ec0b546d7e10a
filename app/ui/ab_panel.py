"""Compare the two arms: switch what is heard, set Opus, start a blind ABX test."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.call_controls import CallControls
from app.settings import OPUS_FRAMES_MS, OPUS_RATES_BPS
from app.stats import CallStats
from app.ui.buttons import IconButton, Segments
from app.ui.view_models import arm_name, tr
from app.ui.widgets import GRID, Card, column, label


class ArmSwitch(Segments):
    """Phonemes | Opus: what one hears."""

    def __init__(self) -> None:
        super().__init__(
            [("phonemes", arm_name("phonemes")), ("opus", arm_name("opus"))], tr("Hear")
        )
        for button in self.buttons.values():
            button.setToolTip(tr("Change what you hear (A)"))

    def set_blind(self, blind: bool) -> None:
        """A blind test decides what is heard; the switch shows nothing meanwhile."""
        self.setEnabled(not blind)
        if blind:
            self.clear()


class ComparePanel(QWidget):
    """What the Compare tab shows."""

    abx_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._call: CallControls | None = None
        hear = Card(tr("What you hear"))
        self.switch = ArmSwitch()
        self.switch.chosen.connect(self._switch)
        hear.body.addWidget(self.switch)
        hear.body.addWidget(
            label(
                tr("Both arms cross the same link at the same time. Press A to switch."),
                "small",
                wrap=True,
            )
        )
        opus = Card(tr("Opus"))
        self.rates = Segments(
            [(str(rate), str(rate // 1000)) for rate in OPUS_RATES_BPS],
            tr("Opus bit rate in kilobits a second"),
        )
        self.frames = Segments(
            [(str(ms), str(ms)) for ms in OPUS_FRAMES_MS], tr("Opus frame in milliseconds")
        )
        self.rates.chosen.connect(lambda _key: self._set_opus())
        self.frames.chosen.connect(lambda _key: self._set_opus())
        sent = tr("For what you send: the other side hears the difference.")
        opus.body.addWidget(label(sent, "small", wrap=True))
        opus.body.addWidget(label(tr("Bit rate, kbit/s"), "small"))
        opus.body.addWidget(self.rates)
        opus.body.addWidget(label(tr("Frame, ms"), "small"))
        opus.body.addWidget(self.frames)
        blind = Card(tr("Blind test"))
        blind.body.addWidget(
            label(
                tr("Hear A, B and X without knowing which is which, and say what X is."),
                "small",
                wrap=True,
            )
        )
        self.abx = IconButton(tr("Start an ABX test …"), "abx")
        self.abx.clicked.connect(self.abx_wanted)
        blind.body.addWidget(self.abx)
        layout = column(hear, opus, blind, None, spacing=GRID)
        self.setLayout(layout)

    def attach(self, call: CallControls | None) -> None:
        self._call = call

    def _switch(self, arm: str) -> None:
        if self._call is not None:
            self._call.set_arm("opus" if arm == "opus" else "phonemes")

    def _set_opus(self) -> None:
        if self._call is not None and self.rates.current() and self.frames.current():
            self._call.set_opus(int(self.rates.current()), int(self.frames.current()))

    def show_stats(self, stats: CallStats, blind: bool) -> None:
        if not blind:
            self.switch.choose(stats.arm)
        self.rates.choose(str(stats.opus_rate_bps))
        self.frames.choose(str(stats.opus_frame_ms))

    def set_blind(self, blind: bool) -> None:
        self.switch.set_blind(blind)
        self.abx.setEnabled(not blind)
