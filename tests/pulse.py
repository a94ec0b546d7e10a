"""A sound server of one's own with a null sink, whose monitor is the microphone.

What runs on it runs in a process of its own: PortAudio looks for devices once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PULSE = shutil.which("pulseaudio")
needs_pulse = pytest.mark.skipif(
    PULSE is None or shutil.which("pactl") is None or sys.platform != "linux",
    reason="no PulseAudio here: install pulseaudio, pulseaudio-utils and libasound2-plugins",
)

ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"

SERVER = (
    f"{PULSE}|--daemonize=no|--exit-idle-time=-1|-n|-L|module-native-protocol-unix|-L|"
    "module-null-sink sink_name=call rate=48000 channels=2"
)


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[dict[str, str]]:
    (tmp_path / ".asoundrc").write_text(ASOUNDRC)
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(run),
        "PULSE_SERVER": f"unix:{run}/pulse/native",
        "PULSE_RUNTIME_PATH": str(run / "pulse"),
        "SERVER": SERVER,
    }
    server = subprocess.Popen(
        SERVER.split("|"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(50):
        if (run / "pulse" / "native").exists():
            break
        time.sleep(0.1)
    else:
        server.kill()
        server.wait()
        pytest.skip("PulseAudio does not start here")
    subprocess.run(["pactl", "set-default-source", "call.monitor"], env=environment, check=False)
    try:
        yield environment
    finally:
        server.terminate()
        server.wait(10)


def play(code: str, environment: dict[str, str], seconds: float = 60) -> dict[str, list[str]]:
    """Run ``code`` and return the lines it printed: first word → the others."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:3000]
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    return {line[0]: line[1:] for line in lines}
