"""Word error rate between what was said and what was understood."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORD: Final = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*")
_LARGEST_NUMBER = 999_999


def number_words(value: int) -> list[str]:
    """An English number below a million as words: 42 → forty two."""
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10], *([_ONES[value % 10]] if value % 10 else [])]
    if value < 1000:
        return [_ONES[value // 100], "hundred", *(number_words(value % 100) if value % 100 else [])]
    return [*number_words(value // 1000), "thousand", *(number_words(value % 1000) if value % 1000 else [])]


def normalise(text: str) -> list[str]:
    """Words in one form: NFKC, case folded, no punctuation, apostrophes dropped, digits as English words."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")
    folded = re.sub(r"(?<=\d),(?=\d{3}\b)", "", folded)
    words: list[str] = []
    for token in _WORD.findall(folded):
        if token.isascii() and token.isdigit() and int(token) <= _LARGEST_NUMBER:
            words.extend(number_words(int(token)))
        else:
            words.append(token.replace("'", ""))
    return words


def word_error_rate(reference: str, heard: str) -> float:
    """(substitutions + deletions + insertions) / words of the reference; 0 is perfect, above 1 is possible.

    An empty reference gives 0 when nothing was heard either, else 1.
    """
    return _error_rate(normalise(reference), normalise(heard))


def letter_error_rate(reference: str, heard: str) -> float:
    """The same in letters: for a few words, of which one that is nearly right would count as much as half of them."""
    return _error_rate("".join(normalise(reference)), "".join(normalise(heard)))


def _error_rate(wanted: Sequence[str], got: Sequence[str]) -> float:
    if not wanted:
        return 0.0 if not got else 1.0
    row = list(range(len(got) + 1))
    for index, word in enumerate(wanted, 1):
        previous, row[0] = row[0], index
        for column, other in enumerate(got, 1):
            previous, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, previous + (word != other)),
            )
    return row[-1] / len(wanted)
