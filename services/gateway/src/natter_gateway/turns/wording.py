"""What words say about a turn: whether two transcripts say the same, whether words mean to interrupt. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_FILLERS: Final = frozenset({"um", "uh", "uhm", "er", "erm", "hm", "hmm", "mm", "mhm"})
_BACKCHANNELS: Final = frozenset(
    {
        *_FILLERS,
        *("mm-hmm", "mm-hm", "uh-huh", "aha", "ah", "oh", "huh", "m", "yes", "yeah", "yep", "yup", "okay", "ok"),
        *("right", "sure", "alright", "wow", "cool", "nice", "great", "good", "really", "indeed", "exactly", "true"),
    }
)
_BACKCHANNEL_PHRASES: Final = frozenset(
    {
        ("i", "see"),
        ("got", "it"),
        ("of", "course"),
        ("go", "on"),
        ("all", "right"),
        ("oh", "i", "see"),
        ("thank", "you"),
    }
)
_FLOOR_TAKERS: Final = frozenset(
    {
        *("no", "nope", "not", "don't", "stop", "wait", "hold", "hang", "pause", "quiet", "enough", "cancel", "never"),
        *("sorry", "excuse", "pardon", "hey", "hello", "what", "what's", "why", "who", "where", "when", "how", "which"),
        *("actually", "listen", "look", "please", "question", "repeat", "again", "help", "shut", "wrong", "next"),
    }
)
_SURELY_WORDS: Final = 3
"""So many words are not made of a cough."""
_UP_TO_NINETEEN: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS_FROM_TWENTY: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL: Final = {word: value for value, word in enumerate(_UP_TO_NINETEEN)}
_TENS: Final = {word: 10 * value for value, word in enumerate(_TENS_FROM_TWENTY, start=2)}
_MULTIPLES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}


def same_words(one: str, other: str) -> bool:
    """The same words, whatever their punctuation, capitals, forms of letters and numbers, and fillers."""
    return _told(one) == _told(other)


def begins_with(text: str, beginning: str) -> bool:
    """Whether a transcript goes on from what another one said."""
    words, first = _told(text), _told(beginning)
    return words[: len(first)] == first


class Meaning(Enum):
    """What words over a reply mean."""

    NOTHING = "nothing"
    """There are none."""
    BACKCHANNEL = "backchannel"
    """The listener listens."""
    DOUBTFUL = "doubtful"
    """A word or two that may have been made of a cough or a hum."""
    INTERRUPTS = "interrupts"
    """Somebody wants the floor."""


def meaning_of(words: Iterable[str], *, trusted: bool) -> Meaning:
    """What somebody wants who says these words over a reply.

    Any word that is no backchannel interrupts, where recognition can be trusted with single words; else one that is
    said to interrupt, or several.
    """
    said = [word for text in words for word in _split(text)]
    if not said:
        return Meaning.NOTHING
    own = [word for word in said if word not in _BACKCHANNELS]
    if not own or tuple(said) in _BACKCHANNEL_PHRASES:
        return Meaning.BACKCHANNEL
    sure = trusted or len(own) >= _SURELY_WORDS or not _FLOOR_TAKERS.isdisjoint(own)
    return Meaning.INTERRUPTS if sure else Meaning.DOUBTFUL


def _told(text: str) -> list[str]:
    return _numbers_in_digits([part for word in _split(text) if word not in _FILLERS for part in word.split("-")])


def _split(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'"))


def _numbers_in_digits(words: Sequence[str]) -> list[str]:
    """Numbers that are spelt out, as digits: "twenty one" is "21"."""
    found: list[str] = []
    at = 0
    while at < len(words):
        value, end = _number_at(words, at)
        found.append(str(value) if end > at else words[at])
        at = max(end, at + 1)
    return found


def _number_at(words: Sequence[str], at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends; it ends at `at` where none begins."""
    total = group = 0
    last: Mapping[str, int] | None = None
    end = at
    for word in words[at:]:
        if word in _SMALL and (last in (None, _MULTIPLES) or (last is _TENS and 0 < _SMALL[word] < 10)):
            last, group = _SMALL, group + _SMALL[word]
        elif word in _TENS and last in (None, _MULTIPLES):
            last, group = _TENS, group + _TENS[word]
        elif word == "hundred" and group:
            last, group = _MULTIPLES, group * 100
        elif word in _MULTIPLES and group:
            last, total, group = _MULTIPLES, total + group * _MULTIPLES[word], 0
        else:
            break
        end += 1
    return total + group, end
