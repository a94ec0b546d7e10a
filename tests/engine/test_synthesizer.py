"""The synthesizer speaks every event for exactly as long as it is told, from an explicit state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import SottovoceError
from engine.events import PhonemeEvent
from engine.mel import log_mel
from engine.phonemes import N_PHONEMES, PHONEME_ID
from engine.synthesizer import MAX_PLAY_TICKS, SpokenEvent, Synthesizer, SynthesizerNet, pitch_track
from engine.voice import VOICE_DIM, VoiceEncoder, descriptor_vector
from tests.speech import SPEECH_REASON, alignments, dev_readers, load_pcm

NOBODY = descriptor_vector(None)


def event(ipa: str, ticks: int = 8, index: int = 0, **fields: object) -> PhonemeEvent:
    return PhonemeEvent(index, PHONEME_ID[ipa], 10 * index, ticks, energy=15, **fields)  # type: ignore[arg-type]


WORD = [
    event("h", 6, 0),
    event("ɛ", 9, 1, voiced=True, pitch=(14, 15), codes=(1, 2, 3)),
    event("l", 7, 2, voiced=True, pitch=(15, 14), codes=(4,)),
    event("oʊ", 17, 3, voiced=True, pitch=(13, 11)),
]


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer()


@pytest.mark.parametrize("ticks", [1, 2, 7, 20, 41, MAX_PLAY_TICKS])
def test_an_event_takes_as_many_frames_as_it_is_played_ticks(
    synthesizer: Synthesizer, ticks: int
) -> None:
    frames, _ = synthesizer.step(SpokenEvent(WORD[1], ticks), NOBODY, synthesizer.initial_state())
    assert frames.mel.shape == (ticks, 80)
    assert frames.f0_hz.shape == (ticks,)
    assert frames.mel.dtype == frames.f0_hz.dtype == np.float32
    assert np.isfinite(frames.mel).all()


def speak(synthesizer: Synthesizer, events: list[PhonemeEvent]) -> np.ndarray:
    state, mels = synthesizer.initial_state(), []
    for here, following in zip(events, [*events[1:], None], strict=True):
        frames, state = synthesizer.step(
            SpokenEvent(here, here.duration_ticks, following), NOBODY, state
        )
        mels.append(frames.mel)
    return np.concatenate(mels)


def test_two_calls_share_one_synthesizer_without_hearing_each_other(
    synthesizer: Synthesizer,
) -> None:
    alone = speak(synthesizer, WORD)
    first, second = synthesizer.initial_state(), synthesizer.initial_state()
    mels = []
    for here, following in zip(WORD, [*WORD[1:], None], strict=True):
        frames, first = synthesizer.step(
            SpokenEvent(here, here.duration_ticks, following), NOBODY, first
        )
        mels.append(frames.mel)
        _, second = synthesizer.step(SpokenEvent(event("s", 5), 9), NOBODY, second)
    np.testing.assert_array_equal(np.concatenate(mels), alone)


def test_a_step_changes_neither_its_state_nor_its_answer(synthesizer: Synthesizer) -> None:
    _, state = synthesizer.step(
        SpokenEvent(WORD[0], 6, WORD[1]), NOBODY, synthesizer.initial_state()
    )
    kept = state.history.clone()
    one, _ = synthesizer.step(SpokenEvent(WORD[1], 9, WORD[2]), NOBODY, state)
    two, _ = synthesizer.step(SpokenEvent(WORD[1], 9, WORD[2]), NOBODY, state)
    assert torch.equal(kept, state.history)
    np.testing.assert_array_equal(one.mel, two.mel)


def test_a_truncated_past_gives_the_same_frames_as_the_whole_past(synthesizer: Synthesizer) -> None:
    state = synthesizer.initial_state()
    whole: list[torch.Tensor] = []
    for index in range(12):
        here = replace(WORD[index % 4], index=index)
        frames, state = synthesizer.step(SpokenEvent(here, 8 + 2 * (index % 3)), NOBODY, state)
        whole.append(state.history[-len(frames) :])
    longer = replace(state, history=torch.cat(whole))
    assert len(longer.history) > len(state.history)
    spoken = SpokenEvent(WORD[3], 17)
    short, _ = synthesizer.step(spoken, NOBODY, state)
    full, _ = synthesizer.step(spoken, NOBODY, longer)
    np.testing.assert_allclose(short.mel, full.mel, atol=2e-4)


def test_the_past_and_the_following_event_are_heard(synthesizer: Synthesizer) -> None:
    state = synthesizer.initial_state()
    unknown, _ = synthesizer.step(SpokenEvent(WORD[1], 9), NOBODY, state)
    known, _ = synthesizer.step(SpokenEvent(WORD[1], 9, event("ŋ")), NOBODY, state)
    _, after = synthesizer.step(SpokenEvent(event("w"), 9), NOBODY, state)
    later, _ = synthesizer.step(SpokenEvent(WORD[1], 9), NOBODY, after)
    assert np.abs(unknown.mel - known.mel).max() > 0.01
    assert np.abs(unknown.mel - later.mel).max() > 0.01


def test_every_number_of_layers_changes_the_sound(synthesizer: Synthesizer) -> None:
    state = synthesizer.initial_state()
    mels = [
        synthesizer.step(SpokenEvent(replace(WORD[1], codes=(9, 8, 7)[:n]), 9), NOBODY, state)[
            0
        ].mel
        for n in range(4)
    ]
    for fewer, more in zip(mels, mels[1:], strict=False):
        assert np.abs(fewer - more).max() > 1e-4


def test_gain_lowers_every_frame_by_its_decibels(synthesizer: Synthesizer) -> None:
    state = synthesizer.initial_state()
    loud, _ = synthesizer.step(SpokenEvent(WORD[1], 9), NOBODY, state)
    soft, _ = synthesizer.step(SpokenEvent(WORD[1], 9, gain_db=-6.0), NOBODY, state)
    audible = soft.mel > -11.0
    np.testing.assert_allclose((loud.mel - soft.mel)[audible], 6.0 * np.log(10) / 20, atol=1e-4)


def test_silence_has_no_pitch(synthesizer: Synthesizer) -> None:
    _, state = synthesizer.step(SpokenEvent(WORD[1], 9), NOBODY, synthesizer.initial_state())
    frames, _ = synthesizer.step(SpokenEvent(event("sil"), 20), NOBODY, state)
    assert not frames.f0_hz.any()


def test_pitch_runs_through_the_points_and_joins_without_a_jump() -> None:
    first = pitch_track(WORD[1], 9, None, WORD[2])
    assert first is not None
    second = pitch_track(WORD[2], 7, float(first[-1]), None)
    assert second is not None
    assert abs(second[0] - first[-1]) < 0.6
    assert abs(first[int(0.25 * 9)] - 14) < 0.3
    assert pitch_track(event("s"), 4, None, None) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"energy": 23, "pitch": (39, 0), "voiced": True},
        {"energy": 0, "pitch": (0, 39), "voiced": True},
        {"codes": (255, 255, 255)},
        {"duration_ticks": 1},
    ],
    ids=str,
)
def test_extreme_fields_never_make_it_leave_the_numbers(
    synthesizer: Synthesizer, fields: dict[str, object]
) -> None:
    state = synthesizer.initial_state()
    voice = np.full(VOICE_DIM, 4.0, np.float32)
    for _ in range(5):
        here = replace(WORD[1], **fields)  # type: ignore[arg-type]
        frames, state = synthesizer.step(SpokenEvent(here, 60, here), voice, state)
        assert np.isfinite(frames.mel).all() and np.isfinite(frames.f0_hz).all()
        assert frames.mel.max() <= 5.0 and frames.f0_hz.max() < 600


@pytest.mark.parametrize("ticks", [0, -1, MAX_PLAY_TICKS + 1])
def test_impossible_lengths_are_refused(synthesizer: Synthesizer, ticks: int) -> None:
    with pytest.raises(SottovoceError, match="play_ticks"):
        synthesizer.step(SpokenEvent(WORD[0], ticks), NOBODY, synthesizer.initial_state())


def test_unknown_phonemes_codes_and_voices_are_refused(synthesizer: Synthesizer) -> None:
    state = synthesizer.initial_state()
    for bad in (replace(WORD[0], phoneme=N_PHONEMES), replace(WORD[0], codes=(256,))):
        with pytest.raises(SottovoceError):
            synthesizer.step(SpokenEvent(bad, 5), NOBODY, state)
    with pytest.raises(SottovoceError, match="voice"):
        synthesizer.step(SpokenEvent(WORD[0], 5), NOBODY[:-1], state)
    with pytest.raises(SottovoceError, match="voice"):
        synthesizer.step(SpokenEvent(WORD[0], 5), NOBODY * np.nan, state)


def test_an_untrained_network_has_the_shipped_shapes() -> None:
    net = SynthesizerNet()
    assert sum(p.numel() for p in net.parameters()) < 3_500_000


@pytest.mark.skipif(not dev_readers(), reason=SPEECH_REASON)
def test_an_unseen_reader_is_followed_better_with_every_layer(synthesizer: Synthesizer) -> None:
    from engine.describe import describe

    clip, path, _ = dev_readers()[3]
    pcm = load_pcm(path)
    pcm = pcm[: len(pcm) // 160 * 160]
    segments = [(PHONEME_ID[ipa], start, ticks) for ipa, start, ticks in alignments()[clip]]
    events, descriptor = describe(pcm, segments, 3)
    voice, truth = descriptor_vector(VoiceEncoder().describe(pcm)), log_mel(pcm)
    assert descriptor.stages
    errors = []
    for layers in (0, 1, 3):
        state, error = synthesizer.initial_state(), []
        for here, following in zip(events, [*events[1:], None], strict=True):
            here = replace(here, codes=here.codes[:layers])
            after = (
                None if following is None else replace(following, codes=following.codes[:layers])
            )
            frames, state = synthesizer.step(
                SpokenEvent(here, here.duration_ticks, after), voice, state
            )
            error.append(np.abs(frames.mel - truth[here.start_tick : here.end_tick]))
        errors.append(float(np.concatenate(error).mean()))
    spread = float(np.abs(truth - truth.mean(0)).mean())
    assert errors[0] < 0.75 * spread
    assert errors[1] < errors[0]
    assert errors[2] < 1.02 * errors[1]
