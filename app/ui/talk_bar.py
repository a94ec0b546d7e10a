"""The bottom of a call: mute, push-to-talk, levels, volume, record, hang up.

The buttons say what they will do; what is going on is read from ``CallStats`` and never kept here.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSlider

from app.stats import CallStats
from app.ui.ab_panel import ArmSwitch
from app.ui.buttons import RoundButton
from app.ui.level_meter import LevelMeter
from app.ui.view_models import tr
from app.ui.widgets import column, label, row, set_text

DESCRIBE_UPDATES = 20  # once a second


class TalkBar(QFrame):
    mute_wanted = Signal(bool)
    push_to_talk_wanted = Signal(bool)
    volume_wanted = Signal(float)
    record_wanted = Signal()
    hang_up_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "bar")
        self._muted = self._push_to_talk = False
        self._updates = 0
        self.mute = RoundButton(tr("Mute"), "mic")
        self.mute.setToolTip(tr("Mute your microphone (M)"))
        self.mute.make_room(tr("Mute"), tr("Unmute"))
        self.mute.clicked.connect(lambda: self.mute_wanted.emit(not self._muted))
        self.talk = RoundButton(tr("Push to talk"), "talk")
        self.talk.setCheckable(True)
        self.talk.make_room(tr("Push to talk"), tr("Talking"))
        self.talk.clicked.connect(lambda on: self.push_to_talk_wanted.emit(on))
        self.near = LevelMeter(tr("Your microphone"))
        self.far = LevelMeter(tr("What you hear"))
        self._near_text = label("", "small")
        self._far_text = label("", "small")
        self.volume = QSlider(Qt.Orientation.Horizontal)
        self.volume.setRange(0, 200)
        self.volume.setPageStep(20)
        self.volume.setAccessibleName(tr("Volume"))
        self.volume.setToolTip(tr("Volume"))
        self.volume.setMinimumWidth(64)
        self.volume.valueChanged.connect(lambda value: self.volume_wanted.emit(value / 100.0))
        self.switch = ArmSwitch()
        self.record = RoundButton(tr("Record"), "record")
        self.record.setToolTip(tr("Record the call; the other side must agree (R)"))
        self.record.make_room(tr("Record"), tr("Agree"), tr("Asking …"), tr("Stop"))
        self.record.clicked.connect(self.record_wanted)
        self.hang_up = RoundButton(tr("Hang up"), "hang-up", "hangup")
        self.hang_up.make_room(tr("Hang up"), "M" * 6)
        self.hang_up.setToolTip(tr("End the call (Ctrl+H)"))
        self.hang_up.clicked.connect(self.hang_up_wanted)
        near = column(
            row(label(tr("You"), "small"), None, self._near_text),
            self.near,
            None,  # in line with theirs
            spacing=4,
        )
        far = column(
            row(label(tr("Them"), "small"), None, self._far_text),
            self.far,
            self.volume,
            None,
            spacing=4,
        )
        hear = column(label(tr("Hear (A)"), "small"), self.switch, spacing=4)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(10)
        for item, stretch in ((self.mute, 0), (self.talk, 0)):
            layout.addWidget(item, stretch)
        layout.addLayout(near, 2)
        layout.addSpacing(4)
        layout.addLayout(far, 2)
        layout.addSpacing(4)
        layout.addLayout(hear, 0)
        layout.addStretch(1)
        layout.addWidget(self.record)
        layout.addWidget(self.hang_up)

    def show_stats(self, stats: CallStats, talk_key: str) -> None:
        self._muted, self._push_to_talk = stats.muted, stats.push_to_talk
        if stats.muted:
            self.mute.set_look(tr("Unmute"), "mic-off", "muted")
        else:
            self.mute.set_look(tr("Mute"), "mic", "round")
        if self.talk.isChecked() != stats.push_to_talk:
            self.talk.setChecked(stats.push_to_talk)
        held = stats.push_to_talk and stats.talking
        self.talk.set_look(tr("Talking") if held else tr("Push to talk"), "talk", "round")
        self.talk.setToolTip(tr("Microphone open only while {0} is pressed (P)").format(talk_key))
        self.near.set_level(stats.near)
        self.far.set_level(stats.far)
        if not self.volume.isSliderDown() and not self.volume.hasFocus():
            self.volume.blockSignals(True)
            self.volume.setValue(round(stats.volume * 100))
            self.volume.blockSignals(False)
        recording = {
            "off": (tr("Record"), "record", "round"),
            "failed": (tr("Stop"), "stop", "muted"),  # the other side's, which may go on
            "asked": (tr("Agree"), "record", "round"),
            "asking": (tr("Asking …"), "record", "round"),
            "on": (tr("Stop"), "stop", "muted"),
        }[stats.recording]
        self.record.set_look(*recording)
        if self._updates % 5 == 0:
            near_text = tr("Too loud") if stats.near.clipped else self.near.text()
            if stats.muted:
                near_text = tr("Muted")
            set_text(self._near_text, near_text)
            far_text = tr("Too loud") if stats.far.clipped else self.far.text()
            set_text(self._far_text, tr("Muted") if stats.peer_muted else far_text)
        if self._updates % DESCRIBE_UPDATES == 0:
            self.near.describe()
            self.far.describe()
        self._updates += 1
