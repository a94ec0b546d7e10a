"""The Opus arm: real packets, real forward error correction, real concealment, hostile bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SottovoceError
from engine.events import Pcm
from engine.mel import log_mel
from engine.opus import (
    DTX_PAYLOAD_BYTES,
    MAX_FRAME_SAMPLES,
    OpusDecoder,
    OpusEncoder,
    carries_fec,
    opus_features,
)
from tests.speech import any_speech


@pytest.fixture(scope="module")
def speech() -> Pcm:
    return any_speech(6.0)


def frames_of(pcm: Pcm, frame_ms: int) -> list[Pcm]:
    size = frame_ms * 16
    return [pcm[i : i + size] for i in range(0, len(pcm) - size + 1, size)]


def encode_all(pcm: Pcm, rate_bps: int, frame_ms: int = 20, **options: object) -> list[bytes]:
    encoder = OpusEncoder(rate_bps, frame_ms, **options)  # type: ignore[arg-type]
    return [encoder.encode(frame) for frame in frames_of(pcm, frame_ms)]


def mel_distance(a: Pcm, b: Pcm) -> float:
    return float(np.abs(log_mel(a) - log_mel(b)).mean())


@pytest.mark.parametrize("frame_ms", [20, 40, 60])
@pytest.mark.parametrize("rate_bps", [6_000, 12_000, 24_000, 64_000])
def test_speech_survives_at_about_the_declared_rate(
    speech: Pcm, rate_bps: int, frame_ms: int
) -> None:
    packets = encode_all(speech, rate_bps, frame_ms)
    decoder = OpusDecoder(frame_ms)
    heard = [decoder.decode(packet) for packet in packets]
    assert all(len(pcm) == frame_ms * 16 for pcm in heard)
    spent_bps = 8 * sum(map(len, packets)) / (len(packets) * frame_ms / 1000)
    assert 0.5 * rate_bps < spent_bps < 1.25 * rate_bps
    joined = np.concatenate(heard)
    delay = 104  # samples: the encoder's look-ahead at 16 kHz
    assert mel_distance(joined[delay:], speech[: len(joined) - delay]) < 1.4


@pytest.mark.parametrize(("rate", "frame"), [(5_999, 20), (64_001, 20), (12_000, 10), (0, 60)])
def test_settings_out_of_range_are_refused(rate: int, frame: int) -> None:
    with pytest.raises(SottovoceError, match="give"):
        OpusEncoder(rate, frame)


def test_a_wrong_frame_is_refused(speech: Pcm) -> None:
    with pytest.raises(SottovoceError, match="320 samples"):
        OpusEncoder(12_000, 20).encode(speech[:319])


def test_a_named_library_that_is_none_is_refused() -> None:
    with pytest.raises(SottovoceError, match="--opus-library"):
        OpusEncoder(12_000, 20, library="/nonexistent/libopus.so")


def test_concealment_is_not_silence_and_fades(speech: Pcm) -> None:
    decoder = OpusDecoder(20)
    packets = encode_all(speech, 24_000)
    loudest = max(range(10, 200), key=lambda i: len(packets[i]))
    for packet in packets[:loudest]:
        decoder.decode(packet)
    invented = [decoder.conceal() for _ in range(12)]
    levels = [float(np.sqrt(np.mean(pcm**2))) for pcm in invented]
    assert levels[0] > 0.01
    assert levels[-1] < 0.3 * levels[0]


def test_fec_rides_only_where_the_rate_allows(speech: Pcm) -> None:
    with_fec = encode_all(speech, 24_000, fec=True, expected_loss_percent=30)
    without = encode_all(speech, 24_000)
    assert sum(map(carries_fec, with_fec)) > len(with_fec) // 3
    assert not any(map(carries_fec, without))
    assert with_fec != without


@pytest.mark.parametrize("frame_ms", [20, 60])
def test_fec_recovers_a_lost_frame_closer_than_concealment(speech: Pcm, frame_ms: int) -> None:
    packets = encode_all(speech, 24_000, frame_ms, fec=True, expected_loss_percent=30)
    lost = [i for i in range(4, len(packets) - 1, 4) if carries_fec(packets[i + 1])]
    assert len(lost) >= 5
    whole, fec, plc = OpusDecoder(frame_ms), OpusDecoder(frame_ms), OpusDecoder(frame_ms)
    fec_errors, plc_errors = [], []
    for i, packet in enumerate(packets):
        true = whole.decode(packet)
        if i in lost:
            recovered, invented = fec.decode_fec(packets[i + 1]), plc.conceal()
            assert len(recovered) == len(invented) == len(true)
            assert not np.array_equal(recovered, invented)
            fec_errors.append(mel_distance(recovered, true))
            plc_errors.append(mel_distance(invented, true))
        else:
            fec.decode(packet)
            plc.decode(packet)
    assert np.mean(fec_errors) < 0.8 * np.mean(plc_errors)


def test_dtx_sends_almost_nothing_in_silence(speech: Pcm) -> None:
    pause = np.concatenate([speech[:16_000], np.zeros(2 * 16_000, np.float32)])
    with_dtx, without = (encode_all(pause, 12_000, dtx=dtx)[50:] for dtx in (True, False))
    assert sum(len(p) <= DTX_PAYLOAD_BYTES for p in with_dtx) > 50
    assert all(len(p) > DTX_PAYLOAD_BYTES for p in without)


def test_declared_loss_may_change_during_a_call(speech: Pcm) -> None:
    encoder = OpusEncoder(24_000, 20, fec=True)
    packets = []
    for number, frame in enumerate(frames_of(speech, 20)):
        if number == 100:
            encoder.set_expected_loss(300)
        packets.append(encoder.encode(frame))
    assert not any(map(carries_fec, packets[:100]))
    assert any(map(carries_fec, packets[110:]))


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_hostile_payloads_are_concealed_never_raised(payloads: list[bytes]) -> None:
    decoder = OpusDecoder(20)
    for payload in payloads:
        carries_fec(payload)
        for pcm in (decoder.decode(payload), decoder.decode_fec(payload), decoder.conceal()):
            assert pcm.dtype == np.float32
            assert 0 < len(pcm) <= MAX_FRAME_SAMPLES
            assert np.isfinite(pcm).all()
            assert np.abs(pcm).max() <= 1.0


def test_truncated_and_oversized_packets_are_concealed(speech: Pcm) -> None:
    packets = encode_all(speech, 12_000, 60)
    decoder = OpusDecoder(60)
    for packet in (b"", packets[3][:1], packets[3] * 400, b"\xff" * 5000, packets[4][:7]):
        assert len(decoder.decode(packet)) in (320, 640, 960)
    assert decoder.unreadable >= 3


def test_a_decoder_follows_a_sender_that_changes_its_frame(speech: Pcm) -> None:
    decoder = OpusDecoder(20)
    for frame_ms in (20, 60, 40):
        packet = encode_all(speech[: 16 * frame_ms], 12_000, frame_ms)[0]
        assert len(decoder.decode(packet)) == 16 * frame_ms
        assert len(decoder.conceal()) == 16 * frame_ms


def test_digital_garbage_in_gives_bounded_packets() -> None:
    encoder = OpusEncoder(6_000, 60)
    garbage = np.full(960, np.nan, np.float32)
    garbage[::7] = 1e9
    assert len(encoder.encode(garbage)) < 1276


def test_features_are_asked_of_the_library() -> None:
    features = opus_features()
    assert features.fec
    assert features.version[0].isdigit()
    if features.version < "1.5":
        assert not features.dred
        assert not features.deep_plc
