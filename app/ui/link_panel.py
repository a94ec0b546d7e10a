"""Make the link bad on purpose: presets and sliders, applied to what both arms send."""

from __future__ import annotations

import dataclasses
from typing import Any

from PySide6.QtCore import QLocale, Qt, QTimer
from PySide6.QtWidgets import QGridLayout, QLabel, QSlider, QWidget

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.buttons import Segments
from app.ui.outside_words import in_user_language
from app.ui.view_models import tr
from app.ui.widgets import GRID, Card, column, label, set_text
from transport.impair import PRESETS, ImpairmentSettings

APPLY_MS = 150  # after the last movement of a slider


def preset_names() -> dict[str, str]:
    return {
        "perfect": tr("As it is"),
        "good Wi-Fi": tr("Good Wi-Fi"),
        "train": tr("Train"),
        "satellite": tr("Satellite"),
        "barely there": tr("Barely there"),
    }


class _Slider:
    """One setting of the link: name, slider and figure."""

    def __init__(self, name: str, unit: str, top: int, factor: float) -> None:
        self.factor = factor
        self._unit = unit
        self._real = 0.0
        self.name = label(name, "small")
        self.value = label("", "value")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, top)
        self.slider.setAccessibleName(name)
        self.slider.setPageStep(max(1, top // 10))
        self.slider.valueChanged.connect(self._moved)
        self._describe()

    def _moved(self, steps: int) -> None:
        self._real = steps * self.factor
        self._describe()

    def _describe(self) -> None:
        number = QLocale().toString(round(self._real / self.factor, 1), "g", 6)
        text = f"{number} {self._unit}" if self._real else tr("none")
        set_text(self.value, text)
        self.slider.setAccessibleDescription(text)

    def set_real(self, value: float) -> None:
        """Without a signal to the call. A preset may lie between two steps: 9.6 kbit/s."""
        self._real = value
        self.slider.blockSignals(True)
        self.slider.setValue(round(value / self.factor))
        self.slider.blockSignals(False)
        self._describe()

    def real(self) -> float:
        return self._real


class LinkPanel(QWidget):
    """What the Link tab shows."""

    def __init__(self) -> None:
        super().__init__()
        self._call: CallControls | None = None
        self._settings = ImpairmentSettings()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(APPLY_MS)
        self._later.timeout.connect(self.apply)
        card = Card(tr("Make the link worse"))
        card.body.addWidget(
            label(tr("Applied to everything you send, on both arms alike."), "small", wrap=True)
        )
        names = preset_names()
        known = [(key, names.get(key, key)) for key in PRESETS]
        first, rest = known[:3], known[3:]
        self._rows = [Segments(first, tr("Link")), Segments(rest, tr("Link"))]
        for choices in self._rows:
            choices.chosen.connect(self.choose_preset)
            card.body.addWidget(choices)
        self.sliders = {
            "loss": _Slider(tr("Packets lost"), "%", 90, 0.01),
            "burst_ms": _Slider(tr("Length of an outage"), "ms", 1000, 1.0),
            "delay_ms": _Slider(tr("Delay, one way"), "ms", 1000, 1.0),
            "jitter_ms": _Slider(tr("Jitter"), "ms", 300, 1.0),
            "rate_bps": _Slider(tr("Bottleneck"), "kbit/s", 128, 1000.0),
        }
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        for line, part in enumerate(self.sliders.values()):
            grid.addWidget(part.name, 2 * line, 0)
            grid.addWidget(part.value, 2 * line, 1, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(part.slider, 2 * line + 1, 0, 1, 2)
            part.slider.valueChanged.connect(lambda _value: self._later.start())
        card.body.addSpacing(GRID)
        card.body.addLayout(grid)
        self.now: QLabel = label("", "small", wrap=True)
        card.body.addWidget(self.now)
        self.setLayout(column(card, None))

    def attach(self, call: CallControls | None) -> None:
        self._call = call
        now = call.impairment() if call is not None else None
        self._show(now or ImpairmentSettings())

    def choose_preset(self, name: str) -> None:
        self._show(PRESETS[name])
        self._send()

    def apply(self) -> None:
        """Send what the sliders say; the preset's other values stay as they were."""
        changed: dict[str, Any] = {key: part.real() for key, part in self.sliders.items()}
        self._settings = dataclasses.replace(self._settings, **changed)
        self._mark_preset()
        self._send()

    def _show(self, settings: ImpairmentSettings) -> None:
        self._settings = settings
        for key, part in self.sliders.items():
            part.set_real(getattr(settings, key))
        self._mark_preset()

    def _mark_preset(self) -> None:
        name = next((key for key, value in PRESETS.items() if value == self._settings), "")
        for choices in self._rows:
            choices.clear()
            choices.choose(name)

    def _send(self) -> None:
        if self._call is not None:
            untouched = self._settings == ImpairmentSettings()
            self._call.set_impairment(None if untouched else self._settings)

    def show_stats(self, stats: CallStats) -> None:
        words = in_user_language(stats.impairment)
        set_text(self.now, words or tr("The link is left as it is."))
