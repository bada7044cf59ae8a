"""Capital letters and full stops, as recognition services put them: they are not heard, they are guessed."""

from __future__ import annotations

from collections.abc import Iterable


def punctuate(words: Iterable[str], *, begins: bool, ends: bool) -> list[str]:
    """The words of a sentence, or of a part of it.

    Args:
        words: in the lexicon's spelling.
        begins: the first word begins the sentence.
        ends: the last word ends it.
    """
    written = ["I" if word == "i" else word for word in words]
    if written and begins:
        written[0] = written[0].capitalize()
    if written and ends:
        written[-1] += "."
    return written
