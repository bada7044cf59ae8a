"""What the words of a turn say about whether it is over: pure. What is heard of it, a model judges better."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final


class Ending(Enum):
    """How a text ends."""

    FINISHED = "finished"
    """With a mark that ends a sentence."""
    OPEN = "open"
    """Nothing can be said."""
    NUMBER = "number"
    """With a row of digits, and no mark behind it: they are dictated in pieces."""
    UNFINISHED = "unfinished"
    """Nobody ends like this: "I would like to book a table for"."""


_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_FILLERS: Final = frozenset({"um", "uh", "uhm", "er", "erm", "hm", "hmm"})
_NEVER_LAST: Final = frozenset(
    {
        *("a", "an", "the", "my", "your", "our", "their", "its"),
        *("and", "or", "but", "because", "if", "unless", "although", "while", "whereas", "than", "which", "whose"),
        *("i'm", "we're", "they're", "you're", "i'd", "i've", "we've", "let's", "very"),
        *_FILLERS,
    }
)
_LAST_IN_QUESTIONS: Final = frozenset({"to", "for", "with", "of", "from", "at", "into", "about", "between", "as"})
"""And in "what for" or "the one I asked for": rarely, elsewhere."""
_QUESTION: Final = frozenset(
    {"what", "where", "who", "whom", "which", "when", "why", "how", "that", "this", "it", "there"}
)
_OPENS_CLAUSE: Final = frozenset({"if", "unless", "although", "though", "whenever", "whereas"})
"""Who begins a sentence with it owes a main clause: "If the weather stays like this"."""
_CLAUSE_WORDS: Final = range(4, 13)
"""In fewer it stands alone ("If you like."), in more the rest may be there."""
_DIGITS: Final = frozenset(["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
_LEAST_DIGITS: Final = 3
_SENTENCE_BORDER: Final = re.compile(r"[.!?]+\s+")
_ENGLISH: Final = "en"


def ending_of(text: str, language: str) -> Ending:
    """How `text` ends. Words are only known for English; marks count in every language."""
    stripped = text.rstrip("\"'”’) ")
    if not stripped:
        return Ending.OPEN
    if stripped.endswith((",", "-", "–", "—", "…", "...", ":", "、")):
        return Ending.UNFINISHED
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(stripped)]
    if language.split("-")[0].casefold() == _ENGLISH and words:
        last = words[-1]
        if last in _NEVER_LAST:
            return Ending.UNFINISHED
        if last in _LAST_IN_QUESTIONS and not stripped.endswith("?") and _QUESTION.isdisjoint(words):
            return Ending.UNFINISHED
        if _owes_main_clause(stripped):
            return Ending.UNFINISHED
    if stripped.endswith((".", "!", "?", "。", "！", "？")):
        return Ending.FINISHED
    return Ending.NUMBER if _ends_in_digits(words) else Ending.OPEN


def _ends_in_digits(words: Sequence[str]) -> bool:
    spoken = "".join("0" if word in _DIGITS else word for word in words[-_LEAST_DIGITS:])
    return len(spoken) >= _LEAST_DIGITS and spoken[-_LEAST_DIGITS:].isdigit()


def _owes_main_clause(text: str) -> bool:
    sentence = _SENTENCE_BORDER.split(text)[-1]
    words = [word.casefold() for word in _WORD.findall(sentence)]
    if not words or words[0] not in _OPENS_CLAUSE or len(words) not in _CLAUSE_WORDS:
        return False
    return "then" not in words and "," not in sentence and not sentence.endswith("?")
