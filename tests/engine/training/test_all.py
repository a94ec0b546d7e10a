"""The training driver: shares, commands, and going on where an interrupted run was."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.training import all as driver


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "manifest.tsv").write_text("id\n")
    return tmp_path


def options(data: Path, *more: str) -> list[str]:
    out, cache = str(data / "out"), str(data / "cache")
    return ["--data", str(data), "--out", out, "--cache", cache, "--device", "cpu", *more]


def test_the_stages_share_all_the_minutes() -> None:
    shares = driver.split_minutes(100.0, driver.STAGES)
    assert sum(shares.values()) == pytest.approx(100.0)
    assert max(shares, key=shares.__getitem__) == "codec"
    only = driver.split_minutes(10.0, driver.chosen_stages("vocoder"))
    assert only == {"vocoder": 10.0}


def test_an_unknown_stage_is_named() -> None:
    with pytest.raises(SystemExit, match="no stage cooking; there are"):
        driver.chosen_stages("vocoder,cooking")


def test_data_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        driver.parse(["--data", str(tmp_path)])
    assert caught.value.code == 2


def test_an_interrupted_run_goes_on_where_it_was(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    fail_at = {"voice"}

    def pretend(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        stage = command[2].rsplit(".", 1)[1]
        ran.append(stage)
        return subprocess.CompletedProcess(command, int(stage in fail_at))

    monkeypatch.setattr(driver.subprocess, "run", pretend)
    monkeypatch.setattr(driver, "prepare", lambda data, cache, workers: None)
    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: True)
    names = [stage.module_name.rsplit(".", 1)[1] for stage in driver.STAGES]
    assert driver.main(options(data, "--minutes", "10")) == 1
    stopped = names.index("voice") + 1
    assert ran == names[:stopped]
    fail_at.clear()
    ran.clear()
    assert driver.main(options(data, "--minutes", "10")) == 0
    assert ran == names[stopped - 1 :]
    ran.clear()
    assert driver.main(options(data, "--minutes", "10")) == 0
    assert ran == []
    assert driver.main(options(data, "--minutes", "20")) == 0
    assert ran == names  # more time: on with all of them


def test_what_one_takes_longer_the_others_get_less(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, told = [0.0], {}
    slow = {"prepare": 300.0, "recognizer": 600.0}
    besides_s = {stage.name: stage.besides_s for stage in driver.STAGES}
    names = iter(besides_s)

    def pretend(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        stage = next(names)
        minutes = {o: float(command[command.index(o) + 1]) for o in command if "minutes" in o}
        told[stage] = sum(minutes.values())
        now_s[0] += slow.get(stage, 60 * told[stage] + besides_s[stage])
        return subprocess.CompletedProcess(command, 0)

    def prepare(data: Path, cache: Path, workers: int) -> None:
        now_s[0] += slow["prepare"]

    monkeypatch.setattr(driver.subprocess, "run", pretend)
    monkeypatch.setattr(driver.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(driver, "prepare", prepare)
    assert driver.main(options(data, "--minutes", "25")) == 0
    assert 0.9 * 25 < now_s[0] / 60 <= 25.01
    usual = driver.split_minutes(25.0, driver.STAGES)
    assert 0 < told["vocoder"] < 0.8 * usual["vocoder"]


def test_a_preparation_that_ate_all_the_time_leaves_a_little_to_train(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, told = [0.0], []

    def pretend(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        told.append(command)
        return subprocess.CompletedProcess(command, 0)

    def prepare(data: Path, cache: Path, workers: int) -> None:
        now_s[0] = 3600.0

    monkeypatch.setattr(driver.subprocess, "run", pretend)
    monkeypatch.setattr(driver.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(driver, "prepare", prepare)
    assert driver.main(options(data, "--minutes", "10")) == 0
    minutes = [float(c[c.index("--minutes") + 1]) for c in told if "--minutes" in c]
    assert all(m > 0 for m in minutes) and sum(minutes) < 10


def test_minutes_before_training_are_part_of_a_stages_time() -> None:
    codec = next(stage for stage in driver.STAGES if stage.name == "codec")
    told = driver.told_minutes(codec, 10.0)
    spent = sum(float(value) for value in told[1::2])
    assert {"--minutes", "--judge-minutes", "--shape-minutes"} == set(told[::2])
    assert spent + codec.besides_s / 60 == pytest.approx(10.0, abs=0.02)


def test_the_command_passes_everything_on(data: Path) -> None:
    by_name = {stage.name: stage for stage in driver.STAGES}
    parsed = driver.parse(options(data, "--install"))
    command = driver.command_of(by_name["codec"], parsed, 3.0)
    assert command[1:3] == ["-m", "engine.training.codec"]
    assert command[-1] == "--install"
    assert str(data / "out" / "codec") in command
    assert "--out" not in driver.command_of(by_name["tables"], parsed, 0.0)


def test_both_networks_of_the_recogniser_are_trained_apart(data: Path) -> None:
    parsed = driver.parse(options(data, "--install"))
    first, second = (
        driver.command_of(stage, parsed, 3.0)
        for stage in driver.chosen_stages("recognizer,recognizer_second")
    )
    assert first[2] == second[2] == "engine.training.recognizer"
    assert "--member" not in first and second[second.index("--member") + 1] == "1"
    assert first[first.index("--out") + 1] != second[second.index("--out") + 1]


@pytest.mark.parametrize("stage", driver.STAGES, ids=lambda stage: stage.name)
def test_every_stage_is_there_and_takes_what_it_is_given(stage: driver.Stage, data: Path) -> None:
    command = driver.command_of(stage, driver.parse(options(data, "--install")), 1.0)
    name = stage.module_name.rsplit(".", 1)[1]
    source = (Path(driver.__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    for option in (word for word in command if word.startswith("--")):
        assert f'"{option}"' in source
