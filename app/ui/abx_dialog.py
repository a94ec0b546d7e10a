"""The window of a blind ABX test: hear A, B and X, say what X is, see the p-value."""

from __future__ import annotations

import random
import time
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QSpinBox, QStackedWidget, QVBoxLayout, QWidget

from app.call_controls import CallControls
from app.stats import CallStats
from app.ui.abx import MAX_TRIALS, AbxSession, Label
from app.ui.buttons import IconButton, Segments
from app.ui.form import FormPage
from app.ui.tasks import DISK
from app.ui.theme import theme
from app.ui.turns import Turns
from app.ui.view_models import arm_name, tr
from app.ui.widgets import label, row, set_text

DEFAULT_TRIALS = 12


class AbxDialog(QDialog):
    """Lies beside the call; the call page hides everything that would tell the arms apart."""

    saved = Signal(str)
    _kept = Signal(str, str)
    """Where the result lies, or why it is nowhere. From the thread of the disk."""

    def __init__(
        self,
        call: CallControls,
        folder: Path,
        parent: QWidget | None = None,
        dice: random.Random | None = None,
    ) -> None:
        """``dice`` orders the trials; the system's own randomness where none is given."""
        super().__init__(parent)
        self._call, self._folder = call, folder
        self._dice = dice or random.SystemRandom()
        self._before = call.stats().arm
        self.session: AbxSession | None = None
        self._kept.connect(self._tell_where)
        theme().dress(self)
        self.setWindowTitle(tr("Blind test"))
        self.setMinimumSize(440, 260)  # the longest words of any language, wrapped
        self._pages = QStackedWidget()
        self._pages.addWidget(self._intro())
        # the others in turns of their own: a call is going on
        later = (self._trial, self._result)
        self._making = Turns(self, (self._pages.addWidget(make()) for make in later))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.addWidget(self._pages)
        for key in ("A", "B", "X"):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.activated.connect(lambda key=key: self.hear(key))

    def _intro(self) -> QWidget:
        self.count = QSpinBox()
        self.count.setRange(4, MAX_TRIALS)
        self.count.setValue(DEFAULT_TRIALS)
        self.count.setAlignment(Qt.AlignmentFlag.AlignCenter)  # Qt forgets the padding on the left
        self.count.setAccessibleName(tr("Number of trials"))
        self.begin = IconButton(tr("Begin"), "play", "primary")
        self.begin.clicked.connect(self.start)
        words = label(
            tr(
                "A is one arm, B the other, and X is one of the two. Listen as often as you like, "
                "then say which one X is. The call goes on meanwhile."
            ),
            "muted",
            wrap=True,
        )
        return FormPage(
            label(tr("Can you tell them apart?"), "title"),
            words,
            row(label(tr("Trials")), self.count, None),
            row(None, self.begin),
        )

    def _trial(self) -> QWidget:
        self._progress = label("", "title")
        self.ears = Segments([(key, key) for key in ("A", "X", "B")], tr("Hear"))
        for button in self.ears.buttons.values():
            button.setMinimumHeight(48)
        self.ears.chosen.connect(self.hear)
        self.answers: dict[Label, IconButton] = {}
        choices: list[QWidget] = []
        labels: tuple[Label, Label] = ("A", "B")
        for key in labels:
            button = IconButton(tr("X is {0}").format(key), "check", "primary")
            button.clicked.connect(lambda _checked=False, key=key: self.answer(key))
            self.answers[key] = button
            choices.append(button)
        return FormPage(
            self._progress,
            label(tr("Hear (keys A, X, B)"), "small"),
            self.ears,
            row(*choices, spacing=12),
        )

    def _result(self) -> QWidget:
        self._figure = label("", "display")
        self._words = label("", wrap=True)
        self._where = label("", "small", wrap=True)
        close = IconButton(tr("Close"), "check", "primary")
        close.clicked.connect(self.accept)
        return FormPage(self._figure, self._words, self._where, row(None, close))

    def start(self) -> None:
        self._making.finish()
        self._call.set_aligned(True)
        self.session = AbxSession.start(self.count.value(), self._dice)
        self._pages.setCurrentIndex(1)
        self._next()

    def _next(self) -> None:
        session = self.session
        if session is None:
            return
        number = len(session.answers) + 1
        set_text(self._progress, tr("Trial {0} of {1}").format(number, session.trials))
        self.hear("X")
        self.ears.buttons["X"].setFocus()

    def hear(self, label_name: str) -> None:
        """Listen to A, B or X."""
        if self.session is None or self.session.finished:
            return
        self.ears.choose(label_name)
        self._call.set_arm(self.session.arm_of(label_name))

    def answer(self, choice: Label) -> None:
        if self.session is None or self.session.finished:
            return
        self.session.answer(choice)
        if self.session.finished:
            self._finish(self.session)
        else:
            self._next()

    def _finish(self, session: AbxSession) -> None:
        self._give_back()
        set_text(self._figure, tr("{0} of {1}").format(session.correct, session.trials))
        sure = session.p_value < 0.05
        verdict = tr("You hear a difference.") if sure else tr("This may be guessing.")
        set_text(
            self._words,
            tr("p = {0} (exact binomial test). {1} A was {2}, B was {3}.").format(
                f"{session.p_value:.3g}",
                verdict,
                arm_name(session.arms["A"]),
                arm_name(session.arms["B"]),
            ),
        )
        stats = self._call.stats()
        folder = Path(stats.recording_path) if stats.recording_path else self._folder
        if stats.recording_path and not folder.is_dir():
            folder = folder.parent
        DISK.submit(self._keep, session, folder, time.strftime("%Y%m%d-%H%M%S"))
        self._pages.setCurrentIndex(2)

    def _keep(self, session: AbxSession, folder: Path, stamp: str) -> None:
        try:
            self._kept.emit(str(session.save(folder, stamp)), "")
        except OSError as error:
            self._kept.emit("", error.strerror or str(error))

    def _tell_where(self, path: str, reason: str) -> None:
        if path:
            set_text(self._where, tr("Saved as {0}").format(path))
            self.saved.emit(path)
        else:
            words = tr("The result cannot be saved ({0}): choose another folder for recordings.")
            set_text(self._where, words.format(reason))
        self._make_room()

    def _make_room(self) -> None:
        """A path may wrap: windows do not grow by themselves for text that came later."""
        lacking = self._where.heightForWidth(self._where.width()) - self._where.height()
        if lacking > 0:
            self.resize(self.width(), self.height() + lacking)

    def show_stats(self, stats: CallStats) -> None:
        """Somebody else's hand on the arm is put right: a blind test stays blind."""
        session = self.session
        if session is not None and not session.finished and self.ears.current():
            wanted = session.arm_of(self.ears.current())
            if stats.arm != wanted:
                self._call.set_arm(wanted)

    def done(self, result: int) -> None:
        self._give_back()
        super().done(result)

    def _give_back(self) -> None:
        """The call as it was before the test."""
        self._call.set_aligned(False)
        self._call.set_arm(self._before)
