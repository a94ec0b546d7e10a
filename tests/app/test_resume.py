"""A program that is killed in a call and started again: the call goes on, the other side waits."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from app.audio import FilePort
from app.call import Call
from app.call_state import CallState
from app.far_end import FarEnd
from app.far_sound import FarSound
from app.resume import FILE_NAME, FRESH_S, TicketFile, TicketKeeper
from app.settings import Settings
from app.talker import find_talkers
from benchmarks.packet_policy import talk as draw
from engine.events import VoiceDescriptor
from tests.app.calls import HERE, PATIENCE_S, connect, wait_for
from transport.description import PeerDescription, Role
from transport.identity import Identity
from transport.link import MediaPacket
from transport.packetizer import Packetizer
from transport.ticket import ResumeTicket

HIDDEN = {"echo_cancellation": False, "noise_suppression": False, "gain_control": False}


def ticket() -> ResumeTicket:
    identity = Identity.generate()
    remote = PeerDescription(Role.CALLEE, identity.secret, identity.fingerprint, ())
    return ResumeTicket(Role.CALLER, identity, {"127.0.0.1": 4000}, remote)


def make(name: str, speech: np.ndarray, tickets: TicketFile | None = None) -> Call:
    port = FilePort(speech, name=name, repeat=True)
    return Call(Settings(name=name, **HIDDEN), port, rtc=HERE, tickets=tickets)  # type: ignore[arg-type]


def test_only_the_user_can_read_a_ticket_and_nothing_is_left_after_the_call(tmp_path: Path) -> None:
    file = TicketFile(tmp_path / "state" / FILE_NAME)
    keeper = TicketKeeper(file)
    keeper.start()
    keeper.keep(ticket())
    wait_for(file.path.exists, "the ticket", 10)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert TicketFile(file.path).load() is not None
    keeper.close()
    keeper.keep(ticket())
    file.save(ticket())
    assert list(file.path.parent.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "old", "other"])
def test_a_ticket_that_is_no_use_is_deleted(tmp_path: Path, damage: str) -> None:
    file = TicketFile(tmp_path / FILE_NAME)
    file.save(ticket())
    if damage == "cut":
        file.path.write_bytes(file.path.read_bytes()[:-9])
    elif damage == "empty":
        file.path.write_bytes(b"")
    elif damage == "old":
        past = time.time() - FRESH_S - 5
        os.utime(file.path, (past, past))
    else:
        file.path.write_bytes(bytes(range(256)) * 100)
    assert TicketFile(file.path).load() is None
    assert not file.path.exists()


def test_a_folder_that_cannot_be_written_costs_only_resuming(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    file = TicketFile(blocked / FILE_NAME)
    file.save(ticket())
    assert file.load() is None


def test_a_talker_who_begins_anew_is_heard_again_in_the_same_voice() -> None:
    far = FarEnd(FarSound("phonemes", 1.0), None, lambda row: None)
    far.set_voice(VoiceDescriptor(1, 100, (1, 2, 3)))
    decoder = far._decoder
    number = 0

    def speak(stream: int, start_ms: float) -> int:
        nonlocal number
        packetizer, events = Packetizer(), draw(6.0, seed=3 + stream)
        for event in events:
            now_ms = event.end_tick * 10.0 + 150.0
            packetizer.push([event])
            for stamp, payload in packetizer.poll(now_ms):
                at_ms = start_ms + now_ms
                far.take([MediaPacket("phonemes", number, stamp, payload, at_ms, stream)])
                number += 1
            far.produce(160, start_ms + now_ms, 0.0)
        return far.playout_stats().events_received

    assert speak(0, 0.0) > 30
    assert speak(1, 20_000.0) > 30  # indices and times from nothing again
    assert far.refused == 0 and far._decoder is decoder


@pytest.mark.timeout(240)
def test_a_killed_process_comes_back_into_its_call(tmp_path: Path) -> None:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    command = [sys.executable, "-m", "tests.app.resume_peer", str(tmp_path)]
    root = Path(__file__).resolve().parents[2]

    def start(way: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
            env=environment,
        )  # fmt: skip

    bo = make("Bo", find_talkers()[1].pcm)
    ada = start("invite")
    again = None
    try:
        assert ada.stdout and ada.stdin
        invite = ada.stdout.readline().strip()
        print(bo.accept_invite(invite).result(PATIENCE_S), file=ada.stdin, flush=True)
        wait_for(lambda: bo.state is CallState.ACTIVE, "the call", 90)
        wait_for(lambda: bo.stats().events_received > 10, "speech", 60)
        wait_for((tmp_path / FILE_NAME).exists, "the ticket", 10)
        voice = bo._words.peer_voice
        ada.send_signal(signal.SIGKILL)
        ada.wait(10)
        again = start("resume")
        assert again.stdout and again.stdin
        wait_for(lambda: bo.state is CallState.RECONNECTING, "the loss to be noticed", 60)
        wait_for(lambda: bo.state is CallState.ACTIVE, "the call to go on", 90)
        assert voice is None or bo._words.peer_voice is not None
        wait_for(lambda: bo.stats().events_received > 5, "speech again", 60)
        assert bo._worker is not None and bo._worker.far.refused == 0  # read as a new stream
        heard = 0
        end_s = time.monotonic() + 60
        while heard < 5 and time.monotonic() < end_s:
            heard = int(again.stdout.readline().split()[1])
        assert heard >= 5
        bo.close()
        end_s = time.monotonic() + 30
        while not again.stdout.readline().startswith("ended"):
            assert time.monotonic() < end_s
        assert not (tmp_path / FILE_NAME).exists()
    finally:
        bo.close()
        for process in (ada, again):
            if process is not None:
                process.kill()
                process.wait(10)


@pytest.mark.timeout(240)
def test_a_call_object_made_anew_takes_the_place_of_one_destroyed(tmp_path: Path) -> None:
    tickets = TicketFile(tmp_path / FILE_NAME)
    ada, bo = make("Ada", find_talkers()[0].pcm, tickets), make("Bo", find_talkers()[1].pcm)
    again = None
    try:
        connect(ada, bo)
        wait_for(tickets.path.exists, "the ticket", 10)
        wait_for(lambda: bo.stats().events_received > 10, "speech", 60)
        ada.request_recording()
        wait_for(lambda: bo.stats().recording == "asked", "the question")
        bo.request_recording()
        wait_for(lambda: ada.stats().recording == bo.stats().recording == "on", "consent")
        saved = tickets.path.read_bytes()
        assert ada.network.link is not None
        ada.network.link.abort()  # no bye, as in a crash
        ada.close()  # the rest of what would die with the process; tells nobody
        assert bo.state in (CallState.ACTIVE, CallState.RECONNECTING), bo.stats().notice
        tickets.path.write_bytes(saved)  # which a crash would have left
        found = TicketFile(tickets.path).load()
        assert found is not None
        again = make("Ada", find_talkers()[0].pcm, TicketFile(tickets.path))
        again.resume(found)
        wait_for(lambda: again.state is CallState.ACTIVE, "the call to go on", 90)
        wait_for(lambda: bo.state is CallState.ACTIVE, "the other side", 60)
        assert bo._words.peer_voice is not None or bo._words.updates_received == 0
        # her new window shows no recording, so nobody records her
        wait_for(lambda: bo.stats().recording == "off", "the recording to end")
        assert again.stats().recording == "off"
        wait_for(lambda: again.stats().events_received > 5, "speech", 60)
        again.hang_up().result(30)
        wait_for(lambda: bo.state is CallState.ENDED, "the other side to end", 30)
        assert not tickets.path.exists()
    finally:
        for call in (ada, bo, again):
            if call is not None:
                call.close()
