"""Real PortAudio streams on a PulseAudio null sink, whose monitor is the microphone."""

from __future__ import annotations

import time

import numpy as np
import pytest

from app import sound_stream
from app.devices import SoundDevicePort, list_devices
from tests.pulse import needs_pulse, play, pulse

__all__ = ["pulse"]  # a fixture

ECHO = """
import time
import numpy as np
from app.devices import SoundDevicePort, list_devices

begin = time.monotonic()
port = SoundDevicePort()
port.start()
tone = (0.3 * np.sin(2 * np.pi * 400 * np.arange(160) / 16000)).astype(np.float32)
heard = []
end = time.monotonic() + 3.0
while time.monotonic() < end:
    while port.queued_ms() < 60:
        port.write(tone)
    heard.append(port.read())
    time.sleep(0.01)
print("lasted", time.monotonic() - begin)
print("names", bool(port.microphone), bool(port.loudspeaker), len(list_devices("input")))
pcm = np.concatenate(heard)
last = pcm[-16000:]
spectrum = np.abs(np.fft.rfft(last * np.hanning(len(last))))
print("heard", len(pcm), int(np.argmax(spectrum) * 16000 / len(last)), float(np.abs(last).max()))
print("latency", port.latency_ms())
{more}
port.close()
"""

UNPLUG = """
import os, subprocess, sys
subprocess.run(["pactl", "exit"], check=True)
time.sleep(3.5)
port.read()
time.sleep(0.3)
print("gone", port.microphone == "", len(port.read()) > 1600, flush=True)
server = subprocess.Popen(os.environ["SERVER"].split("|"), stderr=subprocess.DEVNULL)
time.sleep(5.5)
print("back", bool(port.microphone), bool(port.loudspeaker))
server.terminate()
"""


@needs_pulse
@pytest.mark.devices
def test_what_is_played_on_a_real_stream_is_heard_on_another(pulse: dict[str, str]) -> None:
    found = play(ECHO.replace("{more}", ""), pulse)
    assert found["names"][:2] == ["True", "True"]
    samples, peak_hz, level = found["heard"]
    lasted = float(found["lasted"][0])  # opening takes its time, and sound may wait for it
    assert 1.2 * 16_000 < int(samples) < (1.05 * lasted + 0.2) * 16_000
    assert abs(int(peak_hz) - 400) < 5
    assert float(level) > 0.1


@needs_pulse
@pytest.mark.devices
def test_a_device_that_goes_away_is_opened_again_when_it_returns(pulse: dict[str, str]) -> None:
    found = play(ECHO.replace("{more}", UNPLUG), pulse)
    assert found["gone"] == ["True", "True"]  # silence flows meanwhile
    assert found["back"] == ["True", "True"]


class Denied:
    """PortAudio on a system that keeps a microphone from programs, in one of its two ways."""

    class PortAudioError(Exception):
        pass

    def __init__(self, refuses: bool) -> None:
        self.refuses = refuses
        self.streams: list[Stream] = []

    def query_devices(self, device: object = None, kind: str | None = None) -> dict[str, object]:
        return {"name": f"built-in {kind}", "index": 0, "default_samplerate": 16_000.0}

    def InputStream(self, **options: object) -> Stream:
        if self.refuses:
            raise self.PortAudioError("Error opening InputStream: Device unavailable [-9985]")
        return self.OutputStream(**options)

    def OutputStream(self, **options: object) -> Stream:
        self.streams.append(Stream(options["callback"]))
        return self.streams[-1]


class Stream:
    latency = 0.01
    active = True

    def __init__(self, callback: object) -> None:
        self.callback = callback

    def start(self) -> None:
        pass

    def abort(self, **_options: object) -> None:
        pass

    close = abort

    def give(self, sample: float) -> None:
        """A second of sound from the device."""
        block = np.full((160, 1), sample, np.float32)
        for _block in range(100):
            self.callback(block, 160, None, None)  # type: ignore[operator]


def open_denied(monkeypatch: pytest.MonkeyPatch, refuses: bool) -> tuple[SoundDevicePort, Denied]:
    system = Denied(refuses)
    monkeypatch.setattr(sound_stream, "sounddevice_module", lambda: system)
    monkeypatch.setattr(sound_stream, "STALLED_MS", 1e9)
    port = SoundDevicePort()
    port.start()
    return port, system


def test_a_microphone_that_is_refused_leaves_one_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    port, system = open_denied(monkeypatch, refuses=True)
    try:
        assert "Device unavailable" in port.notice
        assert "choose another one" in port.notice
        assert port.microphone == ""
        assert port.loudspeaker == "built-in output"
        time.sleep(0.05)
        silence = port.read()
        assert len(silence) >= 400 and not silence.any()  # the call's clock goes on
        port.write(np.full(1600, 0.25, np.float32))
        played = np.zeros((1600, 1), np.float32)
        system.streams[0].callback(played, 1600, None, None)  # type: ignore[operator]
        assert (played == 0.25).all()
    finally:
        port.close()


def test_a_microphone_that_is_denied_by_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    port, system = open_denied(monkeypatch, refuses=False)
    try:
        microphone = system.streams[0]
        for _second in range(3):
            microphone.give(0.0)
            port.read()
        assert port.notice == ""  # it may just have been switched on
        for _second in range(2):
            microphone.give(0.0)
            port.read()
        assert "'built-in input' gives no sound at all" in port.notice
        assert "allow this program" in port.notice
        microphone.give(1e-4)
        port.read()
        assert port.notice == ""
        for _second in range(6):  # a noise gate, which gives zeros between words, is no denial
            microphone.give(0.0)
            port.read()
        assert port.notice == ""
    finally:
        port.close()


def test_without_any_device_silence_flows_and_the_notice_says_so() -> None:
    if list_devices("input") or list_devices("output"):
        pytest.skip("this machine has sound devices")
    port = SoundDevicePort("No such microphone", "No such loudspeaker")
    port.start()
    try:
        assert "choose another one" in port.notice
        time.sleep(0.1)
        pcm = port.read()
        assert len(pcm) >= 800
        assert not pcm.any()
        port.write(np.ones(1600, np.float32))
        time.sleep(0.15)
        port.read()
        assert port.queued_ms() == 0.0
    finally:
        port.close()
