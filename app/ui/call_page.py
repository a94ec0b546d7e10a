"""The page of a call: header, what is being said, details on demand, and the bar to act with.

It shows what it is told 20 times a second and forwards what is pressed; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.call_header import CallHeader
from app.ui.details_panel import DetailsPanel, scrolling
from app.ui.icons import drawn_ahead
from app.ui.meters import MeterBoard
from app.ui.notice_bar import ConsentBar, NoticeBar
from app.ui.outside_words import in_user_language
from app.ui.palette import DARK, LIGHT
from app.ui.phoneme_lane import symbols_laid_out
from app.ui.speech_card import SpeechCard
from app.ui.talk_bar import TalkBar
from app.ui.theme import theme
from app.ui.turns import Turns, each
from app.ui.view_models import tr
from app.ui.widgets import GRID

SIDE_UPDATES = 5  # panels beside the call are refreshed four times a second


class CallPage(QWidget):
    abx_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._call: CallControls | None = None
        self._updates = 0
        self._warming: Turns | None = None
        self.blind = False
        self.remark = ""  # shown below what the call itself has to say
        self.header = CallHeader()
        self.notice, self.consent = NoticeBar(), ConsentBar()
        self.speech, self.meters = SpeechCard(), MeterBoard()
        self.details, self.bar = DetailsPanel(), TalkBar()
        self._meters_area = scrolling(self.meters)
        left = QVBoxLayout()
        left.setSpacing(GRID)
        left.addWidget(self.speech, 5)
        left.addWidget(self._meters_area, 9)
        body = QHBoxLayout()
        body.setSpacing(GRID)
        body.addLayout(left, 1)
        body.addWidget(self.details)
        middle = QVBoxLayout()
        middle.setContentsMargins(12, 12, 12, 12)
        middle.setSpacing(GRID)
        middle.addWidget(self.notice)
        middle.addWidget(self.consent)
        middle.addLayout(body, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addLayout(middle, 1)
        layout.addWidget(self.bar)
        for zone in (self.header, self.notice, self.consent, self.speech, self.bar):
            theme().dress(zone)
        theme().dress(self._meters_area.verticalScrollBar())
        self._connect()
        self.open_details(False)

    def _connect(self) -> None:
        # queued: a pressed button paints itself at once, and all that changed until then with it
        queued = Qt.ConnectionType.QueuedConnection
        self.header.light.toggled.connect(self._follow_light, queued)
        self.details.compare.abx_wanted.connect(self.abx_wanted)
        self.details.chat.unseen.connect(self._tell_message)
        self.details.chat.opened.connect(lambda: self._tell_message(""))
        self.bar.switch.chosen.connect(self.set_arm)
        self.bar.mute_wanted.connect(lambda on: self._tell(lambda call: call.set_muted(on)))
        self.bar.push_to_talk_wanted.connect(
            lambda on: self._tell(lambda call: call.set_push_to_talk(on))
        )
        self.bar.volume_wanted.connect(lambda to: self._tell(lambda call: call.set_volume(to)))
        self.bar.record_wanted.connect(self.toggle_recording)
        self.bar.hang_up_wanted.connect(lambda: self._tell(lambda call: call.hang_up()))
        self.consent.agreed.connect(lambda: self._tell(lambda call: call.request_recording()))
        self.consent.refused.connect(self._refuse)

    def warm_up(self) -> None:
        """Draw everything once, part by part, before a call: fonts, symbols and the icons of both
        themes are then ready, and opening the page and its details in a call is quick."""
        parts: list[QWidget] = [self.header, self.notice, self.consent, self.speech, self.bar]
        parts += [self.details, *self.meters.cards]
        icons = drawn_ahead([LIGHT.text, DARK.text])
        drawn = each(part.grab for part in parts)
        self._warming = Turns(self, chain(symbols_laid_out(), drawn, icons))

    def _tell(self, what: Callable[[CallControls], object]) -> None:
        if self._call is not None:
            what(self._call)

    def attach(self, call: CallControls | None) -> None:
        """Show ``call`` from now on, from an empty page."""
        if call is not None and self._warming is not None:
            self._warming.stop()
        self._call = call
        self._updates = 0
        self.remark = ""
        self.set_blind(False)
        self.details.attach(call)
        self.speech.clear()
        self.meters.clear()

    def open_details(self, opened: bool) -> None:
        self.header.light.setChecked(opened)
        self._follow_light()

    def _follow_light(self) -> None:
        opened = self.header.light.isChecked()
        if opened == self.details.isVisibleTo(self):
            return
        self.details.setVisible(opened)
        if opened:  # the other half in a turn of its own: both together would take two frames
            QTimer.singleShot(0, self, self._show_meters)
        else:
            self._show_meters()

    def _show_meters(self) -> None:
        opened = self.details.isVisibleTo(self)
        if opened and not self._meters_area.isVisibleTo(self):
            self.meters.reveal()
        self._meters_area.setVisible(opened)
        self._fit()

    def set_blind(self, blind: bool) -> None:
        """During a blind test nothing on this page says which arm is heard."""
        self.blind = blind
        self.bar.switch.set_blind(blind)
        self.details.compare.set_blind(blind)

    def set_arm(self, arm: str) -> None:
        if self._call is not None and not self.blind:
            self._call.set_arm("opus" if arm == "opus" else "phonemes")

    def switch_arm(self) -> None:
        if self._call is not None:
            self.set_arm("phonemes" if self._call.stats().arm == "opus" else "opus")

    def toggle_mute(self) -> None:
        if self._call is not None:
            self._call.set_muted(not self._call.stats().muted)

    def toggle_recording(self) -> None:
        if self._call is None:
            return
        if self._call.stats().recording in ("on", "asking", "failed"):
            self._call.stop_recording()
        else:
            self._call.request_recording()

    def _tell_message(self, text: str) -> None:
        """Who has no chat open hears of what they wrote here; nothing once it is open."""
        self.remark = tr("They wrote: {0}").format(text) if text else ""

    def _refuse(self) -> None:
        if self._call is None:
            return
        if self._call.stats().recording == "asked":
            self._call.refuse_recording()
        else:
            self._call.stop_recording()

    def show_stats(self, stats: CallStats, talk_key: str) -> None:
        if self._call is None:
            return
        self.header.show_stats(stats, self.blind)
        notices = (in_user_language(stats.notice), self.remark)
        self.notice.show_text("\n".join(filter(None, notices)))
        self.consent.show_stats(stats)
        self.speech.show_call(self._call, stats, self.blind)
        self.bar.show_stats(stats, talk_key)
        if not self.blind:
            self.bar.switch.choose(stats.arm)
        self.meters.show_stats(stats)
        if self._updates % SIDE_UPDATES == SIDE_UPDATES - 1:
            self.details.show_stats(stats, self.blind)
        self._updates += 1

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Two columns of meters only where they have room; compact captions on a small screen."""
        side = self.details.width() + GRID if self.details.isVisibleTo(self) else 0
        self.meters.fit(self.width() - side - 24)
