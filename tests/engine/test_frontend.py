"""The recogniser's ears: the library's network, heard as a stream."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import frontend
from engine.errors import SottovoceError
from engine.frontend import (
    FEATURE_DIM,
    FRAME_SAMPLES,
    GUARD_FRAMES,
    STEP_FRAMES,
    STEP_SAMPLES,
    Frontend,
    features_of,
)
from engine.whisper_encoder import WhisperEncoder
from engine.whisper_weights import model_path, read_encoder


def any_sound(samples: int) -> np.ndarray:
    """Noise and a gliding tone that swell and fall, as syllables do."""
    rng, t = np.random.default_rng(1), np.arange(samples) / 16_000
    tone = np.sin(2 * np.pi * (120 * t + 20 * np.sin(3 * t)))
    swell = np.sin(2 * np.pi * 2.5 * t) ** 2
    return (0.1 * swell * (tone + 0.5 * rng.standard_normal(samples))).astype(np.float32)


def test_the_network_is_whispers() -> None:
    """All positions of one window, without a past, against the library that made the file."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    path = model_path()
    library = ctranslate2.models.Whisper(str(path.parent), device="cpu", compute_type="float32")
    mel = np.random.default_rng(0).uniform(-1, 1, (80, 192)).astype(np.float32)
    wanted = np.array(library.encode(ctranslate2.StorageView.from_array(mel[None])))[0]
    encoder = WhisperEncoder(read_encoder(path))
    padded = torch.from_numpy(np.pad(mel, ((0, 0), (2, 0))))
    got = encoder.encode(padded, encoder.memory(96), 0, slice(0, 96)).numpy()
    # The first position differs: a stream has something before it, a window has nothing.
    error = np.square(got - wanted)[4:].mean() / np.square(wanted)[4:].mean()
    assert 10 * np.log10(error) < -18


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=12))
def test_pieces_give_what_the_whole_gives(sizes: list[int]) -> None:
    pcm = any_sound(sum(sizes))
    whole = Frontend().push(pcm)
    parts, ears, start = [], Frontend(), 0
    for size in sizes:
        parts.append(ears.push(pcm[start : start + size]))
        start += size
    assert np.array_equal(np.concatenate(parts), whole)
    assert whole.shape == (len(pcm) // STEP_SAMPLES * STEP_FRAMES, FEATURE_DIM)


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 321, 640, 5000])
def test_a_recording_has_a_feature_for_every_frame(samples: int) -> None:
    found = features_of(any_sound(samples))
    assert found.shape == (-(-samples // 320), FEATURE_DIM)


def test_it_hears_no_further_ahead_than_it_says() -> None:
    pcm = any_sound(32_000)
    other = pcm.copy()
    other[16_000:] = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    one, two = Frontend().push(pcm), Frontend().push(other)
    same = 16_000 // STEP_SAMPLES * STEP_FRAMES  # steps that had not heard of the change
    assert np.array_equal(one[:same], two[:same])
    assert not np.allclose(one[same + GUARD_FRAMES :], two[same + GUARD_FRAMES :], atol=0.1)


def test_counting_anew_forgets_nothing_and_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory runs full every second here: what comes out still follows what goes in."""
    pcm = any_sound(96_000)
    usual = Frontend().push(pcm)
    monkeypatch.setattr(
        frontend, "MEMORY_FRAMES", frontend.BLOCK_FRAMES + frontend.PAST_FRAMES + 50
    )
    often = Frontend().push(pcm)
    assert often.shape == usual.shape and np.isfinite(often).all()
    alike = (often * usual).sum(1) / np.linalg.norm(often, axis=1) / np.linalg.norm(usual, axis=1)
    assert np.median(alike[200:]) > 0.5


def test_a_long_pause_is_not_listened_to() -> None:
    """And what is said after it is heard as after a short one."""
    speech, hush = any_sound(48_000), np.zeros(96_000, np.float32)
    frames = len(hush) // FRAME_SAMPLES
    ears, talking = Frontend(), [False] * (len(speech) // FRAME_SAMPLES)
    ears.push(speech, talking)
    resting = ears.push(hush, [True] * frames)
    computed = frontend.BLOCK_FRAMES // STEP_FRAMES * STEP_FRAMES
    steps = resting[computed - STEP_FRAMES :].reshape(-1, STEP_FRAMES, FEATURE_DIM)
    assert (steps[1:] == steps[1]).all() and not np.array_equal(steps[0], resting[:STEP_FRAMES])
    short = Frontend()
    short.push(speech, talking)
    short.push(hush[: computed * FRAME_SAMPLES], [True] * computed)
    after_long, after_short = ears.push(speech, talking), short.push(speech, talking)
    alike = (after_long * after_short).sum(1)
    alike /= np.linalg.norm(after_long, axis=1) * np.linalg.norm(after_short, axis=1)
    assert np.median(alike) > 0.9


def test_a_damaged_or_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SottovoceError, match="pip install"):
        read_encoder(tmp_path / "none.bin")
    cut = tmp_path / "cut.bin"
    with model_path().open("rb") as whole, cut.open("wb") as part:
        part.write(whole.read(100_000))
    with pytest.raises(SottovoceError, match="pip install"):
        read_encoder(cut)
    shutil.copy(__file__, cut)
    with pytest.raises(SottovoceError, match="pip install"):
        read_encoder(cut)
    with pytest.raises(SottovoceError, match="lacks"):
        WhisperEncoder({})
