"""Cuts the growing text of a reply into segments: pieces that a voice speaks as one. Pure.

The first segment is a clause, so that the voice starts early; later ones are sentences. The texts of all segments
joined are the text that went in, character for character.
"""

from __future__ import annotations

from dataclasses import dataclass

from natter_llm.boundaries import clause_end, count_letters, forced_end, sentence_end
from natter_llm.spoken import spoken_form

# "Hello there," is worth speaking on its own, "Well," is not: the rest would come too late.
FIRST_CLAUSE_LETTERS = 10
# A first clause without punctuation ends before a conjunction from here on.
FIRST_CLAUSE_SOFT_CHARS = 40
# About 14 s of speech.
LIMIT_CHARS = 220


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the reply, numbered in the attempt from 1: as shown, and for the voice.

    ``spoken`` is empty only for a reply that has no letter or digit at all.
    """

    number: int
    text: str
    spoken: str


class Segmenter:
    """Text deltas in, complete segments out.

    Args:
        kept: how many segments there are already (a worker died): numbering goes on, and no clause is cut early.
    """

    def __init__(self, kept: int = 0) -> None:
        self._number = kept
        self._rest = ""
        self._at_sentence_end = False

    @property
    def segments(self) -> int:
        """How many there are so far, those that were kept included."""
        return self._number

    def feed(self, delta: str) -> list[Segment]:
        """Take the next piece of text; return the segments that it completes."""
        self._rest += delta
        made: list[Segment] = []
        while (end := self._next_end()) is not None:
            made.append(self._cut(end))
        return made

    def border(self) -> list[Segment]:
        """A sentence ends here and another is known to follow: return what was held back, if it can be spoken."""
        return [self._cut(len(self._rest))] if count_letters(self._rest) else []

    def finish(self, *, cut_off: bool = False) -> list[Segment]:
        """The text is complete: return what was held back.

        `cut_off`: it ended at a limit. Half a sentence behind a whole one is better not said.
        """
        if cut_off and self._at_sentence_end:
            self._rest = ""
        made: list[Segment] = []
        while len(self._rest) > LIMIT_CHARS and (end := self._forced()) is not None:
            made.append(self._cut(end))
        if self._rest and (self._rest.strip() or self._number == 0):
            made.append(self._cut(len(self._rest)))
        return made

    def _next_end(self) -> int | None:
        """Where the first segment of the rest ends. Something sayable stands on both sides of it, or it is None."""
        start = 0
        while True:
            end = sentence_end(self._rest, start)
            if self._number == 0 and start == 0:
                head = self._rest[:end] if end is not None else self._rest
                clause = clause_end(head, 0, FIRST_CLAUSE_LETTERS, FIRST_CLAUSE_SOFT_CHARS)
                end = clause if clause is not None and clause < len(head) else end
            if end is None or end > LIMIT_CHARS:
                return self._forced() if len(self._rest) > LIMIT_CHARS else None
            if count_letters(self._rest[:end]) == 0:
                start = end
                continue
            return self._behind_symbols(end)

    def _forced(self) -> int | None:
        end = forced_end(self._rest, 0, LIMIT_CHARS)
        if count_letters(self._rest[:end]) == 0 or count_letters(self._rest[end:]) == 0:
            return None
        return end

    def _behind_symbols(self, end: int) -> int | None:
        """Move a border behind emoji and the like, so that no segment is left with nothing to say.

        None until a letter or digit follows. Marks that open what follows ("- item", an opening quote) stay with it.
        """
        position = end
        while position < len(self._rest):
            stop = position
            while stop < len(self._rest) and not self._rest[stop].isspace():
                stop += 1
            token = self._rest[position:stop]
            if count_letters(token):
                return position
            if stop == len(self._rest):
                return None
            follows = stop
            while follows < len(self._rest) and self._rest[follows].isspace():
                follows += 1
            if set(token) <= set("-*+•>#—–"):
                # A list mark, if something sayable follows at all.
                return position if count_letters(self._rest[follows:]) else None
            position = follows
        return None

    def _cut(self, end: int) -> Segment:
        text, self._rest = self._rest[:end], self._rest[end:]
        self._number += 1
        self._at_sentence_end = text.rstrip("\"')]*_ \n").endswith((".", "!", "?", "…"))
        return Segment(self._number, text, spoken_form(text))
