"""The phoneme inventory: 42 English phonemes and silence, IPA ↔ id.

Ids travel on the wire and index every model, so their order never changes. Text becomes
phonemes through phonemizer (espeak-ng, en-us), folded onto the inventory; see ``text_to_ids``
in ``engine.g2p``.
"""

from __future__ import annotations

from typing import Final

SILENCE: Final = 0
PHONEMES: Final[tuple[str, ...]] = (
    "sil",
    "aɪ", "aʊ", "b", "d", "dʒ", "eɪ", "f", "h", "iː", "j", "k", "l", "m", "n", "oʊ", "p", "s", "t",
    "tʃ", "uː", "v", "w", "z", "æ", "ð", "ŋ", "ɑː", "ɔɪ", "ɔː", "ə", "ɚ", "ɛ", "ɜː", "ɡ", "ɪ", "ɹ",
    "ɾ", "ʃ", "ʊ", "ʌ", "ʒ", "θ",
)  # fmt: skip
PHONEME_ID: Final[dict[str, int]] = {ipa: index for index, ipa in enumerate(PHONEMES)}
N_PHONEMES: Final = len(PHONEMES)
VOWELS: Final[frozenset[int]] = frozenset(
    PHONEME_ID[p] for p in "aɪ aʊ eɪ iː oʊ uː æ ɑː ɔɪ ɔː ə ɚ ɛ ɜː ɪ ʊ ʌ".split()
)


def ipa(phoneme: int) -> str:
    """The IPA symbol of an id. Raises IndexError outside ``0 <= phoneme < N_PHONEMES``."""
    return PHONEMES[phoneme]
