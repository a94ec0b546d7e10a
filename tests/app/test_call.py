"""Whole calls: real engine, real sockets, real speech."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.audio import NullPort
from app.call import Call
from app.call_state import CallState
from app.logs import log_path, set_up_logging
from app.processing import EchoGuard
from app.settings import Settings
from app.stats import DELAY_STAGES
from engine.errors import SottovoceError
from tests.app.calls import make_call, talk, two_calls, wait_for
from tests.speech import any_speech
from transport.control import Hello
from transport.impair import ImpairmentSettings

pytestmark = pytest.mark.network
ROOT = Path(__file__).resolve().parents[2]


def says_nothing_for_a_second(call: Call) -> bool:
    sent = call.stats().events_sent
    time.sleep(1.0)
    return call.stats().events_sent - sent <= 1


def test_a_wrong_invite_is_refused_before_anything_starts(tmp_path: Path) -> None:
    call = make_call("Ada", np.zeros(0, np.float32), tmp_path)
    with pytest.raises(SottovoceError, match="invite"):
        call.accept_invite("this is not an invite!").result(1)
    with pytest.raises(SottovoceError, match="create one first"):
        call.accept_answer("abcdef").result(1)
    assert call.state is CallState.IDLE
    call.close()
    assert call.state is CallState.ENDED


def test_impossible_settings_are_refused_with_advice(tmp_path: Path) -> None:
    call = make_call("Ada", np.zeros(0, np.float32), tmp_path)
    with pytest.raises(SottovoceError, match="6000"):
        call.set_opus(500, 60)
    with pytest.raises(SottovoceError, match="phonemes or opus"):
        call.set_arm("codec2")  # type: ignore[arg-type]
    with pytest.raises(SottovoceError, match="stun:"):
        Call(Settings(stun_servers=("nonsense",)), NullPort())


def test_what_is_said_at_one_end_is_spoken_at_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []  # what the echo guards are told of the loudspeakers
    monkeypatch.setattr(EchoGuard, "played", lambda _guard, pcm: given.append(len(pcm)))
    changes: list[CallState] = []
    before = set(threading.enumerate())
    with two_calls(tmp_path, any_speech(14.0)) as (one, two):
        two._on_change = lambda: changes.append(two.state)
        assert two.stats().peer_name == "Ada"
        assert one.stats().peer_name == "Bo"

        # consent: nothing is recorded before both agreed
        one.request_recording()
        wait_for(lambda: two.stats().recording == "asked", "the question")
        assert one.stats().recording == "asking"
        two.request_recording()
        wait_for(lambda: two.stats().recording == one.stats().recording == "on", "consent")

        talk(one)
        wait_for(lambda: two.stats().rates["opus"].received.payload_bps > 1000.0, "Opus")
        wait_for(lambda: two.stats().events_received > 15, "phonemes")
        wait_for(lambda: two.stats().voice.updates_received > 0, "the voice")
        position, _ = two.heard(0)
        two.set_arm("opus")
        time.sleep(0.5)
        end, heard = two.heard(position)
        assert two.stats().arm == "opus"
        assert not two.stats().synthetic
        assert len(heard) == end - position  # no gap in what is heard
        two.set_arm("phonemes")
        wait_for(lambda: two.stats().intelligibility["phonemes"] is not None, "the meter")

        stats = two.stats()
        assert 0.0 < stats.intelligibility["phonemes"] <= 1.0
        assert set(stats.delay_stages_ms) == set(DELAY_STAGES)
        # Where other work takes the cores, speech waits for them.
        calm = os.getloadavg()[0] <= (os.cpu_count() or 1)
        assert 100.0 < stats.mouth_to_ear_ms < (2_500.0 if calm else 10_000.0)
        assert any(mark.kind == "played" for mark in two.far_events())
        assert any(mark.ipa != "sil" for mark in one.near_events())

        two.send_chat("understood\x07!")
        wait_for(lambda: one.chat(), "a chat line")
        assert one.chat()[0].text.startswith("understood")

        two.set_audio(NullPort(notice="no devices"))
        wait_for(lambda: "no devices" in two.stats().notice, "the other devices")
        position, _ = two.heard(0)
        wait_for(lambda: two.heard(0)[0] > position + 4000, "sound to go on")
        assert two.state is CallState.ACTIVE

        assert sum(given) > 3 * 16_000
        assert two.stats().echo_guard == ""
        two.set_processing(True, True, True)
        wait_for(lambda: two.stats().echo_guard, "the echo guard to be switched on")
        two.set_processing(False, False, False)
        wait_for(lambda: not two.stats().echo_guard, "the echo guard to be switched off")

        one.set_muted(True)
        wait_for(lambda: says_nothing_for_a_second(one), "the muted end to fall silent")

        two.stop_recording()
        wait_for(lambda: one.stats().recording == "off", "the end of the recording")
        one.hang_up().result(10)
        wait_for(lambda: two.state is CallState.ENDED, "the other end to notice")
        assert two.stats().notice == "The other side hung up."
        held = (one._words, two._words)
        wait_for(lambda: not any(w.peer_voice or w._sent_voice for w in held), "both voices to go")
        # stats are gathered a few times more: the call has lasted as long as it did
        time.sleep(0.5)
        assert two.stats().seconds > 1.0
    assert changes[-1] is CallState.ENDED
    assert two.recording.folder is not None
    samples, _ = soundfile.read(two.recording.folder / "far_phonemes.wav")
    assert len(samples) > 2 * 16_000
    assert np.abs(samples).max() > 0.02
    wait_for(lambda: not (set(threading.enumerate()) - before), "all threads to end", 10)


def test_the_log_of_a_call_holds_nothing_anybody_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_log: None
) -> None:
    monkeypatch.setenv("SOTTOVOCE_DEBUG", "1")
    set_up_logging()
    with two_calls(tmp_path, any_speech(6.0)) as (one, two):
        talk(one)
        wait_for(lambda: len(two.far_events()) > 15, "phonemes")
        two.send_chat("marmalade sandwich")
        wait_for(lambda: one.chat(), "a chat line")
        heard = two.far_events()
        tickets = [call.network.ticket() for call in (one, two)]
    for handler in logging.getLogger().handlers:
        handler.flush()
    log = log_path().read_text()
    assert "-> active" in log.lower()  # it was written to
    assert "marmalade" not in log
    for ticket in tickets:
        assert ticket is not None
        for text in (ticket.identity.secret, ticket.remote.secret):
            assert text.hex() not in log
            assert repr(text) not in log
    said = [mark.ipa for mark in heard if mark.phoneme]
    for joint in ("", " ", ", ", "', '"):
        for start in range(len(said) - 3):
            assert joint.join(said[start : start + 4]) not in log


FORGETFUL = """
import sys, time
from pathlib import Path
import numpy as np
from tests.app.calls import make_call
call = make_call("Ada", np.zeros(1600, np.float32), Path(sys.argv[1]))
print(call.create_invite().result(45), flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["at once", "in the middle"])
def test_a_program_that_ends_without_hanging_up_ends_cleanly(
    tmp_path: Path, seconds: float
) -> None:
    """Its engine may be loading models, or inside torch, when the interpreter goes away."""
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL, str(tmp_path), str(seconds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "terminate" not in done.stderr
    assert len(done.stdout.strip()) > 40


def test_a_lost_link_comes_back_inside_the_same_call(tmp_path: Path) -> None:
    with two_calls(tmp_path, any_speech(6.0)) as (one, two):
        talk(one)
        wait_for(lambda: two.stats().voice.updates_received > 0, "the voice")
        one.request_recording()
        wait_for(lambda: two.stats().recording == "asked", "the question")
        two.request_recording()
        wait_for(lambda: one.stats().recording == two.stats().recording == "on", "consent")
        nothing = ImpairmentSettings(loss=1.0)
        one.set_impairment(nothing)
        two.set_impairment(nothing)
        wait_for(lambda: two.state is CallState.RECONNECTING, "the loss to be noticed", 20)
        assert "connection" in two.stats().notice
        wait_for(lambda: one.state is CallState.RECONNECTING, "the other end to notice", 20)
        one.stop_recording()  # there is nobody to hear it
        one.send_chat("are you there?")
        one.set_muted(True)
        one.set_impairment(None)
        two.set_impairment(None)
        wait_for(
            lambda: one.state is CallState.ACTIVE and two.state is CallState.ACTIVE,
            "the link to return",
        )
        assert two._words.peer_voice is not None  # the voice was kept
        wait_for(lambda: two.stats().recording == "off", "the end of the recording to be told")
        wait_for(lambda: "stopped the recording" in two.stats().notice, "the reason")
        wait_for(lambda: [line.text for line in two.chat()] == ["are you there?"], "the message")
        wait_for(lambda: two.stats().peer_muted, "the mute")


def test_a_peer_that_was_killed_is_waited_for_and_hanging_up_still_works(tmp_path: Path) -> None:
    with two_calls(tmp_path, np.zeros(1600, np.float32)) as (one, two):
        link = two.network.link
        assert link is not None
        two.set_impairment(ImpairmentSettings(loss=1.0))  # not even a farewell gets out
        link.abort()
        wait_for(lambda: one.state is CallState.RECONNECTING, "the loss to be noticed", 20)
        began_s = time.monotonic()
        one.hang_up().result(10)
        assert time.monotonic() - began_s < 8.0
        assert one.state is CallState.ENDED


def test_a_peer_of_another_version_is_named_and_the_call_ends(tmp_path: Path) -> None:
    silence = np.zeros(1600, np.float32)
    one, two = make_call("Ada", silence, tmp_path), make_call("Bo", silence, tmp_path)
    two.network.say_hello = lambda name: two.network.say(Hello(name, 9))  # type: ignore[method-assign]
    try:
        invite = one.create_invite().result(20)
        one.accept_answer(two.accept_invite(invite).result(20)).result(20)
        wait_for(lambda: one.state is CallState.ENDED, "the refusal")
        assert "Bo speaks version 9" in one.stats().notice
        assert "update this one" in one.stats().notice
        wait_for(lambda: two.state is CallState.ENDED, "the other end")
    finally:
        one.close()
        two.close()


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    silence = np.zeros(1600, np.float32)
    one = make_call("Ada", silence, tmp_path, recordings=str(blocked))
    two = make_call("Bo", silence, tmp_path)
    try:
        invite = one.create_invite().result(20)
        one.accept_answer(two.accept_invite(invite).result(20)).result(20)
        wait_for(lambda: two.state is CallState.ACTIVE and one.state is CallState.ACTIVE, "active")
        two.request_recording()
        wait_for(lambda: one.stats().recording == "asked", "the question")
        one.request_recording()
        wait_for(lambda: one.stats().recording == "failed", "the disk to refuse")
        assert "choose another folder" in one.stats().notice
        assert one.state is CallState.ACTIVE
        wait_for(lambda: two.stats().recording == "on", "the other end to record")
        one.stop_recording()  # nobody is recorded against his will
        wait_for(lambda: two.stats().recording == "off", "the other end to stop")
    finally:
        one.close()
        two.close()
