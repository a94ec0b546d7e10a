"""The window's languages: files of Qt's Linguist in ``assets/translations``.

English is the source and needs no file. ``make translations`` collects the texts of ``app/ui``
into the ``.ts`` files, which translators edit, and compiles them to the ``.qm`` files read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

FOLDER: Final = Path(__file__).resolve().parents[2] / "assets" / "translations"
SOURCE_LANGUAGE: Final = "en"


def languages() -> dict[str, str]:
    """Code → the language's own name, English first."""
    codes = sorted(path.stem.removeprefix("sottovoce_") for path in FOLDER.glob("*.qm"))
    own_names = {code: QLocale(code).nativeLanguageName() for code in codes}
    return {SOURCE_LANGUAGE: "English", **own_names}  # Qt would say American English


def choose(language: str) -> str:
    """``language``, or the first of the system's that there is; else English."""
    known = languages()
    wanted = [language] if language else QLocale.system().uiLanguages()
    for name in wanted:
        code = name.replace("_", "-").split("-")[0].lower()
        if code in known:
            return code
    return SOURCE_LANGUAGE


def install(application: QCoreApplication, language: str = "") -> str:
    """Translate every text made from now on. Returns the language in use.

    Windows that are open keep the language they were made in (``Program`` replaces them).
    """
    for old in application.findChildren(QTranslator):
        application.removeTranslator(old)
        old.deleteLater()
    code = choose(language)
    QLocale.setDefault(QLocale(code) if language else QLocale.system())
    if code == SOURCE_LANGUAGE:
        return code
    qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    for name, folder in ((f"qtbase_{code}", qt), (f"sottovoce_{code}", str(FOLDER))):
        translator = QTranslator(application)
        if translator.load(name, folder):
            application.installTranslator(translator)
    return code
