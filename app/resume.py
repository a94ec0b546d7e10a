"""The ticket back into a call, kept on disk while the call lasts.

A program that is killed finds it when it starts again and goes on with the call; hanging up deletes
it. It holds a private key, so only the user may read it; it holds no voice and no speech.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

from app.settings import state_dir
from engine.errors import SottovoceError
from transport.state import RtcSettings
from transport.ticket import MAX_TICKET_BYTES, ResumeTicket

log = logging.getLogger(__name__)

FILE_NAME = "call.ticket"
REFRESH_S = 10.0
"""How often a call that lasts says so, by the file's date."""
FRESH_S = RtcSettings().reconnect_for_s + REFRESH_S
"""An older ticket is worthless: the far end gives up by then."""


class TicketFile:
    """One call's ticket. Methods touch the disk: not for the link's or the engine's thread."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir() / FILE_NAME
        self._lock = threading.Lock()
        self._ended = False

    def save(self, ticket: ResumeTicket) -> None:
        """Write the ticket, unless the call has ended meanwhile. Failing costs only resuming."""
        with self._lock:
            if self._ended:
                return
            temporary = self.path.with_suffix(f".{os.getpid()}.new")
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                temporary.unlink(missing_ok=True)
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(ticket.to_bytes())
                os.replace(temporary, self.path)
            except OSError as error:
                log.warning("the call cannot be resumed if this program is killed: %s", error)
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def refresh(self) -> None:
        """The call still lasts."""
        with self._lock, contextlib.suppress(OSError):
            if not self._ended:
                os.utime(self.path)

    def load(self) -> ResumeTicket | None:
        """The ticket of a call that may still be resumed. Any other is deleted."""
        try:
            if abs(time.time() - self.path.stat().st_mtime) > FRESH_S:
                raise SottovoceError("The saved call is too old.")
            with self.path.open("rb") as file:
                return ResumeTicket.from_bytes(file.read(MAX_TICKET_BYTES + 1))
        except FileNotFoundError:
            return None
        except (OSError, SottovoceError) as error:
            log.info("no call to resume: %s", error)
            self.delete()
            return None

    def delete(self) -> None:
        """The call has ended: nothing is left of it, whatever is saved later."""
        with self._lock:
            self._ended = True
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)


class TicketKeeper:
    """Keeps the ticket of a call up to date on a thread of its own, ``ticket``, from ``start``."""

    def __init__(self, file: TicketFile) -> None:
        self._file = file
        self._wake = threading.Event()
        self._ticket: ResumeTicket | None = None
        self._over = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ticket", daemon=True)
        self._thread.start()

    def keep(self, ticket: ResumeTicket | None) -> None:
        """Save this ticket soon; it replaces the one before."""
        if ticket is None or self._over:
            return
        self._ticket = ticket
        self._wake.set()

    def close(self) -> None:
        """The call has ended: delete the ticket."""
        self._over = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        self._file.delete()

    def _run(self) -> None:
        self._wake.wait()
        while not self._over:
            ticket, self._ticket = self._ticket, None
            if ticket is not None:
                self._file.save(ticket)
            else:
                self._file.refresh()
            self._wake.wait(REFRESH_S)
            self._wake.clear()
