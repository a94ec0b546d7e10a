"""A call without a window: codes pass as lines, sound passes as files, mistakes end in one line."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import headless
from app.audio import FilePort, NullPort
from app.cli import run
from app.devices import SoundDevicePort
from app.headless import HeadlessCall, open_ports, status_line
from app.options import HeadlessOptions
from app.settings import Settings
from app.stats import DELAY_STAGES, CallStats, Rate, WayRates
from app.wavfile import read_wav, write_wav
from engine.errors import SottovoceError
from tests.speech import any_speech


class Pipe:
    """Standard output of one call as standard input of the other."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        if text.strip():
            self._lines.put(text)
        return len(text)

    def flush(self) -> None:
        pass

    def readline(self, limit: int = -1) -> str:
        return self._lines.get(timeout=60)[:limit]


@pytest.mark.network
def test_two_calls_exchange_codes_and_hear_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.app.calls import HERE

    real = headless.Call
    monkeypatch.setattr(headless, "Call", lambda s, port: real(s, port, rtc=HERE))
    write_wav(tmp_path / "talk.wav", any_speech(4.0))
    invites, answers, notes = Pipe(), Pipe(), Pipe()
    one = HeadlessOptions(
        str(tmp_path / "talk.wav"), "none", listen=True, name="Ada", record=tmp_path / "bundle"
    )
    two = HeadlessOptions(
        "none", str(tmp_path / "heard.wav"), invite="-", name="Bo", record=tmp_path / "other"
    )
    codes: list[Any] = []
    pipes: dict[str, Any] = {"one": (answers, invites), "two": (invites, answers)}

    def call(name: str, options: HeadlessOptions) -> None:
        source, target = pipes[name]
        codes.append(HeadlessCall(options, Settings(), source, target, notes).run())  # type: ignore[arg-type]

    threads = [threading.Thread(target=call, args=args) for args in (("one", one), ("two", two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert codes == [0, 0], notes.text
    assert "Connected to Bo." in notes.text
    assert "Connected to Ada." in notes.text
    heard = read_wav(tmp_path / "heard.wav")
    assert len(heard) > 3 * 16_000
    assert np.abs(heard).max() > 0.02
    assert (tmp_path / "bundle" / "report.html").is_file()
    assert (tmp_path / "other" / "far_phonemes.wav").is_file()


def test_a_wrong_invite_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in ("nonsense", "x" * 5000, "https://example.org/", ""):
        assert run(["call", "--invite", code, "--mic", "none", "--out", "none"]) == 1
        text = capsys.readouterr().err
        assert text.startswith("sottovoce: ")
        assert text.count("\n") == 1
        assert "internal error" not in text
    assert list(tmp_path.iterdir()) == []


def test_without_devices_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import app.devices

    monkeypatch.setattr(app.devices, "list_devices", lambda way: [])
    with pytest.raises(SottovoceError, match=r"no microphone here: give --mic talk\.wav"):
        open_ports(HeadlessOptions())
    with pytest.raises(SottovoceError, match="no loudspeaker here"):
        open_ports(HeadlessOptions(microphone="none"))


def test_a_device_is_found_by_a_part_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import app.devices
    from app.devices import Device

    there = [Device("USB Headset Mono", 1, False), Device("Built-in", 2, True)]
    monkeypatch.setattr(app.devices, "list_devices", lambda way: there)
    port, file = open_ports(HeadlessOptions("headset", "built"))
    assert file is None
    assert isinstance(port, SoundDevicePort)
    assert (port._capture.wanted, port._playback.wanted) == ("USB Headset Mono", "Built-in")
    with pytest.raises(SottovoceError, match="There are: USB Headset Mono, Built-in"):
        open_ports(HeadlessOptions("trumpet", "none"))


def test_files_and_nothing_make_ports_without_devices(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(1600, np.float32))
    port, file = open_ports(HeadlessOptions(str(tmp_path / "a.wav"), str(tmp_path / "b.wav")))
    assert isinstance(port, FilePort)
    assert port is file
    port.close()
    port, file = open_ports(HeadlessOptions("none", "none"))
    assert type(port) is NullPort
    assert file is None
    with pytest.raises(SottovoceError, match="no such file"):
        open_ports(HeadlessOptions(str(tmp_path / "missing.wav"), "none"))
    with pytest.raises(SottovoceError, match="does not exist"):
        open_ports(HeadlessOptions("none", str(tmp_path / "no" / "b.wav")))


def test_the_status_line_names_rates_and_delay() -> None:
    rates = {"phonemes": WayRates(Rate(400.0, 1500.0), Rate(433.0, 1800.0)), "opus": WayRates()}
    delays = dict.fromkeys(DELAY_STAGES, 50.0)
    stats = CallStats(seconds=12.0, rates=rates, delay_stages_ms=delays, loss={"phonemes": 0.21})
    line = status_line(stats)
    assert "12 s" in line
    assert "300 ms" in line
    assert "1800" in line or "1.8" in line
