"""Where one segment's voice ends and the next one's begins, when both were asked for at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from natter_tts.aligned import TimedCharacter
from natter_tts.provider import RATE_HZ
from natter_tts.words import letters

Part = tuple[bytes, tuple[TimedCharacter, ...]]
"""Audio, and the characters whose times count from its beginning."""

# What vendors read as it is written: nothing else comes back than was sent.
_MARKS = frozenset(" ,.;:!?'’\"“”()—–-…")


def split_part(pcm: bytes, characters: Sequence[TimedCharacter], missing: str) -> tuple[Part, Part | None]:
    """The part of a segment of which these letters have not come yet, and the part behind it, if any.

    The border is the beginning of the first letter that is one too many; silence before it stays with the segment.
    Where other letters come than are missing nobody can tell it.
    """
    for index, character in enumerate(characters):
        for letter in letters(character.text):
            if not missing:
                at_ms = character.from_ms
                at = min(len(pcm), 2 * (at_ms * RATE_HZ // 1000))
                rest = tuple(TimedCharacter(c.text, c.from_ms - at_ms, c.to_ms - at_ms) for c in characters[index:])
                return (pcm[:at], tuple(characters[:index])), (pcm[at:], rest)
            if letter != missing[0]:
                return (pcm, tuple(characters)), None
            missing = missing[1:]
    return (pcm, tuple(characters)), None


def has_letter(characters: Sequence[TimedCharacter]) -> bool:
    """Is a letter or digit among them?"""
    return any(letters(character.text) for character in characters)


def is_plain(spoken: str) -> bool:
    """Does ``spoken`` have nothing but words and their punctuation, which no vendor reads otherwise?"""
    return all(character.isalpha() or character in _MARKS for character in spoken)
