"""One call's way to the other end: invite, answer, link, and the words said over it.

A thin layer over ``RtcLink``, which owns its own asyncio thread and replaces lost connections by
itself. Methods may be called from any thread and return at once.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import lru_cache
from importlib.resources import files

from app.settings import Settings
from engine.errors import SottovoceError
from transport.control import ControlMessage, Hello, encode_control
from transport.description import PeerDescription, Role
from transport.ice import IceSettings
from transport.impair import ImpairmentSettings
from transport.invite import decode_invite, encode_invite
from transport.rtc import RtcLink
from transport.state import LinkState, RtcSettings
from transport.ticket import ResumeTicket

STREAM_VERSION = 3
"""Of the speech stream; ends with different ones cannot talk."""


@lru_cache(maxsize=1)
def inventory() -> int:
    """Names the set of models this end speaks with; 0 when there are none."""
    try:
        listing = (files("assets") / "models" / "SHA256SUMS").read_bytes()
    except (OSError, ModuleNotFoundError):
        return 0
    return zlib.crc32(listing)


def ice_settings(settings: Settings) -> IceSettings:
    """STUN and TURN as the user wrote them. Raises SottovoceError for what is no address."""
    stun = settings.stun_servers[0] if settings.stun_servers else None
    if not settings.turn_servers:
        return IceSettings(stun=stun)
    scheme, _, rest = settings.turn_servers[0].partition(":")
    account, at, host = rest.rpartition("@")
    user, _, password = account.partition(":")
    return IceSettings(
        stun=stun,
        turn=f"{scheme}:{host}" if at else settings.turn_servers[0],
        turn_username=user or None,
        turn_password=password or None,
    )


class Network:
    """``on_state`` comes from the link's thread and must not block."""

    def __init__(
        self, rtc: RtcSettings, on_state: Callable[[LinkState], None], seed: int = 1
    ) -> None:
        self._rtc = rtc
        self._on_state = on_state
        self._seed = seed
        self._mine: PeerDescription | None = None
        self.impairment: ImpairmentSettings | None = None
        self.link: RtcLink | None = None

    @property
    def connected(self) -> bool:
        return self.link is not None and self.link.state is LinkState.CONNECTED

    def create_invite(self) -> Future[str]:
        link = self._make(Role.CALLER)
        return _when(link.gather(), self._keep)

    def accept_invite(self, code: str) -> Future[str]:
        """Raises InviteError at once when the code is wrong."""
        remote = decode_invite(code, Role.CALLER)
        link = self._make(Role.CALLEE)

        def answer(mine: PeerDescription) -> str:
            link.connect(remote)
            return self._keep(
                PeerDescription(
                    mine.role, mine.secret, mine.fingerprint, mine.candidates, remote.tag
                )
            )

        return _when(link.gather(), answer)

    def accept_answer(self, code: str) -> None:
        """Raises InviteError when the code is wrong or answers another invite."""
        if self.link is None or self._mine is None:
            raise SottovoceError("There is no invite to answer: create one first.")
        self.link.connect(decode_invite(code, Role.CALLEE, reply_to=self._mine.tag))

    def resume(self, ticket: ResumeTicket) -> Future[str]:
        """Go on with a call in which this program was killed."""
        self._not_started()
        patience = dataclasses.replace(self._rtc, connect_for_s=self._rtc.reconnect_for_s)
        self._take(RtcLink.resume(ticket, patience, self._on_state)).connect(ticket.remote)
        begun: Future[str] = Future()
        begun.set_result("")
        return begun

    def ticket(self) -> ResumeTicket | None:
        """What ``resume`` needs in another run of this program; None before both ends are known."""
        return None if self.link is None else self.link.ticket()

    def set_impairment(self, settings: ImpairmentSettings | None) -> None:
        self.impairment = settings
        if self.link is not None:
            self.link.set_impairment(settings)

    def say(self, message: ControlMessage) -> None:
        self.say_bytes(encode_control(message))

    def say_bytes(self, message: bytes) -> None:
        if self.link is not None:
            self.link.send_control(message)

    def say_hello(self, name: str) -> None:
        self.say(Hello(name, STREAM_VERSION, inventory()))

    def close(self) -> None:
        """Blocks up to some seconds; not for a window's thread."""
        link = self.link
        if link is not None:
            link.close()

    def _make(self, role: Role) -> RtcLink:
        self._not_started()
        return self._take(RtcLink(role, self._rtc, on_state=self._on_state, seed=self._seed))

    def _not_started(self) -> None:
        if self.link is not None:
            raise SottovoceError("This call was started already: hang up first.")

    def _take(self, link: RtcLink) -> RtcLink:
        self.link = link
        if self.impairment is not None:
            link.set_impairment(self.impairment)
        return link

    def _keep(self, mine: PeerDescription) -> str:
        if not mine.candidates:
            raise SottovoceError("This machine has no network address: connect it to a network.")
        self._mine = mine
        return encode_invite(mine)


def _when(gathered: Future[PeerDescription], then: Callable[[PeerDescription], str]) -> Future[str]:
    """The code, once the addresses are known."""
    code: Future[str] = Future()

    def done(future: Future[PeerDescription]) -> None:
        try:
            code.set_result(then(future.result()))
        except SottovoceError as error:
            code.set_exception(error)
        except CancelledError:
            code.set_exception(SottovoceError("The call was ended before it began."))
        except Exception as error:
            code.set_exception(
                SottovoceError(f"The network cannot be used ({error}): check the connection.")
            )

    gathered.add_done_callback(done)
    return code
