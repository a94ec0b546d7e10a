"""A call on a virtual clock: repeatable, aligned, and honest about what got lost."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import run
from app.evaluate import estimate_delay_ms
from app.export import PacketRow
from app.simulate import EncodedStream, SimulationSettings, encode_stream, run_to_folder, simulate
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
    assert result.report["phonemes"]["payload_bps"] < result.report["opus"]["payload_bps"] / 4


@pytest.mark.parametrize(
    ("arm", "loss"),
    [("phonemes", 0.0), ("opus", 0.0), ("opus", 0.2)],  # lost packets move the phonemes' playout
)
def test_without_its_reported_delay_the_far_end_lies_on_the_near_end(
    pcm: Pcm, stream: EncodedStream, arm: str, loss: float
) -> None:
    settings = SimulationSettings(loss=loss, arms=(arm,))
    result = simulate(pcm, settings, stream=stream)
    padding = np.zeros(4_000, np.float32)  # so that a far end that is early shows as well
    lag_ms = estimate_delay_ms(pcm, np.concatenate([padding, result.aligned(arm)])) - 250.0
    assert abs(lag_ms) <= 20.0
    assert len(result.aligned(arm)) == len(pcm)


def test_half_the_packets_lost_costs_few_events(pcm: Pcm, stream: EncodedStream) -> None:
    lost = sent = 0
    for seed in (1, 2, 3):
        settings = SimulationSettings(loss=0.5, seed=seed, arms=("phonemes",))
        figures = simulate(pcm, settings, stream=stream).report["phonemes"]
        assert figures["packets_lost"] > 0.3 * figures["packets_sent"]
        lost += figures["events_lost"]
        sent += figures["events_sent"]
    # The first seconds pass before the first report; a longer call does better.
    assert lost <= 0.08 * sent


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
    assert names >= {"near.wav", "far_phonemes.wav", "far_opus.wav", "report.json", "report.html"}
    for name in names - {"report.json"}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    reports = [json.loads((tmp_path / n / "report.json").read_text()) for n in ("one", "two")]
    for report in reports:
        for arm in ("phonemes", "opus"):
            for timed in ("rtf_encode", "rtf_decode"):
                assert report[arm].pop(timed) > 0
    assert reports[0] == reports[1]
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


def test_silence_costs_next_to_nothing(stream: EncodedStream) -> None:
    rng = np.random.default_rng(1)
    hush = (1e-4 * rng.standard_normal(6 * 16_000)).astype(np.float32)
    report = simulate(hush, SimulationSettings(loss=0.0)).report
    assert report["phonemes"]["payload_bps"] < 250
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
