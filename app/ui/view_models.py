"""Words and judgements for what a call measures: plain functions, no widgets.

Every number that the window paints also passes here as text, so that a screen reader gets the
same figures. Names from the network are cleaned here before any widget sees them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QCoreApplication, QLocale

from app.call_state import CallState
from app.settings import clean_name
from app.stats import CallStats

Light = Literal["good", "warn", "danger", "muted"]
BUSY_MS: Final = 1500.0  # no idle computer takes so long to recognise a phoneme
LATE_MS: Final = 1500.0  # people begin to talk into each other
MIN_BPS: Final = 10.0  # what the logarithmic scale shows as nothing


def tr(text: str) -> str:
    """``text`` in the user's language; ``lupdate`` collects it where it is a literal."""
    return QCoreApplication.translate("", text)


def display_name(name: str) -> str:
    """A peer's name that is safe to show; never empty."""
    return clean_name(name) or tr("Unnamed")


def initials(name: str) -> str:
    """One or two letters for the round picture beside a name."""
    words = [word for word in clean_name(name).split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def rate_text(rate_bps: float) -> str:
    """``0 bit/s``, ``412 bit/s``, ``6.3 kbit/s``."""
    if rate_bps < 1000.0:
        return tr("{0} bit/s").format(round(rate_bps))
    return tr("{0} kbit/s").format(QLocale().toString(rate_bps / 1000.0, "f", 1))


def percent_text(share: float | None) -> str:
    """A share 0 ... 1 in per cent; a dash where nothing was measured."""
    return "–" if share is None else f"{share * 100.0:.0f} %"


def ms_text(value_ms: float | None) -> str:
    return "–" if value_ms is None else tr("{0} ms").format(round(value_ms))


def duration_text(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def level_text(level_dbfs: float) -> str:
    if level_dbfs <= -90.0:
        return tr("silent")
    return tr("{0} dB").format(str(round(level_dbfs)).replace("-", "−"))


def arm_name(arm: str) -> str:
    return tr("Opus") if arm == "opus" else tr("Phonemes")


def state_text(state: CallState) -> str:
    return {
        CallState.IDLE: tr("Ready"),
        CallState.INVITING: tr("Waiting for an answer"),
        CallState.CONNECTING: tr("Connecting …"),
        CallState.VERIFYING: tr("Greeting the other side …"),
        CallState.ACTIVE: tr("In a call"),
        CallState.RECONNECTING: tr("Link lost, reconnecting …"),
        CallState.ENDED: tr("Call ended"),
    }[state]


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality light: one word, and the reason for it."""

    light: Light
    word: str
    reason: str


def judge(stats: CallStats, blind: bool = False) -> Quality:
    """What the quality light says of the arm being heard; in a blind test it must not."""
    if stats.state is CallState.RECONNECTING:
        return Quality("danger", tr("Lost"), tr("The link is gone; it is being made again."))
    if stats.state is not CallState.ACTIVE:
        return Quality("muted", tr("No call"), state_text(stats.state))
    if blind:
        return Quality("muted", tr("Details"), tr("A blind test is on."))
    understood = stats.intelligibility.get(stats.arm)
    if understood is None and not stats.events_received:
        return Quality("muted", tr("Quiet"), tr("They have said nothing yet."))
    delay_ms = stats.mouth_to_ear_ms
    loss = stats.loss.get(stats.arm, 0.0)
    if understood is not None and understood < 0.5:
        return Quality("danger", tr("Poor"), tr("Less than half of what is said is understood."))
    if stats.arm == "phonemes" and stats.delay_stages_ms.get("recognise", 0.0) > BUSY_MS:
        return Quality("danger", tr("Poor"), tr("Their computer is too busy to recognise speech."))
    if delay_ms > LATE_MS:
        return Quality("danger", tr("Poor"), tr("Words arrive so late that talking is hard."))
    if understood is not None and understood < 0.75:
        return Quality("warn", tr("Fair"), tr("Some words are hard to understand."))
    if delay_ms > 600.0:
        return Quality("warn", tr("Fair"), tr("Words arrive late."))
    if understood is None and loss > 0.1 and stats.arm == "opus":
        return Quality("warn", tr("Fair"), tr("Many packets are lost."))
    return Quality("good", tr("Good"), tr("Words arrive well."))


def badge_text(stats: CallStats, blind: bool) -> str:
    """The badge over the call; empty only while nothing synthetic can be heard."""
    if blind:
        return tr("Synthetic voice may be heard")
    return tr("Synthetic voice") if stats.synthetic or stats.arm == "phonemes" else ""
