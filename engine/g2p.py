"""English text → phoneme ids, through phonemizer and espeak-ng, folded onto the inventory.

Text goes in, ids of ``engine.phonemes`` come out, words and sentences run together without
silence. Used by training and by the scores; a call never needs it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from engine.errors import SottovoceError
from engine.phonemes import PHONEME_ID

if TYPE_CHECKING:
    from phonemizer.backend import EspeakBackend

_INSTALL: Final = (
    "install it (Debian/Ubuntu: `apt-get install espeak-ng`; macOS: `brew install espeak-ng`)"
)

_FOLD: Final[dict[str, tuple[str, ...]]] = {
    # espeak-ng's en-us symbols that the inventory spells otherwise
    "ᵻ": ("ɪ",), "ɨ": ("ɪ",), "ɐ": ("ə",), "i": ("iː",), "ɔ": ("ɔː",), "ʔ": ("t",), "r": ("ɹ",),
    "g": ("ɡ",), "ɑ": ("ɑː",), "ɜ": ("ɜː",), "u": ("uː",), "o": ("oʊ",), "oː": ("oʊ",),
    "oːɹ": ("ɔː", "ɹ"), "n̩": ("ə", "n"), "m̩": ("ə", "m"), "l̩": ("ə", "l"),
    # sounds of borrowed words, as English mouths say them
    "x": ("k",), "a": ("æ",), "aː": ("ɑː",), "ɒ": ("ɑː",), "e": ("eɪ",), "eː": ("eɪ",),
    "ɛː": ("ɛ",), "y": ("uː",), "ø": ("ɜː",), "œ": ("ɜː",), "ɬ": ("l",), "ɫ": ("l",),
    "ɲ": ("n", "j"), "ç": ("h",), "β": ("v",), "ɣ": ("ɡ",), "ʁ": ("ɹ",), "ɕ": ("ʃ",),
}  # fmt: skip
_UNITS: Final[dict[str, tuple[str, ...]]] = {
    unicodedata.normalize("NFD", symbol): phonemes
    for symbol, phonemes in ({p: (p,) for p in PHONEME_ID if p != "sil"} | _FOLD).items()
}
_LONGEST: Final = max(map(len, _UNITS))


def fold(symbols: str) -> list[int]:
    """A string of IPA, espeak's way → ids, by longest match. Unknown marks are skipped."""
    text = unicodedata.normalize("NFD", symbols)
    ids: list[int] = []
    position = 0
    while position < len(text):
        for length in range(min(_LONGEST, len(text) - position), 0, -1):
            unit = _UNITS.get(text[position : position + length])
            if unit is not None:
                ids.extend(PHONEME_ID[phoneme] for phoneme in unit)
                break
        else:
            length = 1
        position += length
    return ids


@lru_cache(maxsize=1)
def _backend() -> EspeakBackend:
    """Raises SottovoceError when phonemizer or espeak-ng is not there."""
    try:
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise SottovoceError(
            "Phonemes from text need phonemizer: run `pip install phonemizer`."
        ) from error
    try:
        return EspeakBackend("en-us", with_stress=False, language_switch="remove-flags")
    except RuntimeError:
        # phonemizer asks the linker by name, which needs a development link on some systems.
        for name in ("libespeak-ng.so.1", "libespeak-ng.1.dylib", "libespeak-ng.dll"):
            EspeakWrapper.set_library(name)
            try:
                return EspeakBackend("en-us", with_stress=False, language_switch="remove-flags")
            except (RuntimeError, OSError):
                continue
    raise SottovoceError(f"Phonemes from text need the espeak-ng library: {_INSTALL}.")


def _plain(text: str) -> str:
    words = " ".join(re.split(r"[\s—–]+", text.strip()))
    # Corpora shout; espeak would spell capitals out.
    return words.lower() if words.isupper() else words


def texts_to_words(texts: Sequence[str]) -> list[list[list[int]]]:
    """English texts → ids word by word, one list a text, many at once being much faster.

    Raises SottovoceError when espeak-ng is missing.
    """
    plain = [_plain(text) for text in texts]
    worded = [i for i, text in enumerate(plain) if any(c.isalnum() for c in text)]
    result: list[list[list[int]]] = [[] for _ in texts]
    if not worded:
        return result
    backend = _backend()
    from phonemizer.separator import Separator

    separator = Separator(phone="", syllable="", word=" ")
    spoken = backend.phonemize([plain[i] for i in worded], separator=separator, strip=True)
    for i, symbols in zip(worded, spoken, strict=True):
        result[i] = [ids for word in symbols.split() if (ids := fold(word))]
    return result


def texts_to_ids(texts: Sequence[str]) -> list[list[int]]:
    """English texts → phoneme ids without silence, one list a text. Errors as ``texts_to_words``."""
    return [[i for word in words for i in word] for words in texts_to_words(texts)]


def text_to_words(text: str) -> list[list[int]]:
    """One English text → ids word by word. Raises SottovoceError when espeak-ng is missing."""
    return texts_to_words([text])[0]


def text_to_ids(text: str) -> list[int]:
    """English text → phoneme ids, [N], no silence. Raises SottovoceError without espeak-ng."""
    return texts_to_ids([text])[0]
