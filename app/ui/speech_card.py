"""What is being said: their phonemes, what is heard of them, and one's own, on one time scale."""

from __future__ import annotations

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.phoneme_stream import PhonemeStream
from app.ui.spectrogram import Spectrogram
from app.ui.stream_legend import StreamLegend
from app.ui.view_models import arm_name, display_name, tr
from app.ui.widgets import Card, ElidedLabel, label, row, set_text
from engine.mel import SAMPLE_RATE_HZ

DESCRIBE_UPDATES = 20  # once a second
SLIP_MS = 150.0  # what is played may stay this far behind the clock before a gap is shown


class SpeechCard(Card):
    def __init__(self) -> None:
        super().__init__()
        self.far = PhonemeStream("far", tr("Phonemes of the other side"))
        self.near = PhonemeStream("near", tr("Your phonemes"))
        self.spectrogram = Spectrogram()
        self._far_name = ElidedLabel("", "small")
        self._heard = label("", "small")
        self._position = 0
        self._lag_ms: float | None = None
        self._updates = 0
        self.body.setSpacing(4)
        top = row()
        top.addWidget(self._far_name, 1)
        top.addWidget(StreamLegend())
        self.body.addLayout(top)
        self.body.addWidget(self.far, 3)
        self.body.addWidget(self.spectrogram, 4)
        self.body.addLayout(row(label(tr("You"), "small"), None, self._heard))
        self.body.addWidget(self.near, 3)

    def clear(self) -> None:
        self._position, self._lag_ms = 0, None
        for part in (self.far, self.near, self.spectrogram):
            part.clear()

    def show_call(self, call: CallControls, stats: CallStats, blind: bool) -> None:
        now_ms = stats.seconds * 1000.0
        name = display_name(stats.peer_name) if stats.peer_name else tr("Them")
        self._far_name.set_full_text(name)
        heard = tr("A blind test is on") if blind else tr("Heard: {0}").format(arm_name(stats.arm))
        set_text(self._heard, heard)
        self.spectrogram.set_hidden(blind)
        self.far.set_events(call.far_events(), now_ms)
        self.near.set_events(call.near_events(), now_ms)
        before = self._position
        self._position, pcm = call.heard(before)
        if len(pcm):
            unseen = self._position - len(pcm) - before if before else 0
            if unseen > 0:  # the window was away for longer than the call keeps sound
                self.spectrogram.skip(1000.0 * unseen / SAMPLE_RATE_HZ)
            self._keep_step(now_ms)
            self.spectrogram.push(pcm)
        if self._updates % DESCRIBE_UPDATES == 0:
            self.far.describe()
            self.near.describe()
        self._updates += 1

    def _keep_step(self, now_ms: float) -> None:
        """Sound that was never played (a busy machine) must not move the spectrogram against the
        phonemes, which stand where the clock says."""
        lag_ms = now_ms - 1000.0 * self._position / SAMPLE_RATE_HZ
        if self._lag_ms is None or lag_ms < self._lag_ms:
            self._lag_ms = lag_ms
        elif lag_ms - self._lag_ms > SLIP_MS:
            self.spectrogram.skip(lag_ms - self._lag_ms)
            self._lag_ms = lag_ms
