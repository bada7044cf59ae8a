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
_SOUNDS_LIKE_TO: Final = frozenset({"to", "too", "two"})
_ASKS_SOMEBODY: Final = frozenset({"remind", "tell", "ask", "teach", "allow"})
_SOMEBODY: Final = frozenset({"me", "us", "him", "them", "you", "everyone", "everybody", "somebody", "someone"})
"""Behind both of them it is "to", whatever recognition writes: "Could you remind me too?"."""
_OPENS_CLAUSE: Final = frozenset({"if", "unless", "although", "though", "whenever", "whereas"})
"""Who begins a sentence with it owes a main clause: "If the weather stays like this"."""
_CLAUSE_WORDS: Final = range(4, 13)
"""In fewer it stands alone ("If you like."), in more the rest may be there."""
_DETERMINERS: Final = frozenset({"the", "a", "an", "my", "your", "our", "his", "her", "their", "this", "that"})
_RELATIVES: Final = frozenset({"who", "which", "that", "whose"})
_SUBJECT_WORDS: Final = range(2, 5)
"""Of a noun with its determiner: "the man", "my very old car"."""
_RELATIVE_CLAUSE_WORDS: Final = 14
"""In so many the main verb has mostly come."""
_MAIN_VERBS: Final = frozenset(
    {
        *("is", "isn't", "are", "aren't", "was", "wasn't", "were", "weren't", "has", "hasn't", "have", "haven't"),
        *("had", "hadn't", "does", "doesn't", "did", "didn't", "will", "won't", "would", "wouldn't", "can", "can't"),
        *("could", "couldn't", "should", "shouldn't", "must", "may", "might", "came", "went", "said", "told", "got"),
        *("gave", "took", "made", "left", "says", "wants", "needs", "looks", "seems", "works", "keeps"),
    }
)
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
        if _asks_to(words) or _owes_main_clause(stripped) or _owes_main_verb(stripped):
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


def _owes_main_verb(text: str) -> bool:
    """Whether it is a subject with its relative clause and no more: "The man who lives next door"."""
    sentences = [[word.casefold() for word in _WORD.findall(each)] for each in _SENTENCE_BORDER.split(text)]
    words = sentences[-1]
    if len(sentences) > 1 and words and words[0] in _RELATIVES:
        # Recognition hears a sentence of its own in it: "The man? Who lives next door?".
        words = sentences[-2] + words
    relative_at = next((at for at, word in enumerate(words) if word in _RELATIVES and at > 1), 0)
    subject = words[:relative_at]
    if len(subject) not in _SUBJECT_WORDS or subject[0] not in _DETERMINERS or not _MAIN_VERBS.isdisjoint(subject):
        return False
    # The word behind the relative is mostly the verb of its clause.
    clause = words[relative_at + 1 :]
    ended = any(word in _MAIN_VERBS or (len(word) > 4 and word.endswith("ed")) for word in clause[1:])
    return not ended and len(clause) < _RELATIVE_CLAUSE_WORDS


def _asks_to(words: Sequence[str]) -> bool:
    return len(words) > 2 and words[-1] in _SOUNDS_LIKE_TO and words[-2] in _SOMEBODY and words[-3] in _ASKS_SOMEBODY
