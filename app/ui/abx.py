"""A blind ABX session: X is A or B, chosen by chance, and the listener says which.

Plain values and arithmetic; the dialog in ``abx_dialog`` plays the arms. The p-value is the exact
one-sided binomial: how likely so many right answers are for somebody who only guesses.
"""

from __future__ import annotations

import json
import math
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from app.stats import Arm

Label = Literal["A", "B"]
MAX_TRIALS: Final = 100


def binomial_p(correct: int, trials: int) -> float:
    """P(at least ``correct`` of ``trials`` by tossing a coin). Raises ValueError outside 0 ... n."""
    if not 0 <= correct <= trials:
        raise ValueError(f"correct must be between 0 and {trials}, not {correct}")
    return sum(math.comb(trials, k) for k in range(correct, trials + 1)) / 2**trials


@dataclass(slots=True)
class AbxSession:
    """``trials`` questions with a fixed hidden order."""

    trials: int
    order: tuple[Label, ...]
    """What X is in each trial."""
    arms: dict[Label, Arm]
    answers: list[Label] = field(default_factory=list)

    @classmethod
    def start(cls, trials: int, dice: random.Random) -> AbxSession:
        """Draw which arm is A, and what X is in each trial."""
        trials = min(MAX_TRIALS, max(1, trials))
        labels: tuple[Label, Label] = ("A", "B")
        order = tuple(dice.choice(labels) for _ in range(trials))
        first: Arm = dice.choice(("phonemes", "opus"))
        second: Arm = "opus" if first == "phonemes" else "phonemes"
        return cls(trials, order, {"A": first, "B": second})

    @property
    def finished(self) -> bool:
        return len(self.answers) >= self.trials

    @property
    def correct(self) -> int:
        return sum(given == real for given, real in zip(self.answers, self.order, strict=False))

    @property
    def p_value(self) -> float:
        return binomial_p(self.correct, len(self.answers))

    def arm_of(self, label: str) -> Arm:
        """The arm behind 'A', 'B' or, in the present trial, 'X'."""
        if label == "A":
            return self.arms["A"]
        if label == "B":
            return self.arms["B"]
        return self.arms[self.order[min(len(self.answers), self.trials - 1)]]

    def answer(self, label: Label) -> None:
        """Say what X was; ignored once all trials are answered."""
        if not self.finished:
            self.answers.append(label)

    def to_mapping(self) -> dict[str, object]:
        """What is saved: every trial, and the figures over them."""
        return {
            "test": "ABX",
            "A": self.arms["A"],
            "B": self.arms["B"],
            "x": list(self.order[: len(self.answers)]),
            "answers": list(self.answers),
            "trials": len(self.answers),
            "correct": self.correct,
            "p_value": self.p_value,
        }

    def save(self, folder: Path, stamp: str) -> Path:
        """Write ``abx-STAMP.json`` into ``folder`` through a temporary name. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"abx-{stamp}.json"
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(json.dumps(self.to_mapping(), indent=2) + "\n", encoding="utf-8")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return path
