"""Train every model from scratch: runs the stages one after the other and splits the time.

Each stage is a module with the same options; what one writes into the cache the next one reads.
A stage that finished is remembered in the run folder, so an interrupted run goes on where it was.

    python -m engine.training.all --data ../shared/speech --minutes 240 --install
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from engine.training.datasets import prepare

SHORTEST_MINUTES = 5.0  # below this the stages only pass through


TRAINED = frozenset({"cache", "minutes", "device", "install"})


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    share: float
    """Part of the whole time, before those of skipped stages are handed round."""
    why: str
    takes: frozenset[str] = TRAINED
    """Which of the common options the stage has; those that only count need no minutes."""


STAGES = (
    Stage("ngram", 0.0, "phoneme language model", frozenset({"install"})),
    Stage("recognizer", 0.33, "speech → phonemes; most errors of the codec begin here"),
    Stage("event_odds", 0.06, "how likely events are: the bits they cost"),
    Stage("voice", 0.05, "d-vector → descriptor of at most 48 bytes"),
    Stage("codec", 0.35, "articulation codes and the synthesizer"),
    Stage("tables", 0.0, "probability tables of the bitstream, codes too", frozenset({"cache"})),
    Stage("vocoder", 0.21, "acoustic frames → sound"),
)


def split_minutes(minutes: float, stages: tuple[Stage, ...]) -> dict[str, float]:
    """How long each stage may train; the sum is ``minutes``."""
    total = sum(stage.share for stage in stages) or 1.0
    return {stage.name: minutes * stage.share / total for stage in stages}


def choose_device(wanted: str) -> str:
    """``auto`` is the GPU when torch sees one."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def command_of(stage: Stage, arguments: argparse.Namespace, minutes: float) -> list[str]:
    """The command line of one stage. One that cannot ``--install`` writes there by itself."""
    command = [sys.executable, "-m", f"engine.training.{stage.name}", "--data", str(arguments.data)]
    if "cache" in stage.takes:
        command += ["--cache", str(arguments.cache)]
    if "minutes" in stage.takes:
        command += ["--minutes", f"{minutes:.2f}"]
    if "device" in stage.takes:
        command += ["--device", arguments.device]
    if "install" in stage.takes or not arguments.install:
        command += ["--out", str(arguments.out / stage.name)]
    if "install" in stage.takes and arguments.install:
        command.append("--install")
    return command


def _read_progress(path: Path) -> dict[str, float]:
    try:
        done = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return {k: float(v) for k, v in done.items()} if isinstance(done, dict) else {}


def _write_progress(path: Path, done: dict[str, float]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(done, indent=1) + "\n")
    os.replace(partial, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train every model of Sottovoce.",
        epilog="stages: " + "; ".join(f"{s.name}: {s.why}" for s in STAGES),
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--cache", type=Path, default=Path(".cache/training"))
    parser.add_argument("--out", type=Path, default=Path("runs/training"))
    parser.add_argument("--minutes", type=float, default=240.0, help="for all stages together")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--install", action="store_true", help="write assets/models")
    parser.add_argument("--stages", default="", help="only these, separated by commas")
    parser.add_argument("--again", action="store_true", help="forget what finished before")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    parsed = parser.parse_args(arguments)
    if not parsed.minutes > 0:
        parser.error("--minutes must be positive")
    if not (parsed.data / "manifest.tsv").is_file():
        parser.error(f"{parsed.data} has no manifest.tsv: name the folder of the speech data")
    return parsed


def chosen_stages(names: str) -> tuple[Stage, ...]:
    """The stages named in ``names`` (all when empty), in the order they run."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {stage.name for stage in STAGES}
    if unknown:
        listed = ", ".join(stage.name for stage in STAGES)
        raise SystemExit(f"no stage {', '.join(sorted(unknown))}; there are: {listed}")
    return tuple(stage for stage in STAGES if not wanted or stage.name in wanted)


def main(arguments: list[str] | None = None) -> int:
    parsed = parse(arguments)
    stages = chosen_stages(parsed.stages)
    parsed.device = choose_device(parsed.device)
    parsed.out.mkdir(parents=True, exist_ok=True)
    parsed.cache.mkdir(parents=True, exist_ok=True)
    progress = parsed.out / "finished.json"
    done = {} if parsed.again else _read_progress(progress)
    if parsed.minutes < SHORTEST_MINUTES:
        print(f"{parsed.minutes:g} minutes only pass through the stages: expect noise.")
    shares = split_minutes(parsed.minutes, stages)
    if not parsed.dry_run:
        print("datasets: features of every clip, kept in the cache", flush=True)
        prepare(parsed.data, parsed.cache)
    for stage in stages:
        command = command_of(stage, parsed, shares[stage.name])
        if stage.name in done and done[stage.name] >= shares[stage.name]:
            print(f"{stage.name}: finished before ({done[stage.name]:.1f} min); --again repeats it")
            continue
        if importlib.util.find_spec(f"engine.training.{stage.name}") is None:
            print(f"{stage.name}: this installation has no such stage")
            return 1
        print(f"{stage.name} ({shares[stage.name]:.1f} min on {parsed.device}): {stage.why}")
        print("  " + " ".join(command), flush=True)
        if parsed.dry_run:
            continue
        began = time.monotonic()
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            print(f"{stage.name} failed with exit code {code}; run again to go on from here.")
            return 1
        print(f"{stage.name}: done in {(time.monotonic() - began) / 60:.1f} min", flush=True)
        done[stage.name] = shares[stage.name]
        _write_progress(progress, done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
