"""Train every model: runs the stages one after the other within the given minutes.

Each stage is a module with the same options; what one writes into the cache the next one reads.
Preparing the data counts too, and what a stage takes longer the later ones get less. A stage that
finished is remembered in the run folder, so an interrupted run goes on where it was.

    python -m engine.training.all --data ../shared/speech --minutes 120 --install
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
MOST_THREADS = 4
LEAST_SHARE = 0.1  # of all minutes is for training, however long the preparation took
TRAINED = frozenset({"cache", "minutes", "device", "install", "threads"})


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    share: float
    """Part of the whole time, before those of skipped stages are handed round."""
    why: str
    takes: frozenset[str] = TRAINED
    """Which of the common options the stage has. Small networks that take one clip at a time are
    faster on one thread."""
    besides_s: float = 0.0
    """Loading and scoring on one core, which its ``--minutes`` do not count."""
    first: tuple[tuple[str, float], ...] = ()
    """Options that hold minutes of their own, and the part of the stage's time they may take."""
    module: str = ""
    """Of ``engine.training``, where it is not called as the stage is."""
    options: tuple[str, ...] = ()
    """What only this stage is told."""
    folder: str = ""
    """Where it writes, when that is another stage's."""

    @property
    def module_name(self) -> str:
        return f"engine.training.{self.module or self.name}"


STAGES = (
    Stage("ngram", 0.02, "phoneme language model", frozenset({"cache", "install"})),
    Stage("recognizer", 0.2, "speech → phonemes; most errors of the codec begin here",
          besides_s=25.0),
    Stage("recognizer_second", 0.11, "the other half of the recogniser", besides_s=25.0,
          module="recognizer", options=("--member", "1", "--sequence-from", "2")),
    Stage("align", 0.05, "when phonemes were spoken, and what the recogniser hears",
          frozenset({"cache", "minutes"}), besides_s=8.0),
    Stage("event_odds", 0.06, "how likely events are: the bits they cost",
          TRAINED - {"threads"}, besides_s=15.0),
    Stage("voice", 0.03, "d-vector → descriptor of at most 48 bytes"),
    Stage("codec", 0.33, "articulation codes and the synthesizer", besides_s=20.0,
          first=(("--judge-minutes", 0.1), ("--shape-minutes", 0.1))),
    Stage("tables", 0.03, "probability tables of the bitstream, codes too",
          frozenset({"cache", "minutes"}), besides_s=20.0),
    Stage("predicted", 0.02, "frames as the synthesizer predicts them, for the vocoder",
          frozenset({"cache", "minutes", "threads"}), besides_s=8.0, folder="vocoder"),
    Stage("vocoder", 0.15, "acoustic frames → sound", besides_s=10.0),
)  # fmt: skip


def split_minutes(minutes: float, stages: tuple[Stage, ...]) -> dict[str, float]:
    """How long each stage may take; the sum is ``minutes``."""
    total = sum(stage.share for stage in stages) or 1.0
    return {stage.name: minutes * stage.share / total for stage in stages}


def choose_device(wanted: str) -> str:
    """``auto`` is the GPU when torch sees one."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def default_threads() -> int:
    """Every core this process may use, but no more than small networks can share."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return min(len(cores) or os.cpu_count() or 1, MOST_THREADS)


def told_minutes(stage: Stage, minutes: float) -> list[str]:
    """The options about time of a stage that has ``minutes`` for everything it does."""
    for_training = max(minutes - stage.besides_s / 60, minutes / 4)
    told = []
    for option, share in stage.first:
        told += [option, f"{share * for_training:.2f}"]
    rest = for_training * (1 - sum(share for _, share in stage.first))
    return ["--minutes", f"{rest:.2f}", *told]


def command_of(stage: Stage, arguments: argparse.Namespace, minutes: float) -> list[str]:
    """The command line of one stage. One that cannot ``--install`` writes there by itself."""
    command = [sys.executable, "-m", stage.module_name, "--data", str(arguments.data)]
    command += stage.options
    if "cache" in stage.takes:
        command += ["--cache", str(arguments.cache)]
    if "minutes" in stage.takes:
        command += told_minutes(stage, minutes)
    if "device" in stage.takes:
        command += ["--device", arguments.device]
    if "threads" in stage.takes:
        command += ["--threads", str(arguments.threads)]
    if stage.name == "align":
        return command  # it writes into the cache
    if stage.folder or "install" in stage.takes or not arguments.install:
        command += ["--out", str(arguments.out / (stage.folder or stage.name))]
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
    parser.add_argument("--minutes", type=float, default=240.0, help="for everything")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=default_threads(), help="processor cores")
    parser.add_argument("--install", action="store_true", help="write assets/models")
    parser.add_argument("--stages", default="", help="only these, separated by commas")
    parser.add_argument("--again", action="store_true", help="forget what finished before")
    parser.add_argument("--dry-run", action="store_true", help="print the commands")
    parsed = parser.parse_args(arguments)
    if parsed.threads < 1:
        parser.error("--threads must be at least 1")
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
    ahead = [stage for stage in stages if done.get(stage.name, -1.0) < shares[stage.name]]
    for stage in stages:
        if stage not in ahead:
            print(f"{stage.name}: finished before ({done[stage.name]:.1f} min); --again repeats it")
    began = time.monotonic()
    total = sum(shares[stage.name] for stage in ahead)
    if ahead and not parsed.dry_run:
        print("datasets: features of every clip, kept in the cache", flush=True)
        prepare(parsed.data, parsed.cache, parsed.threads)
    for n, stage in enumerate(ahead):
        spent = (time.monotonic() - began) / 60
        left = max(total - spent, LEAST_SHARE * sum(shares[s.name] for s in ahead[n:]))
        minutes = split_minutes(left, tuple(ahead[n:]))[stage.name]
        command = command_of(stage, parsed, minutes)
        print(f"{stage.name} ({minutes:.1f} min on {parsed.device}): {stage.why}")
        print("  " + " ".join(command), flush=True)
        if parsed.dry_run:
            total -= minutes
            continue
        if importlib.util.find_spec(stage.module_name) is None:
            print(f"{stage.name}: this installation has no such stage")
            return 1
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            print(f"{stage.name} failed with exit code {code}; run again to go on from here.")
            return 1
        took = (time.monotonic() - began) / 60 - spent
        print(f"{stage.name}: done in {took:.1f} min", flush=True)
        done[stage.name] = shares[stage.name]
        _write_progress(progress, done)
    print(f"all done in {(time.monotonic() - began) / 60:.1f} min")
    return 0


if __name__ == "__main__":
    sys.exit(main())
