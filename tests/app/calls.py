"""Two real calls over UDP sockets on this machine, for the tests of calls and windows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import app.engine_worker  # noqa: F401  a call imports it on a thread: seconds that no test waits for
from app.audio import FilePort
from app.call import Call
from app.call_state import CallState
from app.settings import Settings
from engine.events import Pcm
from transport.ice import IceSettings
from transport.state import RtcSettings

HERE = RtcSettings(ice=IceSettings(addresses=("127.0.0.1",)))
PATIENCE_S = 45.0  # models load, and the machine may be busy


def wait_for(ready: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline_s, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)


def make_call(
    name: str, speech: Pcm, folder: Path, *, bundle: bool = False, **settings: object
) -> Call:
    """A call whose microphone is ``speech``, which starts with ``talk``."""
    values: dict[str, object] = {
        "echo_cancellation": False,
        "noise_suppression": False,
        "gain_control": False,
        "recordings": str(folder / name),
    }
    values.update(settings)
    port = FilePort(np.asarray(speech, np.float32), name=f"{name}'s file", held=True)
    return Call(Settings(name=name, **values), port, rtc=HERE, bundle=bundle)  # type: ignore[arg-type]


def talk(call: Call) -> None:
    port = call._audio
    assert isinstance(port, FilePort)
    port.release()


def connect(one: Call, two: Call) -> None:
    invite = one.create_invite().result(PATIENCE_S)
    answer = two.accept_invite(invite).result(PATIENCE_S)
    one.accept_answer(answer).result(PATIENCE_S)
    wait_for(
        lambda: one.state is CallState.ACTIVE and two.state is CallState.ACTIVE,
        "both ends to be active",
    )


@contextmanager
def two_calls(folder: Path, speech: Pcm, answer: Pcm | None = None) -> Iterator[tuple[Call, Call]]:
    """Ada, who says ``speech``, and Bo, who says ``answer`` or nothing; connected."""
    silence = np.zeros(16_000, np.float32)
    one = make_call("Ada", speech, folder)
    two = make_call("Bo", silence if answer is None else answer, folder)
    try:
        connect(one, two)
        yield one, two
    finally:
        one.hang_up()
        two.hang_up()
        one.close()
        two.close()
