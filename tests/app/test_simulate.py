"""A call on a virtual clock: repeatable, aligned, and honest about what got lost."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from app.cli import run
from app.evaluate import estimate_delay_ms
from app.export import PacketRow
from app.simulate import (
    DELAYS_HEADER,
    EncodedStream,
    SimulationSettings,
    encode_stream,
    run_to_folder,
    simulate,
)
from app.wavfile import read_wav, write_wav
from engine.errors import SottovoceError
from engine.events import Pcm
from tests.speech import any_speech
from transport.impair import ImpairmentSettings

KEYS = {
    "payload_bps", "wire_bps", "packets_sent", "packets_lost", "events_sent", "events_lost",
    "events_concealed", "delay_ms_median", "delay_ms_p95", "rtf_encode", "rtf_decode",
}  # fmt: skip


@pytest.fixture(scope="module")
def pcm() -> Pcm:
    return any_speech(8.0)


@pytest.fixture(scope="module")
def stream(pcm: Pcm) -> EncodedStream:
    return encode_stream(pcm)


def test_over_a_perfect_link_nothing_is_lost(pcm: Pcm, stream: EncodedStream) -> None:
    settings = SimulationSettings(loss=0.0, jitter_ms=0.0, delay_ms=20.0)
    result = simulate(pcm, settings, stream=stream)
    for arm in ("phonemes", "opus"):
        figures = result.report[arm]
        assert set(figures) >= KEYS
        assert figures["packets_lost"] == 0
        assert figures["packets_sent"] > 0
        assert figures["events_lost"] <= 0.01 * figures["events_sent"]
    # Eight seconds: most of them before it is known that nothing gets lost.
    ours, peers = result.report["phonemes"], result.report["opus"]
    assert ours["payload_bps"] < peers["payload_bps"] / 3
    assert ours["wire_bps"] < peers["wire_bps"] / 2


def lags_ms(near: Pcm, far: Pcm, seconds: float = 2.0) -> list[float]:
    """How much later ``far`` is in each stretch of ``near`` in which somebody speaks."""
    size, margin = int(seconds * 16_000), 4_000  # so that a far end that is early shows as well
    far = np.concatenate([np.zeros(margin, np.float32), far, np.zeros(margin + size, np.float32)])
    return [
        estimate_delay_ms(near[at : at + size], far[at : at + size + 2 * margin]) - 250.0
        for at in range(0, len(near) - size + 1, size // 4)
        if np.sqrt(np.mean(near[at : at + size] ** 2)) > 0.01
    ]


def share_aligned(near: Pcm, far: Pcm) -> float:
    """Of those stretches, how many lie within a frame of 20 ms."""
    return float(np.mean(np.abs(lags_ms(near, far)) <= 20.0))


@pytest.mark.parametrize(
    ("arm", "loss", "jitter_ms"),
    [
        ("phonemes", 0.0, 30.0),
        ("phonemes", 0.2, 30.0),
        ("phonemes", 0.5, 30.0),
        ("phonemes", 0.0, 120.0),
        ("opus", 0.0, 30.0),
        ("opus", 0.2, 30.0),
        ("opus", 0.0, 120.0),
    ],
)
def test_without_its_reported_delay_the_far_end_lies_on_the_near_end(
    pcm: Pcm, stream: EncodedStream, arm: str, loss: float, jitter_ms: float
) -> None:
    settings = SimulationSettings(loss=loss, jitter_ms=jitter_ms, delay_ms=150.0, arms=(arm,))
    result = simulate(pcm, settings, stream=stream)
    reported = round(result.report[arm]["delay_ms_median"] * 16)
    aligned = result.far[arm][reported:]
    assert len(aligned) == len(pcm)
    assert abs(lags_ms(pcm, aligned, len(pcm) / 16_000)[0]) <= 20.0
    assert share_aligned(pcm, aligned) >= 0.8  # a contour misleads in one stretch or two
    assert np.median(np.abs(lags_ms(pcm, aligned))) <= 10.0
    np.testing.assert_array_equal(aligned, result.aligned(arm))


def test_the_check_of_alignment_can_fail(pcm: Pcm, stream: EncodedStream) -> None:
    result = simulate(pcm, SimulationSettings(loss=0.5, arms=("phonemes",)), stream=stream)
    figures = result.report["phonemes"]
    assert figures["delay_ms_max"] - figures["delay_ms_min"] > 100.0
    aligned = share_aligned(pcm, result.aligned("phonemes"))
    heard = result.heard["phonemes"][round(figures["delay_ms_median"] * 16) :]
    assert share_aligned(pcm, heard[: len(pcm)]) <= aligned
    late = np.concatenate([np.zeros(40 * 16, np.float32), result.aligned("phonemes")])
    assert share_aligned(pcm, late[: len(pcm)]) < 0.3


def test_the_delay_log_says_when_everything_was_heard(pcm: Pcm, stream: EncodedStream) -> None:
    result = simulate(pcm, SimulationSettings(loss=0.3), stream=stream)
    for arm in ("phonemes", "opus"):
        rows = [
            dict(zip(DELAYS_HEADER, row, strict=True)) for row in result.delays if row[0] == arm
        ]
        speech = [row["delay_ms"] for row in rows if row["kind"] == "speech"]
        assert np.median(speech) == pytest.approx(result.report[arm]["delay_ms_median"], abs=0.1)
        for row in rows:
            assert row["heard_ms"] - row["said_ms"] == pytest.approx(row["delay_ms"])
            assert row["kind"] in ("speech", "pause", "concealed")
        heard = [row["heard_ms"] for row in rows]
        assert heard == sorted(heard)
        said = [row["said_ms"] for row in rows if row["kind"] != "concealed"]
        assert len(set(said)) == len(said)  # what is held on is not heard anew


def said_again(stream: EncodedStream, times: int) -> EncodedStream:
    """A longer call: the same words over and over."""
    length_ms = stream.samples / 16.0
    events = [
        (
            at_ms + turn * length_ms,
            dataclasses.replace(
                event,
                index=event.index + turn * len(stream.events),
                start_tick=event.start_tick + round(turn * length_ms / 10),
            ),
        )
        for turn in range(times)
        for at_ms, event in stream.events
    ]
    return dataclasses.replace(stream, events=tuple(events), samples=times * stream.samples)


def test_half_the_packets_lost_costs_few_events(pcm: Pcm, stream: EncodedStream) -> None:
    lost = sent = 0
    for seed in (1, 2):
        settings = SimulationSettings(loss=0.5, seed=seed, arms=("phonemes",))
        figures = simulate(np.tile(pcm, 3), settings, stream=said_again(stream, 3)).report[
            "phonemes"
        ]
        assert figures["packets_lost"] > 0.3 * figures["packets_sent"]
        lost += figures["events_lost"]
        sent += figures["events_sent"]
    assert lost <= 0.05 * sent


def test_one_packet_in_five_lost_costs_less_wire_than_opus(pcm: Pcm, stream: EncodedStream) -> None:
    report = simulate(pcm, SimulationSettings(loss=0.2), stream=stream).report
    assert report["phonemes"]["wire_bps"] < report["opus"]["wire_bps"]


def test_packets_and_rates_agree(pcm: Pcm, stream: EncodedStream) -> None:
    result = simulate(pcm, SimulationSettings(), stream=stream)
    for arm in ("phonemes", "opus"):
        rows: list[PacketRow] = [row for row in result.packets if row.arm == arm]
        figures = result.report[arm]
        assert len(rows) == figures["packets_sent"]
        assert sum(row.arrival_ms is None for row in rows) == figures["packets_lost"]
        bits = 8 * sum(row.payload_bytes for row in rows)
        assert figures["payload_bps"] == pytest.approx(bits / (len(pcm) / 16_000), rel=1e-3)
        wire = 8 * sum(row.wire_bytes for row in rows)
        assert figures["wire_bps"] >= wire / (len(pcm) / 16_000) - 1
        for row in rows:
            assert row.wire_bytes >= row.payload_bytes + 40
            assert row.arrival_ms is None or row.arrival_ms >= row.sent_ms + 29.9
    assert result.report["phonemes"]["descriptor_bits"] >= 8


def test_the_same_seed_writes_the_same_bytes(pcm: Pcm, tmp_path: Path) -> None:
    settings = SimulationSettings(loss=0.3, burst_ms=120.0, seed=7)
    short = pcm[: 4 * 16_000]
    run_to_folder(short, settings, tmp_path / "one")
    run_to_folder(short, settings, tmp_path / "two")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names >= {
        "near.wav", "far_phonemes.wav", "far_opus.wav", "heard_phonemes.wav", "heard_opus.wav",
        "report.json", "report.html", "delays.csv",
    }  # fmt: skip
    for name in names:
        written = [(tmp_path / n / name).read_bytes() for n in ("one", "two")]
        if name == "report.json":  # how fast the machine was is in there, and nowhere else
            written = [re.sub(rb'("rtf_(?:en|de)code"): [0-9.e-]+', rb"\1", w) for w in written]
        assert written[0] == written[1], name
    report = json.loads((tmp_path / "one" / "report.json").read_text())
    for arm in ("phonemes", "opus"):
        assert report[arm]["rtf_encode"] > 0 and report[arm]["rtf_decode"] > 0
    other = dataclasses.replace(settings, seed=8)
    run_to_folder(short, other, tmp_path / "three")
    changed = (tmp_path / "three" / "far_phonemes.wav").read_bytes()
    assert changed != (tmp_path / "one" / "far_phonemes.wav").read_bytes()


def test_a_link_that_never_delivers_is_silent_and_counted(pcm: Pcm, stream: EncodedStream) -> None:
    settings = SimulationSettings(link=ImpairmentSettings(loss=1.0))
    result = simulate(pcm, settings, stream=stream)
    for arm in ("phonemes", "opus"):
        figures = result.report[arm]
        assert figures["packets_lost"] == figures["packets_sent"] > 0
        assert figures["events_lost"] == figures["events_sent"]
        assert np.abs(result.far[arm]).max() < 0.05
        assert len(result.far[arm]) >= len(pcm)


@pytest.mark.parametrize("level", [1e-4, 6e-4])
def test_silence_costs_next_to_nothing(level: float) -> None:
    rng = np.random.default_rng(1)
    hush = (level * rng.standard_normal(6 * 16_000)).astype(np.float32)
    report = simulate(hush, SimulationSettings(loss=0.0, arms=("phonemes",))).report
    assert report["phonemes"]["payload_bps"] < 120
    assert np.isfinite(report["phonemes"]["delay_ms_median"])


def test_settings_that_make_no_sense_are_refused(pcm: Pcm, stream: EncodedStream) -> None:
    with pytest.raises(SottovoceError, match="No arm"):
        simulate(pcm, SimulationSettings(arms=("pigeon",)), stream=stream)
    with pytest.raises(SottovoceError, match="nothing to send"):
        simulate(np.zeros(0, np.float32), SimulationSettings())
    with pytest.raises(SottovoceError, match="loss"):
        simulate(pcm, SimulationSettings(loss=1.5), stream=stream)


def test_a_cough_of_half_a_second_passes(pcm: Pcm) -> None:
    result = simulate(pcm[16_000:24_000], SimulationSettings(loss=0.0))
    assert len(result.far["phonemes"]) >= 8_000


def test_the_command_writes_a_bundle_that_evaluate_can_score(
    pcm: Pcm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "talk.wav", pcm[: 4 * 16_000])
    out = tmp_path / "out"
    arguments = ["simulate", str(tmp_path / "talk.wav"), str(out), "--loss", "0.1", "--arm", "opus"]
    assert run(arguments) == 0
    assert "opus" in capsys.readouterr().out
    assert not (out / "far_phonemes.wav").exists()
    assert len(read_wav(out / "near.wav")) == 4 * 16_000
    assert json.loads((out / "report.json").read_text())["opus"]["packets_sent"] > 0
    assert run(["evaluate", str(out), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["far_opus.wav"]["estoi"] > 0.3


def test_untimed_even_the_report_is_the_same_bytes(pcm: Pcm, tmp_path: Path) -> None:
    write_wav(tmp_path / "talk.wav", pcm[: 2 * 16_000])
    for name in ("one", "two"):
        arguments = ["simulate", str(tmp_path / "talk.wav"), str(tmp_path / name), "--untimed"]
        assert run([*arguments, "--arm", "opus"]) == 0
    report = (tmp_path / "one" / "report.json").read_bytes()
    assert report == (tmp_path / "two" / "report.json").read_bytes()
    assert json.loads(report)["opus"]["rtf_decode"] is None
