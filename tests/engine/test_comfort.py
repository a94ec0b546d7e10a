"""Long silences: the same samples as before while speech fades, then noise at no cost."""

from __future__ import annotations

import time

import numpy as np
import pytest

from engine import decoder as decoder_module
from engine.comfort import LOOP_TICKS, ComfortLoop
from engine.decoder import SETTLE_TICKS, SpeechDecoder
from engine.events import Pcm, PhonemeEvent
from engine.mel import HOP
from engine.phonemes import PHONEME_ID
from engine.synthesizer import SpokenEvent, Synthesizer
from engine.vocoder import Vocoder

MADE_TICKS = SETTLE_TICKS + LOOP_TICKS  # by the vocoder


@pytest.fixture(scope="module")
def models() -> tuple[Synthesizer, Vocoder]:
    return Synthesizer(), Vocoder()


def vowel(index: int) -> SpokenEvent:
    event = PhonemeEvent(index, PHONEME_ID["ɑː"], index * 12, 12, True, (14, 16), 15)
    return SpokenEvent(event, 12)


def level_db(pcm: Pcm) -> float:
    return 10.0 * float(np.log10(np.mean(np.square(pcm, dtype=np.float64))))


def test_until_the_speech_has_faded_every_sample_is_the_vocoders_own(
    models: tuple[Synthesizer, Vocoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    resting = SpeechDecoder(*models)
    resting.speak(vowel(0))
    heard = np.concatenate([resting.silence(7) for _ in range(40)])
    monkeypatch.setattr(decoder_module, "SETTLE_TICKS", 10**9)
    always = SpeechDecoder(*models)
    always.speak(vowel(0))
    expected = np.concatenate([always.silence(7) for _ in range(40)])
    same = MADE_TICKS * HOP
    np.testing.assert_allclose(heard[:same], expected[:same], atol=1e-6)
    # and afterwards it sounds the same: level, and no step louder than the noise itself makes
    assert level_db(heard[same:]) == pytest.approx(level_db(expected[same:]), abs=1.0)
    assert (
        np.abs(np.diff(heard[same - HOP :])).max() < 1.5 * np.abs(np.diff(expected[-same:])).max()
    )


def test_however_a_long_silence_is_cut_it_is_one_silence(
    models: tuple[Synthesizer, Vocoder],
) -> None:
    whole, pieces = SpeechDecoder(*models), SpeechDecoder(*models)
    expected = whole.silence(400)
    heard = np.concatenate([pieces.silence(n) for n in (1, 38, 2, 99, 60, 3, 197)])
    np.testing.assert_allclose(heard, expected, atol=1e-5)


def test_speech_returns_without_a_click_and_at_full_level(
    models: tuple[Synthesizer, Vocoder],
) -> None:
    fresh, rested = SpeechDecoder(*models), SpeechDecoder(*models)
    before = fresh.silence(30)[-HOP:]
    rested.silence(333)
    quiet = rested.silence(20)[-HOP:]
    expected = np.concatenate([before, fresh.speak(vowel(0)), fresh.speak(vowel(1))])
    heard = np.concatenate([quiet, rested.speak(vowel(0)), rested.speak(vowel(1))])
    assert level_db(heard) == pytest.approx(level_db(expected), abs=0.5)
    for begin in (0, HOP, 2 * HOP):  # the seam, the cross-fade, and the vowel coming in
        here, there = (np.abs(np.diff(pcm[begin : begin + 2 * HOP])) for pcm in (heard, expected))
        assert here.max() < 1.5 * there.max()


def test_a_settled_silence_costs_next_to_nothing(models: tuple[Synthesizer, Vocoder]) -> None:
    decoder = SpeechDecoder(*models)
    decoder.silence(MADE_TICKS + 1)
    began_s = time.thread_time()
    for _ in range(500):
        decoder.silence(1)
    share = (time.thread_time() - began_s) / 5.0
    assert share < 0.01, f"{100 * share:.1f} % of a core"


def test_the_noise_has_no_seam_and_no_period() -> None:
    dice = np.random.default_rng(1)
    white = dice.standard_normal((LOOP_TICKS + 1) * HOP + 63)
    smooth = np.convolve(white, np.ones(64) / 64, "valid").astype(np.float32)
    loop = ComfortLoop()
    made = loop.feed(smooth)
    heard = np.concatenate([made, loop.play(12 * LOOP_TICKS * HOP)])
    assert np.abs(np.diff(heard)).max() < 1.3 * np.abs(np.diff(smooth)).max()
    levels = [level_db(heard[start : start + HOP * 5]) for start in range(0, len(heard), HOP * 5)]
    assert max(levels) - min(levels) < 8.0
    lags = range(HOP * 5, 2 * LOOP_TICKS * HOP, 16)
    later = heard[2 * LOOP_TICKS * HOP :]
    alike = [float(np.corrcoef(later[:-lag:4], later[lag::4])[0, 1]) for lag in lags]
    assert max(alike) < 0.5  # a loop of one second would be alike to itself by 1
