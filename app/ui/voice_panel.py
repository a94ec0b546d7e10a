"""The voices of the call in figures: what was sent, how close it is, how often it got better."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

from app.stats import CallStats
from app.ui.view_models import percent_text, tr
from app.ui.widgets import GRID, Card, column, label, row, set_text


class VoicePanel(QWidget):
    """What the Voice tab shows."""

    def __init__(self) -> None:
        super().__init__()
        mine = Card(tr("Your voice, as sent"))
        self.similarity = label("–", "figure")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 100)
        self.bar.setAccessibleName(tr("Similarity of the voice sent to your voice"))
        mine.body.addLayout(row(self.similarity, label(tr("alike your live voice"), "small"), None))
        mine.body.addWidget(self.bar)
        self._values: dict[str, QLabel] = {}
        self._names: dict[str, str] = {}
        mine.body.addLayout(
            self._table(
                [
                    ("bits_sent", tr("Descriptor sent")),
                    ("updates_sent", tr("Updates sent")),
                    ("steps", tr("Adaptation steps")),
                    ("f0", tr("Mean pitch")),
                ]
            )
        )
        theirs = Card(tr("Their voice, as received"))
        theirs.body.addLayout(
            self._table(
                [
                    ("bits_received", tr("Descriptor received")),
                    ("updates_received", tr("Updates received")),
                    ("peer_f0", tr("Mean pitch")),
                ]
            )
        )
        events = Card(tr("Phonemes"))
        events.body.addLayout(
            self._table(
                [
                    ("sent", tr("Sent")),
                    ("received", tr("Received")),
                    ("lost", tr("Never arrived")),
                    ("concealed", tr("Concealed")),
                    ("redundancy", tr("Repeated in each packet")),
                    ("layers", tr("Articulation layers")),
                ]
            )
        )
        safety = label(
            tr(
                "Both voices are held in memory only and wiped at hang-up. Do not trust a voice "
                "alone: voices can be cloned."
            ),
            "small",
            wrap=True,
        )
        self.setLayout(column(mine, theirs, events, safety, None, spacing=GRID))

    def _table(self, lines: list[tuple[str, str]]) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(0, 1)
        for line, (key, name) in enumerate(lines):
            value = label("–", "value")
            self._values[key], self._names[key] = value, name
            grid.addWidget(label(name, "small"), line, 0)
            grid.addWidget(value, line, 1, Qt.AlignmentFlag.AlignRight)
        return grid

    def _set_bar(self, percent: int) -> None:
        if percent != self.bar.value():
            # Qt would paint the bar at once, and all that changed in the window with it
            self.bar.setUpdatesEnabled(False)
            self.bar.setValue(percent)
            self.bar.setUpdatesEnabled(True)

    def value(self, key: str) -> str:
        return self._values[key].text()

    def show_stats(self, stats: CallStats) -> None:
        voice = stats.voice
        set_text(self.similarity, percent_text(voice.similarity))
        self._set_bar(round(100 * max(0.0, voice.similarity or 0.0)))
        self.bar.setAccessibleDescription(self.similarity.text())
        bits, hertz = tr("{0} bits"), tr("{0} Hz")
        texts = {
            "bits_sent": bits.format(voice.bits_sent),
            "updates_sent": str(voice.updates_sent),
            "steps": str(voice.adaptation_steps),
            "f0": "–" if voice.f0_mean_hz is None else hertz.format(round(voice.f0_mean_hz)),
            "bits_received": bits.format(voice.bits_received),
            "updates_received": str(voice.updates_received),
            "peer_f0": "–"
            if voice.peer_f0_mean_hz is None
            else hertz.format(round(voice.peer_f0_mean_hz)),
            "sent": str(stats.events_sent),
            "received": str(stats.events_received),
            "lost": str(stats.events_lost),
            "concealed": str(stats.events_concealed),
            "redundancy": str(stats.redundancy),
            "layers": str(stats.layers),
        }
        for key, text in texts.items():
            set_text(self._values[key], text)
            # a number alone says nothing to who cannot see what stands beside it
            self._values[key].setAccessibleName(f"{self._names[key]}: {text}")
