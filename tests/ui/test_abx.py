"""The arithmetic of a blind test, and what is kept of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from app.ui.abx import AbxSession, binomial_p


@pytest.mark.parametrize(
    ("correct", "trials", "p_value"),
    [
        (0, 0, 1.0),
        (0, 10, 1.0),
        (5, 10, 638 / 1024),
        (9, 10, 11 / 1024),
        (12, 16, 2517 / 65536),
        (100, 100, 2.0**-100),
    ],
)
def test_the_p_value_is_the_exact_binomial_tail(correct: int, trials: int, p_value: float) -> None:
    assert binomial_p(correct, trials) == pytest.approx(p_value, rel=1e-12)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="between"):
        binomial_p(11, 10)


def test_the_same_dice_give_the_same_session_and_x_is_always_a_or_b() -> None:
    one = AbxSession.start(20, random.Random(7))
    assert one == AbxSession.start(20, random.Random(7))
    assert set(one.order) == {"A", "B"}
    assert sorted(one.arms.values()) == ["opus", "phonemes"]
    for real in one.order:
        assert one.arm_of("X") == one.arms[real]
        one.answer(real)
    assert one.finished
    assert one.correct == 20
    one.answer("A")
    assert len(one.answers) == 20


def test_the_result_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    session = AbxSession.start(4, random.Random(1))
    for _trial in range(4):
        session.answer("A")
    path = session.save(tmp_path / "new", "20300101-120000")
    saved = json.loads(path.read_text())
    assert saved["trials"] == 4
    assert saved["p_value"] == binomial_p(saved["correct"], 4)
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        session.save(tmp_path / "file", "x")
