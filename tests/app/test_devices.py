"""Real PortAudio streams on a PulseAudio null sink, whose monitor is the microphone."""

from __future__ import annotations

import time

import numpy as np
import pytest

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
