"""A connection that is replaced when it is lost, until the call ends. Lives on one asyncio loop.

ICE restarts do not exist in aiortc, so a dead connection is replaced by a new one inside the same
call: new sockets on the same ports, the same certificates, and the ICE credentials that both ends
hold since the invite. No signalling is needed while at least one end keeps an address the other
knows; the end that moved is found as a peer-reflexive candidate. A connection counts as lost when
nothing authentic arrived for some seconds although the far end answers probes, when an ICE check
shows that the far end has begun anew, or when anything under it fails; a DTLS goodbye ends the
call, like an RTCP one. Sequence numbers and counters of the session go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Callable

from transport.description import PeerDescription, Role
from transport.ice import IceHistory, clock_ms
from transport.identity import Identity
from transport.impair import Impairment
from transport.liveness import Liveness
from transport.peer import IdentityRefused, PeerConnection
from transport.session import RtpSession
from transport.state import LinkState, RtcSettings

log = logging.getLogger(__name__)

FIRST_ATTEMPT_S = 30.0  # the other end's person may still be pasting the answer
ATTEMPT_S = 15.0
PAUSE_S = 0.4
POLL_S = 0.05
BYES = 3  # they may get lost
BYE_PAUSE_S = 0.02

REFUSED = (
    "The other end is not the one the invite was made by: its certificate does not match. "
    "Do not trust this connection; make a new invite."
)
UNREACHABLE = "The other end cannot be reached; check both networks, or set a TURN server."
NO_SERVER = (
    "The other end cannot be reached, and the STUN or TURN server does not answer or refuses the "
    "account; check its address, name and password."
)
LOST = "The connection was lost and did not come back; call again."


class ReconnectingPeer:
    """``gather``, ``begin`` with what the far end gathered, ``shut`` at the end.

    ``on_rtp`` and ``on_rtcp`` get decrypted packets, ``on_control`` whole messages, ``on_state``
    each new state. ``state``, ``failure`` and ``reconnections`` may be read from any thread.
    """

    def __init__(
        self,
        role: Role,
        settings: RtcSettings,
        identity: Identity,
        session: RtpSession,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_control: Callable[[bytes], None],
        on_state: Callable[[LinkState], None],
    ) -> None:
        self.state = LinkState.NEW
        self.failure: str | None = None
        self.reconnections = 0
        self.remote: PeerDescription | None = None
        self.history = IceHistory()
        self.heard_bye = False
        self.abrupt = False
        """Not even a goodbye may leave any more."""
        self.dropped: Counter[str] = Counter()
        self._role = role
        self._settings = settings
        self._identity = identity
        self._session = session
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_control = on_control
        self._on_state = on_state
        self._impairment: Impairment | None = None
        self._impaired_ms = 0.0
        self._description: PeerDescription | None = None
        self._peer: PeerConnection | None = None
        self._unsent: list[bytes] = []  # control messages a lost connection never began to send
        self._no_server = False  # STUN or TURN did not help
        self._run: asyncio.Task[None] | None = None
        self._shutting: asyncio.Task[None] | None = None

    def drops(self) -> Counter[str]:
        """Everything that was refused or lost below the session, by reason."""
        peer = self._peer
        return +self.dropped if peer is None else self.dropped + peer.drops()

    async def gather(self) -> PeerDescription:
        """Find out where this end can be reached; again gives the same answer."""
        if self._description is None:
            peer = self._make_peer()
            self._peer = peer
            await peer.gather()
            candidates = tuple(peer.ice.local_addresses())
            if self.state is LinkState.NEW:
                self._set_state(LinkState.READY)
            self._description = PeerDescription(
                self._role, self._identity.secret, self._identity.fingerprint, candidates
            )
        return self._description

    def begin(self, remote: PeerDescription) -> None:
        """Connect and stay connected. A second call changes nothing."""
        if self._run is None and self.state in (LinkState.NEW, LinkState.READY):
            self.remote = remote
            self._run = asyncio.ensure_future(self._keep_connected())

    def impair(self, impairment: Impairment | None, origin_ms: float) -> None:
        """Make this connection and those that follow worse than they are."""
        self._impairment, self._impaired_ms = impairment, origin_ms
        self._apply_impairment()

    async def send_media(self, data: bytes) -> None:
        """An RTP or RTCP packet; dropped and counted when there is no connection."""
        if self._peer is None:
            self.dropped["unconnected"] += 1
        else:
            await self._peer.send_media(data)

    def send_control(self, message: bytes) -> None:
        """Reliable and in order over one connection; kept for the next when it never left."""
        if self._peer is None or self.abrupt:  # "bye" would tell
            self.dropped["unconnected"] += 1
        else:
            self._peer.send_control(message)

    async def shut(self) -> None:
        """Once: who closes the call while it is being closed waits for that."""
        if self._shutting is None:
            self._shutting = asyncio.ensure_future(self._shut_once())
        await asyncio.shield(self._shutting)

    async def _shut_once(self) -> None:
        run, self._run = self._run, None
        for _ in range(BYES):
            if self._peer is not None and self._peer.connected and not self.abrupt:
                await self._peer.send_media(self._session.pack_bye())
                await asyncio.sleep(BYE_PAUSE_S)
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        peer, self._peer = self._peer, None
        if self.state is not LinkState.FAILED:
            self._set_state(LinkState.CLOSED)
        if peer is not None:
            await peer.close(self.abrupt)

    def _set_state(self, state: LinkState) -> None:
        if state is not self.state:
            self.state = state
            self._on_state(state)

    def _fail(self, why: str) -> None:
        self.failure = why
        self._set_state(LinkState.FAILED)

    def _make_peer(self) -> PeerConnection:
        unsent, self._unsent = self._unsent, []
        return PeerConnection(
            self._role,
            self._identity,
            self._settings.ice,
            self.history,
            self._on_rtp,
            self._on_rtcp,
            self._on_control,
            unsent,
        )

    async def _keep_connected(self) -> None:
        """Connect, stay until the connection is lost, replace it, until the end."""
        loop = asyncio.get_running_loop()
        self._set_state(LinkState.CONNECTING)
        deadline_s = loop.time() + self._settings.connect_for_s
        attempt_s = FIRST_ATTEMPT_S
        while loop.time() < deadline_s:
            peer = self._peer or self._make_peer()
            self._peer = peer
            left_s = max(deadline_s - loop.time(), 0.1)
            await self._try(peer, min(attempt_s, left_s))
            self.heard_bye |= peer.ended
            if self.state is LinkState.CONNECTED and not self.heard_bye:
                self._set_state(LinkState.RECONNECTING)
                deadline_s = loop.time() + self._settings.reconnect_for_s
                attempt_s = ATTEMPT_S
            self._unsent = peer.unsent_control()
            self._no_server |= bool(peer.ice.dropped["server"])
            with contextlib.suppress(Exception):  # of a connection that is over
                await peer.close(abrupt=self.abrupt or not self.heard_bye)
            self._peer = None  # only now: whoever cancels this closes it in our place
            if self.state is LinkState.FAILED:
                return
            if self.heard_bye:
                self._set_state(LinkState.CLOSED)
                return
        lost = self._session.last_heard_ms is not None
        self._fail(LOST if lost else NO_SERVER if self._no_server else UNREACHABLE)

    async def _try(self, peer: PeerConnection, attempt_s: float) -> None:
        """One connection, from its first check to its loss."""
        try:
            await asyncio.wait_for(self._attempt(peer), attempt_s)
            await self._stay(peer)
        except IdentityRefused:
            self._fail(REFUSED)
        except Exception as error:
            self.dropped["attempts"] += 1
            if not isinstance(error, OSError):  # no network's fault, but no end of the call either
                log.warning("a connection failed", exc_info=True)
            await asyncio.sleep(PAUSE_S * (0.5 + secrets.randbelow(1000) / 1000.0))

    async def _attempt(self, peer: PeerConnection) -> None:
        remote = self.remote
        if remote is None:
            raise ConnectionError("nobody to connect to")
        await peer.gather()
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
        self.remote = peer.where_it_is(remote)

    async def _stay(self, peer: PeerConnection) -> None:
        """Run the session until the connection is lost."""
        session = self._session
        if session.last_heard_ms is not None:
            self.reconnections += 1
        session.ip_header_bytes = peer.port.ip_header_bytes
        session.last_heard_ms = since_ms = clock_ms()
        liveness = Liveness(since_ms)
        self._apply_impairment()
        self._set_state(LinkState.CONNECTED)
        try:
            while not peer.lost.is_set() and not self.heard_bye:
                now_ms = clock_ms()
                peer.set_lossy(liveness.lossy(session.worst_fraction_lost, now_ms))
                for data in session.poll(now_ms):
                    await peer.send_media(data)
                if liveness.lost(session.last_heard_ms or since_ms, now_ms):
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(peer.lost.wait(), POLL_S)
        finally:
            peer.ice.part()

    def _apply_impairment(self) -> None:
        if self._peer is not None and self._peer.connected:
            self._peer.port.impair(self._impairment, self._impaired_ms)
