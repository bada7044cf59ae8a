"""Whether two transcripts say the same: pure."""

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_FILLERS: Final = frozenset({"um", "uh", "uhm", "er", "erm", "hm", "hmm", "mm", "mhm"})


def same_words(one: str, other: str) -> bool:
    """The same words, whatever their punctuation, capitals, forms of letters, and fillers."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return [word for word in _WORD.findall(folded) if word not in _FILLERS]
