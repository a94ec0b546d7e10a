"""A call's link over real sockets: thread-safe ends of queues here, aiortc on its own thread.

The caller's threads use ``send``, ``receive`` and ``stats``, which never block. One asyncio thread
owns the sockets, the RTP session and the connection, which ``ReconnectingPeer`` replaces when it
is lost, and tells state changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from transport.bucket import TokenBucket
from transport.control import MAX_CONTROL_BYTES, is_report
from transport.description import PeerDescription, Role
from transport.ice import IceHistory, clock_ms
from transport.identity import Identity
from transport.impair import Impairment, ImpairmentSettings
from transport.link import LinkStats, MediaPacket
from transport.mailbox import Mailbox
from transport.reconnecting import ReconnectingPeer
from transport.session import RtpSession, SessionKeys
from transport.state import LinkState, RtcSettings
from transport.ticket import ResumeTicket
from transport.worker import LoopThread

OUTBOX_PACKETS = 256
INBOX_PACKETS = 512
CONTROL_MESSAGES = 128
CONTROL_PER_S = 40.0
CONTROL_BURST = 80.0


class RtcLink:
    """One end of a call. Implements ``Link``; ``now_ms`` arguments are those of ``clock_ms``.

    Call ``gather`` to get this end's description, carry it to the other end, ``connect`` with
    theirs, ``close`` at the end. ``on_state`` is called from the link's thread with each new
    state; it must not block. After every CONNECTED the caller sends what the far end must know
    (hello, voice) again, because a replaced connection forgets what was under way.
    """

    def __init__(
        self,
        role: Role,
        settings: RtcSettings | None = None,
        identity: Identity | None = None,
        on_state: Callable[[LinkState], None] | None = None,
        seed: int = 1,
    ) -> None:
        self.role = role
        self.identity = identity or Identity.generate()
        self.dropped: Counter[str] = Counter()
        self._seed = seed
        self._session = RtpSession(
            SessionKeys(
                (secrets.randbits(32), secrets.randbits(32)),
                (secrets.randbits(15), secrets.randbits(15)),
            )
        )
        self._peer = ReconnectingPeer(
            role,
            settings or RtcSettings(),
            self.identity,
            self._session,
            self._on_rtp,
            self._on_rtcp,
            self._on_control,
            on_state or (lambda _: None),
        )
        self._outbox: Mailbox[tuple[str, int, bytes]]  # arm, timestamp, payload
        self._outbox = Mailbox("outbox", OUTBOX_PACKETS, self.dropped)
        self._inbox: Mailbox[MediaPacket] = Mailbox("inbox", INBOX_PACKETS, self.dropped)
        self._controls: Mailbox[bytes] = Mailbox("controls", CONTROL_MESSAGES, self.dropped)
        self._control_bucket = TokenBucket(CONTROL_PER_S, CONTROL_BURST)
        self._flush_due = False
        self._sending: asyncio.Task[None] | None = None
        self._thread = LoopThread("sottovoce-link")

    @classmethod
    def resume(
        cls,
        ticket: ResumeTicket,
        settings: RtcSettings | None = None,
        on_state: Callable[[LinkState], None] | None = None,
    ) -> RtcLink:
        """A link that goes on with a call this program was killed in. Call ``connect`` on it with
        ``ticket.remote``."""
        link = cls(ticket.role, settings, ticket.identity, on_state)
        link._peer.history = IceHistory(dict(ticket.ports))
        return link

    def ticket(self) -> ResumeTicket | None:
        """What ``resume`` needs, once both descriptions are known."""
        remote, ports = self._peer.remote, dict(self._peer.history.ports)
        return None if remote is None else ResumeTicket(self.role, self.identity, ports, remote)

    # called from any thread

    @property
    def state(self) -> LinkState:
        return self._peer.state

    @property
    def failure(self) -> str | None:
        """Why it FAILED, in words for people."""
        return self._peer.failure

    @property
    def reconnections(self) -> int:
        return self._peer.reconnections

    def gather(self) -> Future[PeerDescription]:
        """Find out where this end can be reached: its description, after at most 5 s."""
        return self._thread.run(self._peer.gather())

    def connect(self, remote: PeerDescription) -> None:
        """Begin to connect; the state tells how it goes. A second call changes nothing."""
        self._thread.call(self._peer.begin, remote)

    def set_impairment(self, settings: ImpairmentSettings | None) -> None:
        """Send through a worse link from now on; None: the real one alone."""
        seed = 2 * self._seed + self.role.value  # the two directions are different links
        impairment = None if settings is None else Impairment(settings, seed)
        self._thread.call(self._peer.impair, impairment, clock_ms())

    def send(self, arm: str, timestamp: int, payload: bytes, now_ms: float) -> None:
        """Queue one payload. While there is no connection it is dropped and counted, so that
        nothing of a gap is played late."""
        if self.state is not LinkState.CONNECTED:
            self.dropped["unconnected"] += 1
            return
        self._outbox.put((arm, timestamp, payload))
        if not self._flush_due:
            self._flush_due = True
            self._thread.call(self._flush)

    def receive(self, now_ms: float) -> list[MediaPacket]:
        """Everything that arrived since the last call, in order of arrival."""
        return self._inbox.drain()

    def send_control(self, message: bytes) -> None:
        """Reliable and in order, except receiver reports: those ride on media, newest only."""
        if 0 < len(message) <= MAX_CONTROL_BYTES:
            self._thread.call(self._send_control, message)
        else:
            self.dropped["unsendable"] += 1

    def receive_control(self) -> list[bytes]:
        return self._controls.drain()

    def stats(self, now_ms: float) -> LinkStats:
        return self._session.stats()

    def drops(self) -> Counter[str]:
        """Everything that was refused or lost inside this end, by reason."""
        return self.dropped + self._session.dropped + self._peer.drops()

    def close(self, timeout_s: float = 3.0) -> None:
        """Tell the far end, close the sockets, end the thread. May be called twice."""
        ended = self._thread.run(self._peer.shut())
        if self._thread.inside:  # nobody may wait
            ended.add_done_callback(lambda _: self._thread.stop(timeout_s))
        else:
            with contextlib.suppress(CancelledError, TimeoutError):
                ended.result(timeout_s)
            self._thread.stop(timeout_s)

    def abort(self) -> None:
        """End as a crash would: the far end is told nothing, whoever calls ``close`` meanwhile."""
        self._peer.abrupt = True
        self.close()

    # on the link's thread

    async def _send_outbox(self) -> None:
        for arm, timestamp, payload in self._outbox.drain():
            data = self._session.pack(arm, timestamp, payload, clock_ms())
            if data is not None:
                await self._peer.send_media(data)

    def _flush(self) -> None:
        self._flush_due = False
        self._sending = asyncio.ensure_future(self._send_outbox())

    def _send_control(self, message: bytes) -> None:
        if is_report(message):
            self._session.queue_report(message, clock_ms())
        else:
            self._peer.send_control(message)

    def _on_rtp(self, data: bytes) -> None:
        packet = self._session.on_rtp(data, clock_ms())
        if packet is not None:
            self._inbox.put(packet)
        self._take_reports()

    def _on_rtcp(self, data: bytes) -> None:
        rtcp = self._session.on_rtcp(data, clock_ms())
        self._peer.heard_bye |= rtcp is not None and rtcp.bye
        self._take_reports()

    def _take_reports(self) -> None:
        for report in self._session.take_reports():
            self._on_control(report)

    def _on_control(self, message: bytes) -> None:
        if self._control_bucket.allow(clock_ms()):
            self._controls.put(message)
        else:
            self.dropped["control flood"] += 1
