"""One window a user: a second start hands its link to the first one and ends.

The first instance listens on a local socket of this user; a message is one line of UTF-8, a link
or nothing. Whoever can open the socket is the same user, yet the line is bounded and is only ever
shown in a field.
"""

from __future__ import annotations

import hashlib
import logging

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app.settings import config_dir

log = logging.getLogger(__name__)

MAX_LINE = 4_096  # bytes; links have some hundred
PATIENCE_MS = 1_000  # for an instance that answers at all


def socket_name() -> str:
    """The same for every start with the same settings folder; never another user's."""
    return "sottovoce-" + hashlib.sha256(str(config_dir().absolute()).encode()).hexdigest()[:16]


def hand_over(link: str) -> bool:
    """Give ``link`` to the instance that runs already. False when there is none."""
    socket = QLocalSocket()
    socket.connectToServer(socket_name())
    if not socket.waitForConnected(PATIENCE_MS):
        return False
    line = " ".join(link.split()).encode(errors="replace")[: MAX_LINE - 1] + b"\n"
    socket.write(line)
    taken = socket.waitForBytesWritten(PATIENCE_MS) and socket.waitForReadyRead(PATIENCE_MS)
    socket.disconnectFromServer()
    return bool(taken)  # one that hangs is none


class SingleInstance(QObject):
    """Listens for later starts. ``opened`` carries their link, empty when there was none."""

    opened = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._accept)
        if not self._server.listen(socket_name()):
            QLocalServer.removeServer(socket_name())  # left behind by one that was killed
            if not self._server.listen(socket_name()):
                log.warning("links cannot reach this window: %s", self._server.errorString())

    def _accept(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            socket.readyRead.connect(lambda socket=socket: self._read(socket))
            if socket.bytesAvailable():
                self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if not socket.canReadLine():
            if socket.bytesAvailable() >= MAX_LINE:
                socket.abort()
            return
        line = bytes(socket.readLine(MAX_LINE).data())
        socket.write(b"\n")
        socket.flush()
        self.opened.emit(line.decode(errors="replace").strip())

    def close(self) -> None:
        self._server.close()
