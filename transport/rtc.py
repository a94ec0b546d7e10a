"""A call's link over real sockets: thread-safe ends of queues here, aiortc on its own thread.

The caller's threads use ``send``, ``receive`` and ``stats``, which never block. One asyncio thread
owns the sockets, the RTP session and the peer connection, and tells state changes.

Reconnecting. ICE restarts do not exist in aiortc, so a dead connection is replaced by a new one
inside the same link: new sockets on the same ports, the same certificates, and the ICE
credentials that both ends hold since the invite. No signalling is needed while at least one end
keeps an address the other knows; the end that moved is found as a peer-reflexive candidate. A
connection counts as lost when nothing authentic arrived for LOST_AFTER_MS although the far end
answers probes, or when an ICE check shows that the far end has begun anew; a DTLS goodbye ends
the call, like an RTCP one. Sequence numbers and counters go on as long as the link.
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
from transport.ice import clock_ms
from transport.identity import Identity
from transport.impair import Impairment, ImpairmentSettings
from transport.link import LinkStats, MediaPacket
from transport.mailbox import Mailbox
from transport.peer import IdentityRefused, PeerConnection
from transport.session import RtpSession, SessionKeys
from transport.state import LinkState, RtcSettings
from transport.ticket import ResumeTicket
from transport.worker import LoopThread

LOST_AFTER_MS = 5_000.0  # with probes four times a second since 2 s: 50 % loss is not an end
FIRST_HEARD_MS = 15_000.0  # at 4 kb/s the far end's handshake lasts that much longer than ours
FIRST_ATTEMPT_S = 30.0  # the other end's person may still be pasting the answer
ATTEMPT_S = 15.0
PAUSE_S = 0.4
EARLY_MS = 4_000.0  # until then nobody has measured the loss
LOSSY = 0.05
POLL_S = 0.05
BYES = 3  # they may get lost
BYE_PAUSE_S = 0.02

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
        self.settings = settings or RtcSettings()
        self.identity = identity or Identity.generate()
        self.failure: str | None = None
        """Why it FAILED, in words for people."""
        self.reconnections = 0
        self.dropped: Counter[str] = Counter()
        self._on_state = on_state
        self._state = LinkState.NEW
        self._seed = seed
        self._session = RtpSession(
            SessionKeys(
                (secrets.randbits(32), secrets.randbits(32)),
                (secrets.randbits(15), secrets.randbits(15)),
            )
        )
        self._impairment: Impairment | None = None
        self._impaired_ms = 0.0
        self._ports: dict[str, int] = {}
        self._remote: PeerDescription | None = None
        self._description: PeerDescription | None = None
        self._peer: PeerConnection | None = None
        self._outbox: Mailbox[tuple[str, int, bytes]]  # arm, timestamp, payload
        self._outbox = Mailbox("outbox", OUTBOX_PACKETS, self.dropped)
        self._inbox: Mailbox[MediaPacket] = Mailbox("inbox", INBOX_PACKETS, self.dropped)
        self._controls: Mailbox[bytes] = Mailbox("controls", CONTROL_MESSAGES, self.dropped)
        self._control_bucket = TokenBucket(CONTROL_PER_S, CONTROL_BURST)
        self._unsent: list[bytes] = []  # control messages a lost connection never began to send
        self._flush_due = False
        self._heard_bye = False
        self._abrupt = False  # not even a goodbye may leave any more
        self._run: asyncio.Task[None] | None = None
        self._shutting: asyncio.Task[None] | None = None
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
        link._ports = dict(ticket.ports)
        return link

    def ticket(self) -> ResumeTicket | None:
        """What ``resume`` needs, once both descriptions are known."""
        if self._remote is None:
            return None
        return ResumeTicket(self.role, self.identity, dict(self._ports), self._remote)

    # called from any thread

    @property
    def state(self) -> LinkState:
        return self._state

    def gather(self) -> Future[PeerDescription]:
        """Find out where this end can be reached: its description, after at most 5 s."""
        return self._thread.run(self._gather())

    def connect(self, remote: PeerDescription) -> None:
        """Begin to connect; the state tells how it goes. A second call changes nothing."""
        self._thread.call(self._begin, remote)

    def set_impairment(self, settings: ImpairmentSettings | None) -> None:
        """Send through a worse link from now on; None: the real one alone."""
        seed = 2 * self._seed + self.role.value  # the two directions are different links
        self._impaired_ms = clock_ms()
        self._impairment = None if settings is None else Impairment(settings, seed)
        self._thread.call(self._apply_impairment)

    def send(self, arm: str, timestamp: int, payload: bytes, now_ms: float) -> None:
        """Queue one payload. While there is no connection it is dropped and counted, so that
        nothing of a gap is played late."""
        if self._state is not LinkState.CONNECTED:
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

    def remote_fraction_lost(self, arm: str) -> float:
        """What the far end's last RTCP report says it lost of an arm."""
        return self._session.remote_fraction_lost(arm)

    def control_bytes_sent(self) -> int:
        """UDP payload bytes of DTLS and the data channel, which no arm is charged for."""
        peer = self._peer
        return 0 if peer is None else peer.port.sent_bytes["control"]

    def drops(self) -> Counter[str]:
        """Everything that was refused or lost inside this end, by reason."""
        total = self.dropped + self._session.dropped
        peer = self._peer
        if peer is not None:
            total = total + peer.dropped + peer.port.dropped + peer.ice.dropped
        return total

    def close(self, timeout_s: float = 3.0) -> None:
        """Tell the far end, close the sockets, end the thread. May be called twice."""
        self._end(timeout_s)

    def abort(self) -> None:
        """End as a crash would: the far end is told nothing, whoever calls ``close`` meanwhile."""
        self._abrupt = True
        self._end(timeout_s=3.0)

    # on the link's thread

    def _end(self, timeout_s: float) -> None:
        ended = self._thread.run(self._shut())
        if self._thread.inside:  # nobody may wait
            ended.add_done_callback(lambda _: self._thread.stop(timeout_s))
        else:
            with contextlib.suppress(CancelledError, TimeoutError):
                ended.result(timeout_s)
            self._thread.stop(timeout_s)

    async def _shut(self) -> None:
        """Once: who closes the link while it is being closed waits for that."""
        if self._shutting is None:
            self._shutting = asyncio.ensure_future(self._shut_once())
        await asyncio.shield(self._shutting)

    async def _shut_once(self) -> None:
        run, self._run = self._run, None
        for _ in range(BYES):
            if self._peer is not None and self._peer.connected and not self._abrupt:
                await self._peer.send_media(self._session.pack_bye())
                await asyncio.sleep(BYE_PAUSE_S)
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        peer, self._peer = self._peer, None
        if self._state is not LinkState.FAILED:
            self._set_state(LinkState.CLOSED)
        if peer is not None:
            await peer.close(self._abrupt)

    def _set_state(self, state: LinkState) -> None:
        if state is not self._state:
            self._state = state
            if self._on_state is not None:
                self._on_state(state)

    def _fail(self, why: str) -> None:
        self.failure = why
        self._set_state(LinkState.FAILED)

    def _make_peer(self) -> PeerConnection:
        peer = PeerConnection(
            self.role,
            self.identity,
            self.settings.ice,
            self._ports,
            self._on_rtp,
            self._on_rtcp,
            self._on_control,
            self._unsent,
        )
        self._unsent = []
        return peer

    async def _gather(self) -> PeerDescription:
        if self._description is None:
            peer = self._make_peer()
            self._peer = peer
            await peer.gather()
            self._ports = peer.ice.bound_ports() | self._ports
            candidates = tuple(peer.ice.local_addresses())
            if self._state is LinkState.NEW:
                self._set_state(LinkState.READY)
            self._description = PeerDescription(
                self.role, self.identity.secret, self.identity.fingerprint, candidates
            )
        return self._description

    def _begin(self, remote: PeerDescription) -> None:
        if self._run is None and self._state in (LinkState.NEW, LinkState.READY):
            self._remote = remote
            self._run = asyncio.ensure_future(self._keep_connected())

    async def _keep_connected(self) -> None:
        """Connect, stay until the connection is lost, replace it, until the end."""
        loop = asyncio.get_running_loop()
        self._set_state(LinkState.CONNECTING)
        deadline_s = loop.time() + self.settings.connect_for_s
        attempt_s = FIRST_ATTEMPT_S
        while loop.time() < deadline_s:
            peer = self._peer or self._make_peer()
            self._peer = peer
            try:
                left_s = max(deadline_s - loop.time(), 0.1)
                await asyncio.wait_for(self._attempt(peer), min(attempt_s, left_s))
                await self._stay(peer)
                if not (self._heard_bye or peer.ended):
                    self._set_state(LinkState.RECONNECTING)
                deadline_s = loop.time() + self.settings.reconnect_for_s
                attempt_s = ATTEMPT_S
            except IdentityRefused:
                self._fail(
                    "The other end is not the one the invite was made by: its certificate does "
                    "not match. Do not trust this connection; make a new invite."
                )
            except (ConnectionError, TimeoutError):
                self.dropped["attempts"] += 1
                await asyncio.sleep(PAUSE_S * (0.5 + secrets.randbelow(1000) / 1000.0))
            self._unsent = peer.unsent_control()
            self._heard_bye |= peer.ended
            await peer.close(abrupt=self._abrupt or not self._heard_bye)
            self._peer = None  # only now: whoever cancels this closes it in our place
            if self._state is LinkState.FAILED:
                return
            if self._heard_bye:
                self._set_state(LinkState.CLOSED)
                return
        self._fail(
            "The other end cannot be reached; check both networks, or set a TURN server."
            if self.reconnections == 0 and self._session.last_heard_ms is None
            else "The connection was lost and did not come back; call again."
        )

    async def _attempt(self, peer: PeerConnection) -> None:
        remote = self._remote
        if remote is None:
            raise ConnectionError("nobody to connect to")
        await peer.gather()
        self._ports = peer.ice.bound_ports() | self._ports
        connecting = asyncio.ensure_future(peer.connect(remote))
        restarted = asyncio.ensure_future(peer.lost.wait())
        try:
            await asyncio.wait((connecting, restarted), return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise ConnectionError("the far end began anew")
            await connecting
        finally:
            connecting.cancel()
            restarted.cancel()
            await asyncio.gather(connecting, restarted, return_exceptions=True)
        self._remote = peer.where_it_is(remote)

    async def _stay(self, peer: PeerConnection) -> None:
        """Run the session until the connection is lost."""
        session = self._session
        if session.last_heard_ms is not None:
            self.reconnections += 1
        session.ip_header_bytes = peer.port.ip_header_bytes
        session.last_heard_ms = since_ms = clock_ms()
        self._outbox.clear()
        self._apply_impairment()
        self._set_state(LinkState.CONNECTED)
        while not peer.lost.is_set() and not self._heard_bye:
            now_ms = clock_ms()
            early = now_ms - since_ms < EARLY_MS
            peer.set_lossy(early or session.worst_fraction_lost > LOSSY)
            for data in session.poll(now_ms):
                await peer.send_media(data)
            heard_ms = session.last_heard_ms or since_ms
            if now_ms - heard_ms > (FIRST_HEARD_MS if heard_ms == since_ms else LOST_AFTER_MS):
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(peer.lost.wait(), POLL_S)

    def _apply_impairment(self) -> None:
        if self._peer is not None and self._peer.connected:
            self._peer.port.impair(self._impairment, self._impaired_ms)

    async def _send_outbox(self) -> None:
        for arm, timestamp, payload in self._outbox.drain():
            data = self._session.pack(arm, timestamp, payload, clock_ms())
            if data is not None and self._peer is not None:
                await self._peer.send_media(data)

    def _flush(self) -> None:
        self._flush_due = False
        self._sending = asyncio.ensure_future(self._send_outbox())

    def _send_control(self, message: bytes) -> None:
        if is_report(message):
            self._session.queue_report(message, clock_ms())
        elif self._peer is not None and not self._abrupt:  # "bye" would tell
            self._peer.send_control(message)
        else:
            self.dropped["unconnected"] += 1

    def _on_rtp(self, data: bytes) -> None:
        packet = self._session.on_rtp(data, clock_ms())
        if packet is not None:
            self._inbox.put(packet)
        self._take_reports()

    def _on_rtcp(self, data: bytes) -> None:
        rtcp = self._session.on_rtcp(data, clock_ms())
        self._heard_bye |= rtcp is not None and rtcp.bye
        self._take_reports()

    def _take_reports(self) -> None:
        for report in self._session.take_reports():
            self._on_control(report)

    def _on_control(self, message: bytes) -> None:
        if self._control_bucket.allow(clock_ms()):
            self._controls.put(message)
        else:
            self.dropped["control flood"] += 1
