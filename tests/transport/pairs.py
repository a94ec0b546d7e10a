"""Two real links over UDP sockets on this machine, for the tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from transport.description import Role
from transport.ice import IceSettings, clock_ms
from transport.link import MediaPacket
from transport.peer import PeerConnection
from transport.rtc import RtcLink
from transport.state import LinkState, RtcSettings

LOCAL = RtcSettings(IceSettings(addresses=("127.0.0.1",)), connect_for_s=20, reconnect_for_s=20)


class Pair:
    """A caller and a callee, and everything either has heard."""

    def __init__(self, settings: RtcSettings = LOCAL) -> None:
        self.settings = settings
        self.caller = RtcLink(Role.CALLER, settings)
        self.callee = RtcLink(Role.CALLEE, settings)
        self.heard: dict[str, list[MediaPacket]] = {"caller": [], "callee": []}
        self.controls: dict[str, list[bytes]] = {"caller": [], "callee": []}

    @property
    def links(self) -> dict[str, RtcLink]:
        return {"caller": self.caller, "callee": self.callee}

    def begin(self) -> None:
        offer = self.caller.gather().result(10)
        answer = self.callee.gather().result(10)
        self.callee.connect(offer)
        self.caller.connect(answer)

    def connect(self) -> Pair:
        self.begin()
        self.wait(self.both(LinkState.CONNECTED))
        return self

    def both(self, state: LinkState) -> Callable[[], bool]:
        return lambda: all(link.state is state for link in self.links.values())

    def drain(self) -> None:
        for name, link in self.links.items():
            self.heard[name] += link.receive(clock_ms())
            self.controls[name] += link.receive_control()

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, {n: (k.state, k.failure) for n, k in self.links.items()}
            self.drain()
            time.sleep(0.01)
        self.drain()

    def close(self) -> None:
        self.caller.close()
        self.callee.close()


def on_its_thread(link: RtcLink, do: Callable[[PeerConnection], Any]) -> Any:
    """Do something to a link's connection of now, where it lives."""

    async def run() -> Any:
        assert link._peer._peer is not None
        made = do(link._peer._peer)
        return await made if asyncio.iscoroutine(made) else made

    return link._thread.run(run()).result(5)


def lose_socket(peer: PeerConnection) -> None:
    peer.ice.nominated.protocol.transport.abort()
