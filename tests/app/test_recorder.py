from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from app.call_recording import CallRecording
from app.cli import run
from app.export import EventRow, PacketRow, export_bundle
from app.recorder import Recorder, load_bundle
from app.stats import CallStats
from app.wavstream import WavStream
from engine.errors import SottovoceError
from engine.events import PhonemeEvent
from transport.control import Consent, ConsentAction

EVENT = PhonemeEvent(3, 9, 120, 8, True, (20, 22), 17, (1, 2))
TONE = (0.2 * np.sin(np.arange(1600) / 10)).astype(np.float32)


def fill(recorder: Recorder, blocks: int) -> None:
    for _ in range(blocks):
        for track in ("near", "far_phonemes", "far_opus"):
            recorder.sound(track, TONE)
    recorder.event(EventRow("near", EVENT, "sent"))
    recorder.event(EventRow("far", EVENT, "played", 150, 9))
    recorder.packet(PacketRow("phonemes", "sent", 1, 10.0, None, 30, 80))
    recorder.second({"second": 0, "loss_percent": 20.0})


def test_a_recording_becomes_a_bundle(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call", {"title": "Two people", "consent": "both"})
    fill(recorder, 20)
    recorder.close()
    recorder.close()
    assert recorder.problem == ""
    assert recorder.seconds == pytest.approx(2.0)
    bundle = load_bundle(tmp_path / "call")
    assert bundle.title == "Two people"
    assert bundle.events[1].play_tick == 150
    assert len(bundle.events[0].event.codes) == 2
    assert set(bundle.events[0].event.codes) == {0}  # the codes themselves are never written
    target = export_bundle(bundle, tmp_path / "bundle", marked=False)
    assert soundfile.info(str(target / "far_opus.wav")).frames == 32_000
    assert (target / "report.html").stat().st_size > 1000


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SottovoceError, match="holds no recording"):
        load_bundle(tmp_path)


CRASH = """
import sys, time
from pathlib import Path
from tests.app.test_recorder import fill
from app.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), {"title": "cut short"})
fill(recorder, 35)
print("filled", flush=True)
time.sleep(60)
"""


def test_what_was_recorded_before_sigkill_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "call"
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "filled\n"
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for track in ("near", "far_phonemes", "far_opus"):
        samples, rate = soundfile.read(folder / f"{track}.wav")
        assert rate == 16_000
        assert len(samples) >= 3 * 16_000  # at most the last second is missing
        assert np.abs(samples).max() > 0.1
    assert load_bundle(folder).events[0].event.phoneme == EVENT.phoneme
    assert run(["bundle", str(folder)]) == 0
    assert (folder / "report.html").is_file()


def test_a_full_disk_ends_the_recording_and_keeps_what_was_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call", {"title": "full"})
    with no_file_beyond(50_000):
        fill(recorder, 40)
        recorder.close()
    assert recorder.problem
    samples, _ = soundfile.read(tmp_path / "call" / "near.wav")
    assert len(samples) >= 16_000


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The system refuses what would make a file larger, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_wav_on_a_full_disk_holds_every_sample_that_was_written(tmp_path: Path) -> None:
    wav = WavStream(tmp_path / "full.wav")
    with no_file_beyond(50_000):
        for _block in range(20):
            wav.write(TONE)
        wav.write(TONE)
        wav.close()
    assert wav.problem
    assert wav.samples == (50_000 - 44) // 2
    assert soundfile.info(str(wav.path)).frames == wav.samples


def test_a_disk_that_fills_up_is_told_and_the_recording_is_over(tmp_path: Path) -> None:
    recording = CallRecording(lambda consent: None, tmp_path)
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    begin(recording, 0, 0, {})
    told = ""
    with no_file_beyond(50_000):
        deadline_s = time.monotonic() + 10.0
        while not told and time.monotonic() < deadline_s:
            recording.sound("near", TONE)
            told = recording.step(0, 0, CallStats(), {})
            time.sleep(0.002)
        assert recording.state == "failed"
        recording.close()
    assert "the call goes on" in told
    assert recording.folder is not None
    assert soundfile.info(str(recording.folder / "near.wav")).frames > 16_000


def begin(recording: CallRecording, near: int, far: int, info: dict[str, str]) -> None:
    """Both have agreed: step until the files are open, as the engine worker does."""
    deadline_s = time.monotonic() + 10.0
    while recording.folder is None:
        assert recording.step(near, far, CallStats(), info) == ""
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_consented_recording_becomes_a_bundle_in_its_own_folder(tmp_path: Path) -> None:
    said: list[Consent] = []
    recording = CallRecording(said.append, tmp_path, bundle=True)
    stats = CallStats()
    recording.request()
    assert recording.step(0, 0, stats, {}) == ""
    assert recording.folder is None  # the other side has not agreed
    recording.heard(Consent(ConsentAction.GRANT))
    begin(recording, 1600, 3200, {"title": "Agreed"})
    for _ in range(12):
        for track in ("near", "far_phonemes", "far_opus"):
            recording.sound(track, TONE)
    recording.near_event(EVENT)
    recording.far_event(EventRow("far", EVENT, "played", 150, 9))
    recording.second(stats)
    recording.heard(Consent(ConsentAction.STOP))
    recording.close()
    assert said[0].action is ConsentAction.REQUEST
    assert recording.state == "off"
    folder = recording.folder
    assert folder is not None
    assert (folder / "report.html").exists()
    assert "Agreed" in (folder / "manifest.json").read_text()
    rows = load_bundle(folder).events
    assert rows[0].event.start_tick == EVENT.start_tick - 10  # from the recording's beginning
    assert rows[1].play_tick == 150 - 20


