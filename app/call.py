"""A call: the state machine, and the threads that carry it.

Who runs, and by what rules:

* PortAudio's callbacks (``app.devices``): copy samples and count, nothing else.
* ``engine`` (``app.engine_worker``): every 10 ms encodes, decodes and mixes; the only thread that
  touches torch. Waits for nobody: what comes too fast is dropped by bounded queues and counted.
* ``sottovoce-link`` (``transport.rtc``): asyncio; owns the sockets; drops the oldest packets.
* ``adaptation`` (``app.voice_worker``): lowest priority; learns the talker's voice.
* ``meter`` (``app.heard_meter``): low priority; recognises what is heard; skips when it is late.
* ``recorder`` and ``export`` (``app.call_recording``) and ``ticket`` (``app.resume``): the only
  ones that wait for the disk.
* ``devices``: opens and reopens sound devices. ``hang-up``: ends the call.
* The window's thread and any other: call the methods below, which return at once, and read
  ``stats()``, an immutable value.

All are started before anybody talks (``app.helper`` says why). Between threads go plain values,
futures and bounded queues. A voice descriptor lives in memory only and is wiped at hang-up.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from app import garbage
from app.audio import AudioPort
from app.call_panel import CallPanel
from app.call_recording import CallRecording
from app.call_state import CallState, may_move
from app.call_words import CallWords, version_notice
from app.clock import Clock, SystemClock
from app.helper import Helper
from app.network import STREAM_VERSION, Network, ice_settings
from app.resume import TicketFile, TicketKeeper
from app.settings import Settings, clean_name
from engine.errors import SottovoceError
from transport.control import Bye, ByeReason
from transport.state import LinkState, RtcSettings
from transport.ticket import ResumeTicket

log = logging.getLogger(__name__)

STOP_S = 0.5  # how soon a worker that failed sees that its program ends
GOODBYE_S = 0.15  # for the bye to leave before the socket closes
LOST = "The connection was lost; trying to get it back."
MAX_FAILED_STEPS = 50  # half a second of nothing but errors: the call cannot go on


class Call(CallPanel):
    """One call from idle to ended. Implements ``app.call_controls.CallControls``."""

    def __init__(
        self,
        settings: Settings,
        audio: AudioPort,
        on_change: Callable[[], None] | None = None,
        rtc: RtcSettings | None = None,
        clock: Clock | None = None,
        seed: int = 1,
        bundle: bool = False,
        tickets: TicketFile | None = None,
    ) -> None:
        """``rtc`` replaces what the settings say about STUN and TURN; ``seed`` is that of an
        impaired link; ``bundle`` makes an evaluation bundle of each recording; ``tickets`` keeps
        the way back into this call should the program be killed. Nothing is opened before
        ``create_invite``, ``accept_invite`` or ``resume``.

        Raises SottovoceError when a STUN or TURN address makes no sense.
        """
        network = Network(rtc or RtcSettings(ice_settings(settings)), self._link_state, seed)
        recording = CallRecording(network.say, settings.recordings_folder(), bundle)
        words = CallWords(network, recording, self._on_hello, self._on_bye)
        super().__init__(settings, audio, clock or SystemClock(), network, recording, words)
        self._on_change = on_change
        self._lock = threading.RLock()
        self._greeted = self._resumed = False
        self._ended: Future[None] | None = None
        self._closer = Helper("hang-up")
        self._stop = threading.Event()
        self._hello_due = False
        self._tickets = TicketKeeper(tickets) if tickets is not None else None

    # starting and ending

    def create_invite(self) -> Future[str]:
        return self._start(CallState.INVITING, self.network.create_invite)

    def accept_invite(self, code: str) -> Future[str]:
        return self._start(CallState.CONNECTING, lambda: self.network.accept_invite(code))

    def accept_answer(self, code: str) -> Future[None]:
        done: Future[None] = Future()
        try:
            self.network.accept_answer(code)
            self._move(CallState.CONNECTING)
            done.set_result(None)
        except SottovoceError as error:
            done.set_exception(error)
        return done

    def resume(self, ticket: ResumeTicket) -> Future[str]:
        """Go on with a call that this program was killed in; the other side does nothing."""
        self._resumed = True
        return self._start(CallState.CONNECTING, lambda: self.network.resume(ticket))

    def hang_up(self) -> Future[None]:
        return self._end("", ByeReason.HANG_UP)

    def close(self, timeout_s: float = 10.0) -> None:
        """Hang up and wait until every thread is gone."""
        with contextlib.suppress(TimeoutError):
            self.hang_up().result(timeout_s)

    # inside

    def _start(self, state: CallState, begin: Callable[[], Future[str]]) -> Future[str]:
        with self._lock:
            try:
                if self._state is not CallState.IDLE:
                    raise SottovoceError("This call was started already: hang up first.")
                code = begin()
            except SottovoceError as error:
                failed: Future[str] = Future()
                failed.set_exception(error)
                return failed
            # No daemon: the interpreter must not go away under a thread inside torch.
            self._thread = threading.Thread(target=self._run, name="engine")
            self._thread.start()
            for helper in (self._closer, self._devices):
                helper.start()
            if self._tickets is not None:
                self._tickets.start()
            self._move(state)
        return code

    def _run(self) -> None:
        """The engine worker's life."""
        from app.engine_worker import EngineWorker, pace

        rest = garbage.Rest()
        worker = None
        try:
            self._audio.start()
            worker = EngineWorker(
                self._switches, self.network, self.recording, self._words, self._clock
            )
            self._worker = worker
            self.recording.prepare()
            rest.loaded()
            failures, next_ms = 0, self._clock.now_ms()
            while self._wanted():
                next_ms = pace(next_ms, self._clock)
                try:
                    if self._hello_due:
                        self._hello_due = False
                        name, muted = clean_name(self.settings.name), self._switches.muted
                        anew = self._greeted or self._resumed
                        self._words.begin(name, muted, anew, self._clock.now_ms())
                    worker.step(self._state, self._began_ms, self._audio)
                    failures = 0
                except Exception:
                    failures += 1
                    log.exception("a step of the engine worker failed")
                    if failures >= MAX_FAILED_STEPS:
                        raise
        except SottovoceError as error:
            self._end(str(error), ByeReason.HANG_UP)
        except Exception as error:
            log.exception("the engine worker failed")
            self._end(
                f"The call cannot go on ({type(error).__name__}): call again; the log says more.",
                ByeReason.HANG_UP,
            )
        finally:
            while self._wanted():
                self._stop.wait(STOP_S)
            if worker is not None:
                self._last_stats = worker.stats
                self._worker = None
                worker.close()
            self.recording.close()
            self._audio.close()
            rest.end()

    def _wanted(self) -> bool:
        """Whether to go on: nobody hangs up what a program that ends forgot."""
        return not self._stop.is_set() and threading.main_thread().is_alive()

    def _link_state(self, state: LinkState) -> None:
        """From the link's thread."""
        if state is LinkState.CONNECTED:
            self._hello_due = True
            if self._tickets is not None:
                self._tickets.keep(self.network.ticket())
            if self._state is CallState.RECONNECTING and self._greeted:
                self._move(CallState.ACTIVE, self._found_again())
            elif self._state is CallState.CONNECTING:
                self._move(CallState.VERIFYING)
        elif state is LinkState.RECONNECTING:
            self._move(CallState.RECONNECTING, LOST)
        elif state is LinkState.FAILED:
            link = self.network.link
            self._end((link.failure if link else None) or "The connection failed.", None)
        elif state is LinkState.CLOSED:
            self._end("The other side hung up.", None)

    def _on_hello(self, name: str, version: int, same_models: bool) -> None:
        """From the engine worker."""
        self._peer_name, self._peer_version = name, str(version)
        if version != STREAM_VERSION:
            self._end(version_notice(name, version), ByeReason.VERSION)
            return
        if not self._greeted:
            self._greeted = True
            self._began_ms = self._clock.now_ms()
        notice = "The other side has other models; voices may sound odd."
        if self._state in (CallState.VERIFYING, CallState.RECONNECTING):
            self._move(CallState.ACTIVE, self._found_again() if same_models else notice)

    def _found_again(self) -> str | None:
        """The notice when the link is back: none, unless something else was told meanwhile."""
        return "" if self._notice == LOST else None

    def _on_bye(self, reason: ByeReason) -> None:
        """From the engine worker."""
        words = {
            ByeReason.HANG_UP: "The other side hung up.",
            ByeReason.VERSION: "The other side has another version; update both and call again.",
            ByeReason.BUSY: "The other side is in another call.",
        }
        self._end(words[reason], None)

    def _changed(self) -> None:
        if self._on_change is not None:
            try:
                self._on_change()
            except Exception:
                log.exception("on_change failed")

    def _move(self, state: CallState, notice: str | None = None) -> bool:
        with self._lock:
            if not may_move(self._state, state):
                return False
            before, self._state = self._state, state
            if notice is not None:
                self._notice = notice
        log.info("call: %s -> %s", before, state)
        self._changed()
        return True

    def _end(self, notice: str, bye: ByeReason | None) -> Future[None]:
        """Move to ended and clean up on the thread for it, once."""
        with self._lock:
            if self._ended is not None:
                return self._ended
            ended: Future[None] = Future()
            self._ended = ended
        self._closer.do(lambda: self._clean_up(bye, ended))
        self._move(CallState.ENDED, notice)
        return ended

    def _clean_up(self, bye: ByeReason | None, ended: Future[None]) -> None:
        try:
            if self._tickets is not None:
                self._tickets.close()
            if bye is not None and self.network.connected:
                self.network.say(Bye(bye))
                threading.Event().wait(GOODBYE_S)
            self.network.close()
            self._stop.set()
            thread = self._thread
            if thread is None:
                self._audio.close()  # nobody else will
            else:
                thread.join(timeout=15.0)
        except Exception:
            log.exception("hanging up")
        finally:
            self._stop.set()
            for helper in (self._devices, self._closer):
                helper.close()
            ended.set_result(None)
