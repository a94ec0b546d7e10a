"""The voice lab with the real codec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from pytestqt.qtbot import QtBot

from app.ui.voice_lab import VoiceLab
from app.watermark import SYNTHETIC_COMMENT
from app.wavfile import write_wav
from tests.speech import any_speech
from tests.ui.conftest import MakeWindow


def test_words_are_spoken_in_a_voice_between_two_and_saved_as_synthetic(
    make_window: MakeWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    speech = any_speech(5.0)
    write_wav(tmp_path / "words.wav", speech[:40_000])
    write_wav(tmp_path / "voice.wav", speech[40_000:])
    lab = VoiceLab("", make_window())
    lab.words.path.setText(str(tmp_path / "words.wav"))
    lab.voice.path.setText(str(tmp_path / "voice.wav"))
    lab.amount.setValue(40)
    lab.begin()
    assert not lab.speak.isEnabled()
    qtbot.waitUntil(lambda: lab.spoken is not None or bool(lab.note.text()), timeout=60_000)
    assert lab.note.text() == ""
    assert lab.spoken is not None
    assert len(lab.spoken) == 40_000
    assert np.abs(lab.spoken).max() > 0.01
    lab.save_to(tmp_path / "between.wav")
    with soundfile.SoundFile(tmp_path / "between.wav") as file:
        assert file.comment == SYNTHETIC_COMMENT
    lab.save_to(tmp_path / "no such folder" / "x.wav")
    assert "folder" in lab.note.text()
    lab.reject()
