"""Every text of the window can be translated, and is, in each language that ships."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from app.call_switches import impairment_words
from app.call_words import version_notice
from app.settings import Settings
from app.stats import CallStats
from app.ui import translations
from app.ui.abx_dialog import AbxDialog
from app.ui.outside_words import TEMPLATES, in_user_language
from app.ui.settings_dialog import SettingsDialog
from app.ui.setup_wizard import SetupWizard
from app.ui.voice_lab import VoiceLab
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow
from transport.impair import PRESETS

UI = Path(translations.__file__).parent
ROOT = UI.parents[1]
FILES = sorted(translations.FOLDER.glob("*.ts"))
PLACEHOLDER = re.compile(r"\{\d\}")


@pytest.fixture
def in_english(qapp: QApplication) -> Iterator[QApplication]:
    """Back to English afterwards."""
    yield qapp
    translations.install(qapp, "en")


def texts(path: Path) -> dict[tuple[str, str], str]:
    """(context, source) → translation; what is unfinished is empty."""
    found = {}
    for context in ElementTree.parse(path).getroot().iter("context"):
        for message in context.iter("message"):
            translation = message.find("translation")
            assert translation is not None
            key = (context.findtext("name", ""), message.findtext("source", ""))
            found[key] = (translation.text or "") if not translation.get("type") else ""
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_text_is_translated_and_keeps_its_placeholders(path: Path) -> None:
    found = texts(path)
    assert len(found) > 250
    assert [source for source, text in found.items() if not text.strip()] == []
    for (_context, source), text in found.items():
        assert Counter(PLACEHOLDER.findall(source)) == Counter(PLACEHOLDER.findall(text)), text
        assert source.endswith("…") == text.endswith("…"), text
        assert source.strip()[-1:] not in ".?:" or text.strip()[-1:] in ".?:", text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_hold_what_the_sources_say(path: Path, tmp_path: Path) -> None:
    """After a change of a text: ``make translations``, and translate what is new."""
    lupdate = Path(sys.executable).with_name("pyside6-lupdate")
    if not lupdate.exists():
        pytest.skip("PySide6 came without lupdate")
    fresh = tmp_path / path.name
    shutil.copy(path, fresh)
    sources = [str(source) for source in sorted(UI.glob("*.py"))]
    command = [str(lupdate), "-silent", "-no-obsolete", "-locations", "none"]
    subprocess.run([*command, *sources, "-ts", str(fresh)], check=True, timeout=60, cwd=ROOT)
    assert texts(fresh) == texts(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_compiled_file_is_that_of_the_texts(path: Path, in_english: QApplication) -> None:
    translator = QTranslator()
    assert translator.load(str(path.with_suffix(".qm")))
    for (context, source), text in texts(path).items():
        assert translator.translate(context, source) == text


class Marking(QTranslator):
    """Puts every translated text in brackets."""

    def isEmpty(self) -> bool:
        return False

    def translate(self, context: str, source: str, comment: str = "", n: int = -1) -> str:
        return f"⟦{source}⟧"


OUR_OWN = {"Ada", "Bo", "Space", "Sottovoce", "A", "B", "X", "?", "wss://"}


def shown(widget: QWidget) -> Iterator[str]:
    """Every text a person or a screen reader gets from ``widget`` itself."""
    yield widget.toolTip()
    yield widget.accessibleName()
    yield widget.accessibleDescription()
    yield widget.windowTitle()
    if isinstance(widget, QLabel | QAbstractButton):
        yield widget.text()
    if isinstance(widget, QLineEdit | QPlainTextEdit):
        yield widget.placeholderText()
    if isinstance(widget, QComboBox):
        yield from (widget.itemText(place) for place in range(widget.count()))


def untranslated(parent: QWidget) -> set[str]:
    found = set()
    for widget in (parent, *parent.findChildren(QWidget)):
        for text in shown(widget):
            rest, inner = "", text
            while rest != inner:  # a text may stand in another one
                rest, inner = inner, re.sub(r"⟦[^⟦⟧]*⟧", "", inner).strip()
            letters = re.search(r"[^\W\d_]{2,}", rest)
            if letters and rest not in OUR_OWN:
                found.add(f"{type(widget).__name__}: {text}")
    return found


def test_a_word_between_translated_ones_does_not_escape(qapp: QApplication) -> None:
    told = QLabel("⟦Phonemes⟧ wire ⟦{0} bit/s⟧")
    assert untranslated(told)
    told.setText("⟦Loss ⟦Opus⟧ 3⟧ 12 %")
    assert not untranslated(told)


def test_no_text_of_any_window_escapes_translation(
    make_window: MakeWindow, in_english: QApplication, tmp_path: Path
) -> None:
    marking = Marking(in_english)
    QCoreApplication.installTranslator(marking)
    try:
        window = make_window(recent_peers=("Bo",))
        window.page.header.show_stats(CallStats(peer_name="Bo"), False)
        window.page.bar.show_stats(CallStats(), "Space")
        window.page.details.show_stats(CallStats(), False)
        for card in window.page.meters.cards:
            card.show_stats(CallStats())
        window.ended.show_stats(CallStats(peer_name="Bo", seconds=5.0, events_received=4))
        call = make_call("Ada", [], tmp_path)  # type: ignore[arg-type]
        settings = SettingsDialog(Settings(), window)
        settings.complete()
        settings.language.clear()  # each language says its own name
        settings.recordings.setPlaceholderText("")  # a path
        settings.stun.setAccessibleDescription("")  # an example of an address
        settings.turn.setAccessibleDescription("")
        for hint in settings.findChildren(QLabel):
            hint.setText(re.sub(r" (stun|turn):\S+$", "", hint.text()))
        wizard = SetupWizard(Settings(), window)
        dialogs = [settings, wizard, VoiceLab("", window), AbxDialog(call, tmp_path, window)]
        assert [text for part in (window, *dialogs) for text in untranslated(part)] == []
        for dialog in dialogs:
            dialog.reject()
        call.close()
    finally:
        QCoreApplication.removeTranslator(marking)


def test_sentences_from_below_come_in_the_users_language(in_english: QApplication) -> None:
    english = version_notice("Bo", 9)
    assert in_user_language(english) == english
    translations.install(in_english, "de")
    assert in_user_language(english).startswith("Bo spricht Version 9")
    assert "dieses hier" in in_user_language(english)
    assert in_user_language("What nobody foresaw.") == "What nobody foresaw."
    two = (
        "The sound device 'A. B' cannot be opened (gone): choose another one. "
        "The sound device 'C' cannot be opened (gone): choose another one."
    )
    assert in_user_language(two).count("Tongerät") == 2
    for settings in PRESETS.values():
        assert not re.search("loss|bursts", in_user_language(impairment_words(settings)))
    assert len(in_user_language("x" * 100_000)) == 100_000


def literals(path: Path) -> Iterator[str]:
    """The sentences of a source file, as templates: each value put in becomes ``{}``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_sentences_from_below_are_those_that_are_written_there() -> None:
    """A sentence that was changed below the window must be changed in its list too."""
    files = [*ROOT.glob("app/*.py"), *ROOT.glob("transport/*.py"), *ROOT.glob("engine/*.py")]
    written = {re.sub(r"\s+", " ", text) for path in files for text in literals(path)}
    joined = "\n".join(written)
    for template in TEMPLATES:
        if not template.endswith("."):
            continue  # of the link model, which is checked by its presets
        plain = PLACEHOLDER.sub("{}", template)
        pieces = [piece.strip() for piece in plain.split("{}") if len(piece.strip()) > 8]
        known = plain in written or all(
            piece in joined
            or piece.replace("the other side", "{}").replace("this one", "{}") in joined
            for piece in pieces
        )
        assert known, template
    told = [
        part.value
        for node in ast.walk(ast.parse((ROOT / "transport" / "invite.py").read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("InviteError", "_Refusal")
        for part in ast.walk(node)
        if isinstance(part, ast.Constant)
    ]
    assert len(told) >= 12
    assert [text for text in told if text not in TEMPLATES] == []


def test_the_language_follows_the_system_or_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert next(iter(translations.languages())) == "en"
    assert translations.languages()["de"] == "Deutsch"
    assert translations.choose("de") == "de"
    assert translations.choose("tlh") == "en"

    class System:
        @staticmethod
        def uiLanguages() -> list[str]:
            return ["fr-CH", "de-CH", "en"]

    monkeypatch.setattr(translations.QLocale, "system", System)
    assert translations.choose("") == "de"
