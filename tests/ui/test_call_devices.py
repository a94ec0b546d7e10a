"""A call in a window on real PortAudio devices, whose sound server goes away and returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pulse import needs_pulse, play, pulse

__all__ = ["pulse"]  # a fixture
ROOT = Path(__file__).resolve().parents[2]

CALL = """
import os, subprocess, sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, {root!r})
import torch
torch.set_num_threads(1)
from app.call import Call
from app.devices import open_port
from app.settings import Settings
from app.ui.application import application
from app.ui.call_window import CallWindow
from tests.app.calls import HERE, make_call, talk
from tests.speech import any_speech

app = application("light")
folder = Path({folder!r})
settings = Settings(name="Ada", echo_cancellation=False, noise_suppression=False,
                    gain_control=False, recordings=str(folder))
mine = Call(settings, open_port(), rtc=HERE)
theirs = make_call("Bo", np.tile(any_speech(6.0), 30), folder)
window = CallWindow(settings, lambda _s: mine, save=lambda _s: None)
window.show()
window.attach(mine)

def wait(what, ready, seconds=45.0):
    end = time.monotonic() + seconds
    while not ready():
        app.processEvents()
        time.sleep(0.01)
        if time.monotonic() > end:
            print("late", what, flush=True)
            os._exit(3)

def state():
    return window.page.header.state.text().rpartition("·")[2].strip()

def notice():
    return window.page.notice.text.text() if window.page.notice.isVisible() else ""

invite = mine.create_invite()
wait("invite", invite.done)
answer = theirs.accept_invite(invite.result())
wait("answer", answer.done)
mine.accept_answer(answer.result())
wait("call", lambda: state() == "In a call")
talk(theirs)
# what the loudspeaker plays comes back by the monitor, so the microphone hears it
wait("sound", lambda: mine.stats().near.rms_dbfs > -45.0)
print("heard", bool(mine._audio.microphone), bool(mine._audio.loudspeaker), flush=True)
subprocess.run(["pactl", "exit"], check=True)
wait("notice", lambda: "choose another one" in notice(), 20)
wait("silence", lambda: mine.stats().near.rms_dbfs < -80.0, 20)
print("unplugged", state().replace(" ", "_"), flush=True)
server = subprocess.Popen(os.environ["SERVER"].split("|"), stderr=subprocess.DEVNULL)
time.sleep(1.0)
subprocess.run(["pactl", "set-default-source", "call.monitor"], check=False)
wait("return", lambda: not notice(), 30)
wait("sound again", lambda: mine.stats().near.rms_dbfs > -45.0)
print("replugged", state().replace(" ", "_"), flush=True)
window.close()
theirs.close()
mine.close()
server.terminate()
print("end", flush=True)
os._exit(0)
"""


@needs_pulse
@pytest.mark.devices
@pytest.mark.network
@pytest.mark.timeout(240)
def test_a_call_outlives_its_sound_server_and_hears_again_when_it_returns(
    pulse: dict[str, str], tmp_path: Path
) -> None:
    code = CALL.format(root=str(ROOT), folder=str(tmp_path))
    found = play(code, {**pulse, "QT_QPA_PLATFORM": "offscreen"}, seconds=200)
    assert found["heard"] == ["True", "True"]
    assert found["unplugged"] == ["In_a_call"]
    assert found["replugged"] == ["In_a_call"]
    assert "end" in found
