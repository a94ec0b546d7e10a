"""Puts the program on a screen: the QApplication, the theme, and one window or several."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from PySide6.QtCore import QRect, QSize, QTimer
from PySide6.QtWidgets import QApplication, QWidget

from app import libraries
from app.audio import AudioPort
from app.call_controls import CallControls
from app.resume import TicketFile
from app.settings import Settings
from app.ui.call_window import CallWindow
from app.ui.icons import app_icon
from app.ui.program import Program
from app.ui.single_instance import SingleInstance, hand_over
from app.ui.tasks import start_threads
from app.ui.theme import Theme
from app.ui.tones import NoSounds, Tones
from app.ui.translations import install

log = logging.getLogger(__name__)

FRAME_PX = 4  # what window managers draw around a window
TITLE_PX = 40  # and above it
LARGEST = QSize(1180, 1000)  # beyond it meters grow and say no more


def application(choice: str = "system", language: str = "en") -> QApplication:
    """The one QApplication, dressed. ``choice`` is a theme; empty ``language``: the system's."""
    found = QApplication.instance()
    made = found if isinstance(found, QApplication) else QApplication(sys.argv[:1])
    made.setApplicationName("sottovoce")
    made.setApplicationDisplayName("Sottovoce")
    made.setDesktopFileName("sottovoce")
    made.setWindowIcon(app_icon())
    install(made, language)
    start_threads()
    if made.findChild(Theme) is None:
        Theme(made, choice)
    return made


def open_device_call(settings: Settings) -> CallControls:
    """A call over this machine's microphone and loudspeaker. Not on the window's thread."""
    from app.call import Call

    return Call(settings, open_devices(settings), bundle=True, tickets=TicketFile())


def open_devices(settings: Settings) -> AudioPort:
    """This machine's microphone and loudspeaker; nothing is opened before ``start``."""
    from app.devices import open_port

    return open_port(settings.input_device, settings.output_device)


def resume(window: CallWindow, settings: Settings, tickets: TicketFile) -> bool:
    """Go on with the call that this program was killed in, if there is one."""
    ticket = tickets.load()
    if ticket is None:
        return False

    def go_on(_code: str) -> None:
        if window.desk.call is not None:
            window.attach(window.desk.call)

    window.desk.begin(settings, lambda call: call.resume(ticket), go_on, log.warning)
    return True


def warm_up() -> threading.Thread:
    """Load what a call needs while the user reads the start page: seconds, the first time. In a
    call loading would hold up all threads."""
    # No daemon: who closes the window at once waits for the import, not for a crash.
    thread = threading.Thread(target=libraries.load, name="warm-up")
    thread.start()
    return thread


def _device_window(settings: Settings) -> CallWindow:
    sounds = Tones(settings.output_device)
    window = CallWindow(settings, open_device_call, open_audio=open_devices, sounds=sounds)
    window.preferences.changed.connect(lambda new: sounds.use(new.output_device))
    return window


def run(settings: Settings, link: str = "") -> int:
    """Open the call window and stay until it is closed; ``link`` is an invite that was clicked.

    Where a window is open already, that one is shown instead.
    """
    made = application(settings.theme, settings.language)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hand_over(link):
        return 0
    program = Program(settings, _device_window)
    instance = SingleInstance(program)
    instance.opened.connect(program.open_link)
    window = program.window
    window.show()
    QTimer.singleShot(500, warm_up)
    if resume(window, settings, TicketFile()):
        log.info("a call was under way when this program ended: going on with it")
    elif link:
        QTimer.singleShot(0, window, lambda: window.open_link(link))
    elif not settings.wizard_done and not settings.name:
        QTimer.singleShot(300, window.open_wizard)
    try:
        return int(made.exec())
    finally:
        instance.close()


def place_beside(window: QWidget, number: int, count: int, screen: QRect) -> None:
    """Give the window its column of the screen; where columns are too narrow, stagger them."""
    width = screen.width() // count
    room = QSize(width - 2 * FRAME_PX, screen.height() - TITLE_PX - FRAME_PX)
    if room.width() < window.minimumWidth() or room.height() < window.minimumHeight():
        window.move(screen.x() + 40 + 60 * number, screen.y() + 40 + 60 * number)
        return
    window.resize(room.boundedTo(LARGEST))
    window.move(screen.x() + number * width + FRAME_PX, screen.y() + FRAME_PX)


def show_calls(calls: Sequence[tuple[CallControls, Settings]], still: Callable[[], bool]) -> None:
    """One window for each of ``calls``, which somebody else made; returns when ``still()`` turns
    false or the last window is closed. Closing a window ends its call."""
    first = calls[0][1] if calls else Settings()
    made = application(first.theme, first.language)
    windows = []
    for number, (call, settings) in enumerate(calls):

        def refuse(_settings: Settings, call: CallControls = call) -> CallControls:
            return call

        window = CallWindow(settings, refuse, sounds=NoSounds(), save=lambda _settings: None)
        window.attach(call)
        window.page.open_details(True)
        place_beside(window, number, len(calls), made.primaryScreen().availableGeometry())
        window.show()
        windows.append(window)
    watch = QTimer()
    watch.timeout.connect(lambda: None if still() else made.quit())
    watch.start(100)
    made.exec()
    watch.stop()
    for window in windows:
        if not still():
            window.desk.forget()  # whoever made the calls ends them in their own way
        window.close()
