"""The speech decoder: length, continuity, silence, voices and models gone astray."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.decoder import GLIDE_TICKS, SpeechDecoder, limit
from engine.events import PhonemeEvent, VoiceDescriptor
from engine.frames import AcousticFrames
from engine.mel import HOP
from engine.phonemes import PHONEME_ID
from engine.source_filter import SourceFilter
from engine.synthesizer import SpokenEvent, Synthesizer, SynthesizerNet, SynthesizerState
from engine.vocoder import Vocoder
from engine.voice import descriptor_vector


@pytest.fixture(scope="module")
def models() -> tuple[Synthesizer, Vocoder]:
    torch.manual_seed(1)
    net = SynthesizerNet().eval()
    net.mel_mean.fill_(-5.0)
    return Synthesizer(net), Vocoder(SourceFilter())


@pytest.fixture
def decoder(models: tuple[Synthesizer, Vocoder]) -> SpeechDecoder:
    return SpeechDecoder(*models)


def event(index: int, phoneme: str = "ɑː", ticks: int = 9) -> PhonemeEvent:
    voiced = phoneme not in ("s", "sil")
    pitch = (14, 16) if voiced else (0, 0)
    return PhonemeEvent(index, PHONEME_ID[phoneme], index * ticks, ticks, voiced, pitch, 15)


@pytest.mark.parametrize("play_ticks", [1, 2, 9, 33, 60])
def test_an_event_lasts_exactly_as_long_as_asked(decoder: SpeechDecoder, play_ticks: int) -> None:
    pcm = decoder.speak(SpokenEvent(event(0), play_ticks))
    assert pcm.shape == (play_ticks * HOP,)
    assert pcm.dtype == np.float32


@pytest.mark.parametrize("ticks", [0, 1, 7, 20, 21, 333])
def test_silence_lasts_exactly_as_long_as_asked(decoder: SpeechDecoder, ticks: int) -> None:
    assert decoder.silence(ticks).shape == (ticks * HOP,)


def test_silence_in_pieces_sounds_like_one_silence(models: tuple[Synthesizer, Vocoder]) -> None:
    whole, pieces = SpeechDecoder(*models), SpeechDecoder(*models)
    first = whole.speak(SpokenEvent(event(0), 9))
    np.testing.assert_array_equal(first, pieces.speak(SpokenEvent(event(0), 9)))
    expected = whole.silence(30)
    heard = np.concatenate([pieces.silence(n) for n in (1, 1, 5, 23)])
    np.testing.assert_allclose(heard, expected, atol=1e-5)


def test_speech_dies_away_into_silence_without_a_click(decoder: SpeechDecoder) -> None:
    spoken = decoder.speak(SpokenEvent(event(0), 12))
    quiet = decoder.silence(20)
    joined = np.concatenate([spoken, quiet])
    seam = np.abs(np.diff(joined[len(spoken) - 40 : len(spoken) + 40])).max()
    assert seam <= 1.5 * np.abs(np.diff(spoken)).max()
    assert np.abs(quiet[-HOP:]).max() < 0.01


def test_a_new_voice_glides_in(models: tuple[Synthesizer, Vocoder]) -> None:
    seen: list[np.ndarray] = []

    class Listening(Synthesizer):
        def step(
            self, spoken: SpokenEvent, voice: np.ndarray, state: SynthesizerState
        ) -> tuple[AcousticFrames, SynthesizerState]:
            seen.append(voice)
            return super().step(spoken, voice, state)

    decoder = SpeechDecoder(Listening(models[0]._net), models[1])
    voice = VoiceDescriptor(1, 80, (3, 7, 11))
    decoder.set_voice(voice)
    for i in range(6):
        decoder.speak(SpokenEvent(event(i), GLIDE_TICKS // 4))
    target, start = descriptor_vector(voice), descriptor_vector(None)
    away = [float(np.linalg.norm(v - target)) for v in seen]
    assert away == sorted(away, reverse=True)
    assert 0.0 < away[0] < float(np.linalg.norm(start - target))
    assert away[-1] == 0.0


def test_a_model_gone_astray_is_silenced_and_recovers(models: tuple[Synthesizer, Vocoder]) -> None:
    class Astray(Synthesizer):
        calls = 0

        def step(
            self, spoken: SpokenEvent, voice: np.ndarray, state: SynthesizerState
        ) -> tuple[AcousticFrames, SynthesizerState]:
            frames, following = super().step(spoken, voice, state)
            self.calls += 1
            if self.calls == 2:
                frames = AcousticFrames(np.full_like(frames.mel, np.nan), frames.f0_hz)
            return frames, following

    decoder = SpeechDecoder(Astray(models[0]._net), models[1])
    pcm = [decoder.speak(SpokenEvent(event(i), 10)) for i in range(4)]
    assert all(np.isfinite(p).all() and len(p) == 10 * HOP for p in pcm)
    assert np.abs(pcm[3]).max() > 1e-4


def test_nothing_leaves_full_scale() -> None:
    loud = np.linspace(-50.0, 50.0, 2_001).astype(np.float32)
    bent = limit(loud)
    assert np.abs(bent).max() <= 1.0
    assert np.all(np.diff(bent) >= 0.0)
    soft = np.linspace(-0.8, 0.8, 100).astype(np.float32)
    np.testing.assert_array_equal(limit(soft), soft)
