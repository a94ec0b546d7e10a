from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.audio import RING_MS, FilePort, NullPort
from app.clock import ManualClock
from app.wavstream import WavStream
from engine.errors import SottovoceError


def test_a_file_is_heard_at_the_pace_of_the_clock() -> None:
    clock = ManualClock()
    port = FilePort(np.linspace(0, 1, 16_000, dtype=np.float32), clock=clock)
    port.start()
    assert len(port.read()) == 0
    clock.advance(10)
    assert len(port.read()) == 160
    clock.advance(1500)
    rest = port.read()
    assert len(rest) == 24_000
    assert port.finished
    assert not rest[16_000 - 160 :].any()


def test_a_repeated_file_never_ends() -> None:
    clock = ManualClock()
    speech = np.arange(1, 101, dtype=np.float32)
    port = FilePort(speech, repeat=True, clock=clock)
    port.start()
    clock.advance(20)
    assert np.array_equal(port.read(), np.tile(speech, 4)[:320])
    assert not port.finished


def test_an_empty_file_repeats_as_silence() -> None:
    clock = ManualClock()
    port = FilePort(np.zeros(0, np.float32), repeat=True, clock=clock)
    port.start()
    clock.advance(10)
    assert not port.read().any()


def test_what_is_written_is_played_into_the_file_with_silence_in_the_holes(tmp_path: Path) -> None:
    clock = ManualClock()
    out = tmp_path / "out.wav"
    port = FilePort(np.zeros(10, np.float32), out, clock=clock)
    port.start()
    port.write(np.full(160, 0.5, np.float32))
    assert port.queued_ms() == 10
    clock.advance(20)
    port.read()
    assert port.queued_ms() == 0
    assert port.dropped()["underrun"] == 160
    port.close()
    samples, rate = soundfile.read(out)
    assert rate == 16_000
    assert np.allclose(samples[:160], 0.5, atol=1e-3)
    assert not samples[160:].any()
    assert len(samples) == 320


def test_after_a_long_stall_the_port_skips_ahead_instead_of_catching_up() -> None:
    clock = ManualClock()
    port = NullPort(clock)
    port.start()
    clock.advance(60_000)
    assert len(port.read()) == RING_MS * 16


def test_a_wav_is_readable_while_it_grows(tmp_path: Path) -> None:
    stream = WavStream(tmp_path / "a.wav")
    for _ in range(25):
        stream.write(np.full(1600, 0.25, np.float32))
    assert soundfile.info(str(tmp_path / "a.wav")).frames >= 16_000
    stream.close()
    assert soundfile.info(str(tmp_path / "a.wav")).frames == 40_000


def test_a_wav_in_a_missing_folder_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(SottovoceError, match="choose another folder"):
        WavStream(tmp_path / "no" / "a.wav")
