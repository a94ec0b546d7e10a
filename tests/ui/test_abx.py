"""The arithmetic of a blind test, and what is kept of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.ui.abx import AbxSession, binomial_p
from app.ui.abx_dialog import AbxDialog
from tests.app.calls import make_call


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


def test_chance_decides_which_arm_is_a_and_what_x_is() -> None:
    sessions = [AbxSession.start(1, random.Random(seed)) for seed in range(40)]
    hidden = {(session.arms["A"], session.order[0]) for session in sessions}
    assert len(hidden) == 4
    assert all(session.arm_of("A") != session.arm_of("B") for session in sessions)


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


def test_a_result_that_cannot_be_saved_is_still_shown(qtbot: QtBot, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    call = make_call("Ada", np.zeros(160, np.float32), tmp_path)
    before = call.stats().arm
    dialog = AbxDialog(call, blocked, dice=random.Random(5))
    qtbot.addWidget(dialog)
    dialog.count.setValue(5)
    dialog.start()
    assert dialog.session is not None
    for real in dialog.session.order:
        dialog.answer(real)
    assert "5" in dialog._figure.text()
    qtbot.waitUntil(lambda: "cannot be saved" in dialog._where.text(), timeout=5000)
    assert call.stats().arm == before  # what was heard before is heard again
    call.close()