def test_a_slow_disk_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = threading.Event()
    opened: list[Recorder] = []

    def slowly(*arguments: Any) -> Recorder:
        assert disk.wait(10.0)
        opened.append(Recorder(*arguments))
        return opened[-1]

    monkeypatch.setattr("app.call_recording.Recorder", slowly)
    recording = CallRecording(lambda consent: None, tmp_path)
    began_s = time.monotonic()
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    for _step in range(3):
        assert recording.step(0, 0, CallStats(), {}) == ""
        recording.sound("near", TONE)
    recording.stop()  # before it began
    assert recording.state == "off"
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    assert recording.step(0, 0, CallStats(), {}) == ""
    assert time.monotonic() - began_s < 5.0
    disk.set()
    begin(recording, 0, 0, {})
    recording.sound("near", TONE)
    recording.close()
    abandoned, kept = opened
    assert abandoned.samples == 0 and recording.folder == kept.folder != abandoned.folder
    assert soundfile.info(str(kept.folder / "near.wav")).frames == 1600


def test_a_refusal_records_nothing(tmp_path: Path) -> None:
    said: list[Consent] = []
    recording = CallRecording(said.append, tmp_path)
    recording.heard(Consent(ConsentAction.REQUEST))
    assert recording.state == "asked"
    recording.refuse()
    assert [consent.action for consent in said] == [ConsentAction.DENY]
    recording.step(0, 0, CallStats(), {})
    assert recording.folder is None


def test_the_tracks_keep_in_step_when_the_loudspeaker_stalls(tmp_path: Path) -> None:
    recording = CallRecording(lambda consent: None, tmp_path)
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    begin(recording, 0, 0, {})
    for _ in range(20):
        recording.sound("near", TONE)
    recording.sound("far_opus", TONE)
    recording.skipped(TONE)
    recording.close()
    assert recording.folder is not None
    assert soundfile.info(str(recording.folder / "near.wav")).frames == 21 * 1600
    assert soundfile.info(str(recording.folder / "far_opus.wav")).frames == 20 * 1600


def actions(said: list[Consent]) -> list[ConsentAction]:
    return [consent.action for consent in said]


def agreed(said: list[Consent], folder: Path) -> CallRecording:
    recording = CallRecording(said.append, folder)
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    return recording


def test_where_the_disk_refuses_the_other_side_may_record_until_it_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> Recorder:
        raise ValueError("whatever it is")

    monkeypatch.setattr("app.call_recording.Recorder", broken)
    said: list[Consent] = []
    recording = agreed(said, tmp_path)
    told = ""
    deadline_s = time.monotonic() + 10.0
    while not told and time.monotonic() < deadline_s:
        told = recording.step(0, 0, CallStats(), {})
        time.sleep(0.005)
    assert "choose another folder" in told
    assert recording.state == "failed"
    recording.stop()
    assert recording.state == "off"
    assert actions(said) == [ConsentAction.REQUEST, ConsentAction.STOP]


def test_the_other_sides_no_is_told_and_nothing_is_recorded_after_it(tmp_path: Path) -> None:
    said: list[Consent] = []
    recording = CallRecording(said.append, tmp_path)
    recording.request()
    recording.heard(Consent(ConsentAction.DENY))
    recording.heard(Consent(ConsentAction.STOP))  # said once more on a new connection
    assert "did not agree" in recording.step(0, 0, CallStats(), {})
    assert recording.step(0, 0, CallStats(), {}) == ""
    recording.heard(Consent(ConsentAction.GRANT))  # too late: nobody asks any more
    assert recording.state == "off"
    recording = agreed(said, tmp_path)
    begin(recording, 0, 0, {})
    recording.heard(Consent(ConsentAction.STOP))
    assert recording.state == "off"
    assert "stopped the recording" in recording.step(0, 0, CallStats(), {})
    recording.sound("near", TONE)
    recording.close()
    assert recording.folder is not None
    assert soundfile.info(str(recording.folder / "near.wav")).frames == 0


def test_a_new_connection_is_told_what_the_old_one_may_have_lost(tmp_path: Path) -> None:
    said: list[Consent] = []
    idle = CallRecording(said.append, tmp_path)
    idle.again()  # its window shows no recording, so there is none at the other end either
    idle.request()
    idle.again()
    assert actions(said) == [ConsentAction.STOP, ConsentAction.REQUEST, ConsentAction.REQUEST]
    said.clear()
    recording = agreed(said, tmp_path)
    recording.again()
    recording.heard(Consent(ConsentAction.REQUEST))  # our agreement was lost: they ask again
    assert actions(said) == [ConsentAction.REQUEST, ConsentAction.GRANT]
    assert recording.state == "on"


def test_a_folder_chosen_in_the_call_takes_the_next_recording(tmp_path: Path) -> None:
    recording = CallRecording(lambda consent: None, tmp_path / "old")
    recording.use_folder(tmp_path / "new")
    recording.request()
    recording.heard(Consent(ConsentAction.GRANT))
    begin(recording, 0, 0, {})
    recording.close()
    assert recording.folder is not None and recording.folder.parent == tmp_path / "new"
    assert not (tmp_path / "old").exists()
