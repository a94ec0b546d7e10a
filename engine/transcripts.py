"""Transcripts made comparable: one spelling for numbers, contractions, titles and punctuation.

Text goes in, a list of plain lower-case words comes out. Both the reference and what a
recogniser wrote go through it before words are counted.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from engine.edit_distance import Edits, count_edits

_ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_SCALES: Final = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"))
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_ABBREVIATIONS: Final = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "prof": "professor",
    "capt": "captain", "col": "colonel", "etc": "et cetera", "vs": "versus", "ok": "okay",
}  # fmt: skip
_CONTRACTIONS: Final = (
    (r"\bwon't\b", "will not"), (r"\bcan't\b", "can not"), (r"\bcannot\b", "can not"),
    (r"\bshan't\b", "shall not"), (r"\blet's\b", "let us"), (r"n't\b", " not"),
    (r"'ll\b", " will"), (r"'re\b", " are"), (r"'ve\b", " have"), (r"'m\b", " am"),
)  # fmt: skip
_SPELLINGS: Final = (
    (r"\b(colo|hono|labo|humo|favo|neighbo|harbo|splendo|parlo|vapo|endeavo|behavio)ur", r"\1r"),
    (r"\b(cent|theat|met|spect)re(s?)\b", r"\1er\2"),
    (r"\bgrey", "gray"),
    (r"\btraveller", "traveler"),
    (r"\bto-(day|morrow|night)\b", r"to\1"),
    (r"\btowards\b", "toward"),
)


def number_words(number: int) -> list[str]:
    """A non-negative whole number below 10^12 in words, without "and"."""
    if number < 20:
        return [_ONES[number]]
    if number < 100:
        tens, ones = divmod(number, 10)
        return [_TENS[tens], *([_ONES[ones]] if ones else [])]
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return [_ONES[hundreds], "hundred", *(number_words(rest) if rest else [])]
    for size, name in _SCALES:
        if number >= size:
            count, rest = divmod(number, size)
            return [*number_words(count), name, *(number_words(rest) if rest else [])]
    raise ValueError(f"{number} is too large to spell")


def _ordinal(words: list[str]) -> list[str]:
    last = words[-1]
    if last in _ORDINALS:
        return [*words[:-1], _ORDINALS[last]]
    return [*words[:-1], (last[:-1] + "ie" if last.endswith("y") else last) + "th"]


def _spell_number(match: re.Match[str]) -> str:
    digits, suffix = match.group(1).replace(",", ""), match.group(2)
    if len(digits) > 12:
        return " ".join(_ONES[int(digit)] for digit in digits)
    number = int(digits)
    if len(digits) == 4 and 1100 <= number < 2000 and not suffix and "," not in match.group(1):
        century, rest = divmod(number, 100)  # read as a year
        words = number_words(century) + (number_words(rest) if rest >= 10 else [])
        if rest == 0:
            words.append("hundred")
        elif rest < 10:
            words += ["oh", _ONES[rest]]
    else:
        words = number_words(number)
    return " " + " ".join(_ordinal(words) if suffix else words) + " "


def normalise(text: str) -> list[str]:
    """Any transcript → comparable words."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("’", "'").replace("‘", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"\[[^\]]*\]|\([^)]*\)", " ", plain)  # a recogniser's remarks
    for pattern, replacement in (*_CONTRACTIONS, *_SPELLINGS):
        plain = re.sub(pattern, replacement, plain)
    plain = re.sub(r"\$\s*([\d,]+)", r"\1 dollars ", plain)
    plain = plain.replace("%", " percent ").replace("&", " and ")
    plain = re.sub(r"([0-9]+(?:,[0-9]{3})*)(st|nd|rd|th)?(?![a-z])", _spell_number, plain)
    plain = re.sub(r"[^a-z0-9']+", " ", plain).replace("'", "")
    return " ".join(_ABBREVIATIONS.get(word, word) for word in plain.split()).split()


def word_edits(reference: str, hypothesis: str) -> Edits:
    """Word errors between two transcripts, both normalised."""
    return count_edits(normalise(reference), normalise(hypothesis))
