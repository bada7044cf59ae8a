"""What the words of a turn say about whether it is over: pure. What is heard of it, a model judges better."""

import re
from enum import Enum
from typing import Final


class Ending(Enum):
    """How a text ends."""

    FINISHED = "finished"
    """With a mark that ends a sentence."""
    OPEN = "open"
    """Nothing can be said."""
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
    return Ending.FINISHED if stripped.endswith((".", "!", "?", "。", "！", "？")) else Ending.OPEN
