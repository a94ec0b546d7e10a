"""The codec over whole recordings, and the .sotto file against every kind of bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.articulation import CODE_DIM
from engine.codec import FORMAT_VERSION, EncodedSpeech, SottoError, SpeechCodec
from engine.describe import split_segments
from engine.errors import SottovoceError
from engine.events import PhonemeEvent, VoiceDescriptor
from engine.mel import HOP
from engine.phonemes import PHONEME_ID
from engine.prosody import ProsodyTracker
from engine.weights import MODELS_DIR
from tests.speech import alignments, any_speech, dev_readers, load_pcm

needs_models = pytest.mark.skipif(
    not all((MODELS_DIR / f"{n}.safetensors").exists() for n in ("codec", "vocoder", "voice")),
    reason="the codec's weights are not there: run `make train`",
)


def recording(events: int = 150) -> EncodedSpeech:
    """A made-up recording with a pause in the middle."""
    rng = np.random.default_rng(4)
    made, tick = [], 3
    for index in range(events):
        ticks = int(rng.integers(3, 15))
        voiced = bool(rng.random() < 0.7)
        pitch = (int(rng.integers(8, 25)), int(rng.integers(8, 25))) if voiced else (0, 0)
        codes = tuple(int(c) for c in rng.integers(0, 256, 3))
        made.append(
            PhonemeEvent(index, int(rng.integers(1, 43)), tick, ticks, voiced, pitch, 12, codes)
        )
        tick += ticks + (130 if index == 70 else 0)
    return EncodedSpeech(tuple(made), VoiceDescriptor(3, 90, tuple(range(20))), tick * HOP + 77)


def test_bytes_give_back_the_recording() -> None:
    encoded = recording()
    assert EncodedSpeech.from_bytes(encoded.to_bytes()) == encoded


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 32_000])
def test_a_recording_without_events_survives(samples: int) -> None:
    encoded = EncodedSpeech((), None, samples)
    assert EncodedSpeech.from_bytes(encoded.to_bytes()) == encoded
    assert encoded.bits_per_second == 0.0 and encoded.speech_bits_per_second == 0.0


def test_fewer_layers_are_fewer_bits() -> None:
    bits = [recording().with_layers(n).payload_bits for n in range(4)]
    assert bits == sorted(bits) and bits[0] < bits[3]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    encoded = recording()
    path = encoded.save(tmp_path / "a.sotto")
    assert EncodedSpeech.load(path) == encoded
    assert [p.name for p in tmp_path.iterdir()] == ["a.sotto"]
    with pytest.raises(SottoError, match="Cannot write"):
        encoded.save(tmp_path / "missing" / "a.sotto")
    with pytest.raises(SottoError, match="Cannot read"):
        EncodedSpeech.load(tmp_path / "none.sotto")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SottoError):
        EncodedSpeech.from_bytes(data)


def resealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_tampered_bytes_with_a_right_checksum_parse_or_are_refused(data: st.DataObject) -> None:
    body = bytearray(recording(20).to_bytes()[:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    try:
        parsed = EncodedSpeech.from_bytes(resealed(bytes(body[:cut])))
    except SottoError:
        return
    assert all(e.start_tick >= 0 for e in parsed.events)
    assert all(
        a.end_tick <= b.start_tick for a, b in zip(parsed.events, parsed.events[1:], strict=False)
    )


def test_any_flipped_bit_is_noticed() -> None:
    data = recording(30).to_bytes()
    for position in range(0, len(data), 7):
        broken = bytearray(data)
        broken[position] ^= 0x10
        with pytest.raises(SottoError):
            EncodedSpeech.from_bytes(bytes(broken))


def test_a_claim_of_days_of_audio_is_refused() -> None:
    body = struct.pack("<4sBBII", b"SOTV", FORMAT_VERSION, 0, 0xFFFFFFFF, 0)
    with pytest.raises(SottoError, match="impossible"):
        EncodedSpeech.from_bytes(resealed(body))


def test_a_newer_format_says_so() -> None:
    body = struct.pack("<4sBBII", b"SOTV", 9, 0, 0, 0)
    with pytest.raises(SottoError, match="update"):
        EncodedSpeech.from_bytes(resealed(body))


def test_an_older_format_says_so() -> None:
    body = struct.pack("<4sBBII", b"SOTV", 1, 0, 0, 0)
    with pytest.raises(SottoError, match="encode the recording again"):
        EncodedSpeech.from_bytes(resealed(body))


def test_events_share_the_bits_of_their_blocks() -> None:
    encoded = recording(150)
    bits = encoded.event_bits()
    assert len(bits) == len(encoded.events) and min(bits) > 0
    assert sum(bits) == pytest.approx(encoded.payload_bits)


def test_a_short_pause_belongs_to_the_talkspurt() -> None:
    said = [PhonemeEvent(0, 1, 0, 10), PhonemeEvent(1, 2, 29, 10), PhonemeEvent(2, 3, 60, 10)]
    assert EncodedSpeech(tuple(said), None, 16_000).speech_seconds == pytest.approx(0.49)


def test_long_phonemes_are_split_and_long_silence_becomes_a_hole() -> None:
    silence, vowel = 0, PHONEME_ID["ɑː"]
    pieces = split_segments([(silence, 0, 90), (vowel, 90, 45), (vowel, 135, 8)], ticks=140)
    assert pieces == [
        (0, 0, 20),
        (vowel, 90, 15),
        (vowel, 105, 15),
        (vowel, 120, 15),
        (vowel, 135, 5),
    ]
    with pytest.raises(SottovoceError, match="in order"):
        split_segments([(vowel, 10, 5), (vowel, 12, 5)], ticks=100)


@pytest.mark.parametrize(
    "pcm",
    [np.zeros((10, 2), np.float32), np.zeros(2_000, np.int16)],
    ids=["stereo", "integers"],
)
def test_pcm_of_another_kind_is_refused_with_advice(pcm: np.ndarray) -> None:
    with pytest.raises(SottovoceError, match="PCM"):
        SpeechCodec().encode(pcm)


@pytest.mark.parametrize("length", [0, 1, 159])
def test_too_little_to_encode_is_an_empty_recording(length: int) -> None:
    encoded = SpeechCodec().encode(np.zeros(length, np.float32))
    assert encoded.events == () and encoded.samples == length


@needs_models
def test_true_phonemes_speak_again_in_step_with_the_original() -> None:
    readers = dev_readers()
    if not readers:
        pytest.skip("no speech corpus: set SOTTOVOCE_SPEECH to a folder with manifest.tsv")
    name, path, _ = readers[0]
    pcm = load_pcm(path)
    segments = [(PHONEME_ID[p], start, ticks) for p, start, ticks in alignments()[name]]
    codec = SpeechCodec()
    encoded = codec.encode(pcm, events=segments)
    spoken = codec.decode(EncodedSpeech.from_bytes(encoded.to_bytes()))
    assert len(spoken) == len(pcm) and np.isfinite(spoken).all()
    frames = [x[: len(x) // HOP * HOP].reshape(-1, HOP) for x in (pcm, spoken)]
    level = [10 * np.log10(np.mean(x**2, axis=1) + 1e-7) for x in frames]
    lags = [
        np.corrcoef(level[0][20:-20], np.roll(level[1], -k)[20:-20])[0, 1] for k in range(-10, 11)
    ]
    assert abs(int(np.argmax(lags)) - 10) <= 2 and max(lags) > 0.8
    assert encoded.speech_bits_per_second < 700
    assert len(encoded.to_bytes()) * 8 * 60 / encoded.seconds < 5_000 * 8
    rows = codec.features(pcm, events=segments)
    assert rows.shape == (len(encoded.events), CODE_DIM) and np.isfinite(rows).all()


@needs_models
def test_another_voice_moves_the_pitch() -> None:
    encoded = replace(recording(40), voice=VoiceDescriptor(0, 60, (1, 2)))
    codec = SpeechCodec()
    own, other = codec.decode(encoded), codec.decode(encoded, voice=VoiceDescriptor(0, 108, (9, 8)))
    assert own.shape == other.shape == (encoded.samples,)
    pitch_hz = []
    for pcm in (own, other):
        tracker = ProsodyTracker()
        tracker.push(pcm)
        tracker.flush()
        heard = tracker.f0_hz(0, len(pcm) // HOP)
        pitch_hz.append(float(np.median(heard[heard > 0])))
    assert pitch_hz[1] > 1.4 * pitch_hz[0]  # an octave was asked for; the scale ends before some


@needs_models
@pytest.mark.parametrize("kind", ["speech", "silence", "noise", "clipped", "nan"])
def test_whatever_is_said_comes_back_finite_and_of_the_same_length(kind: str) -> None:
    pytest.importorskip("engine.encoder")
    rng = np.random.default_rng(8)
    pcm = {
        "speech": any_speech(3.0),
        "silence": np.zeros(20_011, np.float32),
        "noise": (0.3 * rng.standard_normal(24_000)).astype(np.float32),
        "clipped": np.sign(rng.standard_normal(16_000)).astype(np.float32),
        "nan": np.full(16_000, np.nan, np.float32),
    }[kind]
    codec = SpeechCodec()
    encoded = codec.encode(pcm)
    spoken = codec.decode(encoded)
    assert len(spoken) == len(pcm) and np.isfinite(spoken).all() and np.abs(spoken).max() <= 1.0
    assert encoded.payload_bits < 1_500 * max(1.0, encoded.seconds)
