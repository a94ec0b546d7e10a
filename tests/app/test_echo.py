"""The echo guard in a computed room, and the measurement of a real one on a port that echoes."""

from __future__ import annotations

import numpy as np
import pytest

from app.audio import NullPort
from app.clock import ManualClock
from app.echo import EchoFigures, Room, measure, through
from app.echo_here import measure_here
from app.processing import EchoGuard
from app.talker import find_talkers
from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import SAMPLE_RATE_HZ
from tests.pulse import needs_pulse, play, pulse

__all__ = ["pulse"]  # a fixture
SECONDS = 16.0


def echo_guard() -> EchoGuard:
    guard = EchoGuard(echo=True, noise=False, gain=False)
    if not guard.name:
        pytest.skip("livekit is not installed here")
    return guard


def no_guard() -> EchoGuard:
    return EchoGuard(echo=False, noise=False, gain=False)


@pytest.fixture(scope="module")
def talk() -> tuple[Pcm, Pcm]:
    """Two people who talk at the same time."""
    one, two = (talker.pcm[: int(SECONDS * SAMPLE_RATE_HZ)] for talker in find_talkers())
    length = min(len(one), len(two))
    return one[:length], two[:length]


@pytest.mark.parametrize(
    "room",
    [
        Room(),
        Room(loss_db=0.0, rt60_s=0.5),
        Room(delay_ms=200.0),
        Room(delay_ms=60.0, told_ms=200.0),
        Room(clipping=0.1),
    ],
    ids=["laptop", "loud and hollow", "slow sound card", "told a wrong delay", "bad loudspeaker"],
)
def test_a_far_talker_alone_is_taken_out_of_any_room(talk: tuple[Pcm, Pcm], room: Room) -> None:
    figures = measure(echo_guard, *talk, room)
    assert figures.erle_db > 30.0


def test_what_the_near_side_says_gets_through_double_talk(talk: tuple[Pcm, Pcm]) -> None:
    figures = measure(echo_guard, *talk, Room())
    assert figures.near_change_db > -4.0
    assert figures.near_lost < 0.4


def test_without_a_guard_the_figures_say_that_nothing_is_taken_out(talk: tuple[Pcm, Pcm]) -> None:
    figures = measure(no_guard, *talk, Room())
    assert abs(figures.erle_db) < 0.5
    assert figures.near_lost == 0.0


def test_a_guard_that_mutes_the_microphone_is_told_by_double_talk(talk: tuple[Pcm, Pcm]) -> None:
    class Mute(EchoGuard):
        def played(self, pcm: Pcm) -> None:
            self.loud = bool(np.abs(pcm).max(initial=0.0) > 1e-3)

        def clean(self, pcm: Pcm, delay_ms: float) -> Pcm:
            return np.zeros_like(pcm) if self.loud else pcm

    figures: EchoFigures = measure(lambda: Mute(False, False, False), *talk, Room())
    assert figures.near_lost > 0.7


def test_a_rooms_echo_is_as_loud_and_as_late_as_was_asked() -> None:
    far = np.zeros(16_000, np.float32)
    far[100] = 0.5
    echo = Room(loss_db=12.0, delay_ms=50.0, clipping=0.0).echo(far)
    assert np.argmax(np.abs(echo)) == 100 + 800
    assert np.abs(echo[:900]).max() < 1e-6
    level_db = 10 * np.log10(np.sum(far**2) / np.sum(echo**2))
    assert level_db == pytest.approx(12.0, abs=0.1)
    assert np.array_equal(through(no_guard, far, echo, 50.0), echo)


class EchoingPort(NullPort):
    """A loudspeaker that the microphone hears, on a clock that is moved by hand."""

    microphone = loudspeaker = "computed"

    def __init__(self, clock: ManualClock, room: Room) -> None:
        super().__init__(clock)
        self._response = room.response() * 10.0 ** (-room.loss_db / 20.0)
        self._history = np.zeros(len(self._response) - 1)

    def played(self, pcm: Pcm) -> None:
        self._history = np.concatenate([self._history, pcm])

    def captured(self, count: int) -> Pcm:
        echo = np.convolve(self._history, self._response, "valid")[-count:] if count else []
        self._history = self._history[-(len(self._response) - 1) :]
        return np.asarray(echo, np.float32)


def test_the_echo_of_this_machine_is_measured_through_its_port(talk: tuple[Pcm, Pcm]) -> None:
    clock = ManualClock()
    port = EchoingPort(clock, Room(loss_db=9.0, delay_ms=120.0))
    found = measure_here(port, talk[0], echo_guard, lambda s: clock.advance(1000.0 * s))
    assert found.heard
    assert found.loss_db == pytest.approx(9.0, abs=1.0)
    assert found.delay_ms == pytest.approx(120.0, abs=1.0)
    assert found.erle_db > 25.0
    assert "takes out" in str(found)


def test_headphones_give_no_echo_and_a_missing_microphone_is_named(talk: tuple[Pcm, Pcm]) -> None:
    clock = ManualClock()
    far = talk[0][: 16_000 * 8]
    quiet = NullPort(clock)
    quiet.microphone = quiet.loudspeaker = "headset"
    found = measure_here(quiet, far, no_guard, lambda s: clock.advance(1000.0 * s))
    assert not found.heard
    assert "headphones" in str(found)
    with pytest.raises(SottovoceError, match="needs a microphone"):
        measure_here(NullPort(clock), far, no_guard, lambda _s: None)


ON_DEVICES = """
from app.cli import run
print("code", run(["echo"]))
"""


@needs_pulse
@pytest.mark.devices
@pytest.mark.timeout(180)
def test_the_echo_of_real_streams_is_taken_out(pulse: dict[str, str]) -> None:
    """The null sink's monitor is the worst of all rooms: the echo is as loud as what is played."""
    echo_guard()
    found = play(ON_DEVICES, pulse, seconds=120)
    assert found["code"] == ["0"]
    words = " ".join(found["Echo:"])
    assert float(words.split("takes out ")[1].split()[0]) > 15.0
