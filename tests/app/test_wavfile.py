"""Sound files: whatever comes in, one line comes out; nothing half-written stays behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.wavfile import WavError, read_wav, replacing, write_text, write_wav


def tone(seconds: float = 0.5, rate_hz: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def test_what_is_written_is_read_back_to_a_quantisation_step(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(), comment="Synthetic speech")
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav"), tone(), atol=1 / 32767)
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert (file.samplerate, file.channels, file.comment) == (16_000, 1, "Synthetic speech")


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(), comment="x")
    write_wav(tmp_path / "b.wav", tone(), comment="x")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channel_count_becomes_16_khz_mono(
    tmp_path: Path, rate_hz: int, channels: int
) -> None:
    sound = np.repeat(tone(1.0, rate_hz)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, rate_hz)
    got = read_wav(tmp_path / "a.wav")
    assert got.dtype == np.float32
    assert abs(len(got) - 16_000) <= 2
    np.testing.assert_allclose(got[2000:14_000], tone(1.0)[2000:14_000], atol=0.02)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW"])
def test_every_common_wav_encoding_is_read(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 16_000, subtype=subtype)
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav"), tone(), atol=0.03)


def test_what_is_not_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    write_wav(good, tone())
    nothing = np.zeros(0, np.float32)
    cases: dict[str, bytes | None] = {
        "missing.wav": None,
        "empty.wav": b"",
        "text.wav": b"this is not a sound file at all\n" * 20,
        "header.wav": good.read_bytes()[:20],
        "riff.wav": b"RIFF\xff\xff\xff\xffWAVEfmt ",
        "noise.wav": np.random.default_rng(1).bytes(5000),
    }
    for name, content in cases.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(WavError) as caught:
            read_wav(tmp_path / name)
        assert "\n" not in str(caught.value), name
        assert name in str(caught.value)
    with pytest.raises(WavError, match="not a file"):
        read_wav(tmp_path)
    soundfile.write(tmp_path / "zero.wav", nothing, 16_000)
    with pytest.raises(WavError, match="no samples"):
        read_wav(tmp_path / "zero.wav")
    bad = tone()
    bad[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, 16_000, subtype="FLOAT")
    with pytest.raises(WavError, match="not numbers"):
        read_wav(tmp_path / "nan.wav")


def test_a_truncated_wav_gives_what_is_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0))
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    assert 7_000 < len(read_wav(tmp_path / "cut.wav")) < 9_000


def test_loud_samples_are_clipped_and_never_wrap(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([2.0, -2.0, 1e9, 0.0] * 100, np.float32))
    got = read_wav(tmp_path / "a.wav")
    assert got.max() <= 1.0
    assert got[0] > 0.99
    assert got[1] < -0.99


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_folder_or_a_folder_as_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WavError, match="does not exist"):
        write_wav(tmp_path / "no" / "a.wav", tone())
    with pytest.raises(WavError, match="is a folder"):
        write_wav(tmp_path, tone())
