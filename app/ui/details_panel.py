"""The side of a call with its four tabs: compare, link, voice, chat."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.ab_panel import ComparePanel
from app.ui.buttons import Segments
from app.ui.chat_panel import ChatPanel
from app.ui.link_panel import LinkPanel
from app.ui.theme import theme
from app.ui.view_models import tr
from app.ui.voice_panel import VoicePanel
from app.ui.widgets import GRID

DIRECT = Qt.FindChildOption.FindDirectChildrenOnly
WIDTH = 300  # px, with room for a scroll bar


def scrolling(widget: QWidget) -> QScrollArea:
    """``widget`` in a vertical scroll area without a frame; Tab does not stop at it."""
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.viewport().setAutoFillBackground(False)
    widget.setAutoFillBackground(False)
    return area


class DetailsPanel(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(WIDTH)
        self.compare, self.link = ComparePanel(), LinkPanel()
        self.voice, self.chat = VoicePanel(), ChatPanel()
        self._pages = {
            "compare": self.compare,
            "link": self.link,
            "voice": self.voice,
            "chat": self.chat,
        }
        self.tabs = Segments(
            [
                ("compare", tr("Compare")),
                ("link", tr("Link")),
                ("voice", tr("Voice")),
                ("chat", tr("Chat")),
            ],
            tr("Details"),
        )
        self._stack = QStackedWidget()
        theme().dress(self.tabs)
        for page in self._pages.values():
            shown = page if page is self.chat else scrolling(page)
            self._stack.addWidget(shown)
            for zone in page.findChildren(QWidget, options=DIRECT):
                theme().dress(zone)
            if isinstance(shown, QScrollArea):
                theme().dress(shown.verticalScrollBar())
        self.tabs.chosen.connect(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID)
        layout.addWidget(self.tabs)
        layout.addWidget(self._stack, 1)
        self.open("compare")

    def open(self, tab: str) -> None:
        self.tabs.choose(tab)
        self._stack.setCurrentIndex(list(self._pages).index(tab))

    def attach(self, call: CallControls | None) -> None:
        self.compare.attach(call)
        self.link.attach(call)
        self.chat.attach(call)

    def show_stats(self, stats: CallStats, blind: bool) -> None:
        self.compare.show_stats(stats, blind)
        self.link.show_stats(stats)
        if self.voice.isVisible():
            self.voice.show_stats(stats)
        self.chat.refresh()
