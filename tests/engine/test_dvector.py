"""The d-vector's own spectrogram is the one Resemblyzer's network was trained with."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

from engine.dvector import power_mel
from tests.speech import any_speech

FIRST_USE = """
import sys
import numpy as np
from engine.dvector import embed
embed(np.full(16000, 0.01, np.float32))
print([name for name in ("librosa.core", "librosa.util.utils") if name in sys.modules])
"""


def test_the_network_hears_what_it_was_trained_with() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from resemblyzer.audio import wav_to_mel_spectrogram
    for pcm in (any_speech(3.0), any_speech(3.0)[:12_345], np.zeros(1600, np.float32)):
        ours, theirs = power_mel(pcm), wav_to_mel_spectrogram(pcm)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-6 * max(float(theirs.max()), 1e-9)


def test_the_first_voice_on_a_machine_compiles_nothing() -> None:
    """librosa would, for twenty seconds."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-W", "ignore", "-c", FIRST_USE]
    result = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"
