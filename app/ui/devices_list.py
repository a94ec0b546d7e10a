"""Names of microphones and loudspeakers, fetched where it may take its time."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from app.ui.tasks import DEVICES


@dataclass(frozen=True, slots=True)
class DeviceNames:
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def _look() -> DeviceNames:
    from app.devices import list_devices

    return DeviceNames(
        tuple(device.name for device in list_devices("input")),
        tuple(device.name for device in list_devices("output")),
    )


class DevicesList(QObject):
    """Emits ``found`` once in the window's thread; asking PortAudio can take a second."""

    found = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._future: Future[DeviceNames] = DEVICES.submit(_look)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)
        self._timer.start(50)

    def _poll(self) -> None:
        if self._future.done():
            self._timer.stop()
            failed = self._future.exception() is not None
            self.found.emit(DeviceNames() if failed else self._future.result())
