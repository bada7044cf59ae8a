"""Cuts the growing text of a reply into segments: pieces that a voice speaks as one. Pure.

The first segment is the shortest piece that can be spoken well, so that the voice starts early: a clause, else a
phrase. What follows are sentences, but for those that would come too late: when the voice is about to have said all
that was given out, the best piece that is there goes. The texts of all segments joined are the text that went in,
character for character.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from natter_llm.boundaries import clause_end, count_letters, ends_for_sure, forced_end, last_clause_end, sentence_end
from natter_llm.phrases import phrase_end
from natter_llm.spoken import spoken_form

FirstSegment = Literal["phrase", "clause", "sentence"]
"""What may be spoken on its own where waiting for more would cost time."""

# "Yes, I can." may begin with "Yes,"; less than that is over before anything can follow.
CLAUSE_LETTERS: Final = 3
# About 14 s of speech.
LIMIT_CHARS: Final = 220
LETTERS_PER_S: Final = 14.0
"""Of speech; a careful guess, as most voices are slower."""
# Behind a clause and a sentence, as voices pause.
_CLAUSE_PAUSE_S: Final = 0.12
_SENTENCE_PAUSE_S: Final = 0.25
# So long before the voice runs dry the next segment has to leave. Both voices begin late by about the same, so this is
# what the second may take longer.
AHEAD_S: Final = 0.2
# Tokens come one by one: who waits for the next one waits so long.
_NEXT_TOKEN_S: Final = 0.03


# A voice that gives out segments whole needs about an eighth of their length. One that is longer than so many times all
# that was said before ends at a comma, if there is one.
GROWTH: Final = 6


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the reply, numbered in the attempt from 1: as shown, and for the voice.

    ``spoken`` is empty only where there is no letter or digit: in a reply without any, and where nothing but such
    (an emoji) follows a first segment that did not wait for it.
    """

    number: int
    text: str
    spoken: str


class Segmenter:
    """Text deltas in, complete segments out.

    Args:
        kept: how many segments there are already (a worker died): numbering goes on.
        first: how short the first segment may be; those that follow may be so short only where the voice would run dry.
    """

    def __init__(self, kept: int = 0, first: FirstSegment = "phrase") -> None:
        self._number = kept
        self._first = first
        self._rest = ""
        self._at_sentence_end = False
        self._letters_said = 0 if kept == 0 else LIMIT_CHARS
        # When the voice has said all that was given out, if it began at once.
        self._dry_s = inf

    @property
    def segments(self) -> int:
        """How many there are so far, those that were kept included."""
        return self._number

    def feed(self, delta: str, now_s: float, *, border: bool = False) -> list[Segment]:
        """Take the next piece of text, which came at ``now_s``; return the segments that it completes.

        `border`: a sentence ends behind it, and another is known to follow.
        """
        self._rest += delta
        made: list[Segment] = []
        # The whole sentence is there: nothing is gained by parting it.
        while (end := self._next_end(-inf if border else now_s)) is not None:
            made.append(self._cut(end))
            self._note_speech(made[-1], now_s)
        if border and count_letters(self._rest):
            made.append(self._cut(len(self._rest)))
            self._note_speech(made[-1], now_s)
        return made

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

    def _next_end(self, now_s: float) -> int | None:
        """Where the first segment of the rest ends. Something sayable stands on both sides of it, or it is None."""
        if self._number == 0 and self._first != "sentence" and ends_for_sure(self._rest, CLAUSE_LETTERS):
            return len(self._rest)
        start = 0
        while True:
            end = sentence_end(self._rest, start)
            if start == 0:
                end = self._early_end(end, now_s) or end
            if end is None or end > LIMIT_CHARS:
                return self._forced() if len(self._rest) > LIMIT_CHARS else None
            if count_letters(self._rest[:end]) == 0:
                start = end
                continue
            return self._behind_symbols(end)

    def _early_end(self, sentence: int | None, now_s: float) -> int | None:
        """Where to cut before the end of the sentence, if this cannot wait for it."""
        if self._first == "sentence":
            return None
        head = self._rest if sentence is None else self._rest[:sentence]
        if self._number == 0:
            clause = clause_end(head, 0, CLAUSE_LETTERS)
            last = False
        elif sentence is not None:
            return last_clause_end(_within(head, GROWTH * self._letters_said), CLAUSE_LETTERS)
        elif now_s + AHEAD_S + _NEXT_TOKEN_S >= self._dry_s:
            clause = last_clause_end(head, CLAUSE_LETTERS)
            last = True
        else:
            return None
        if clause is not None or sentence is not None or self._first == "clause":
            return clause
        # Behind a full stop the next token decides; to part the last words from the others gains nothing.
        return None if _ends_sentence(head) else phrase_end(head, last=last)

    def _note_speech(self, segment: Segment, now_s: float) -> None:
        """Reckon how long the voice has something to say."""
        if self._first == "sentence":
            return
        said = segment.spoken
        pause_s = _SENTENCE_PAUSE_S if _ends_sentence(said) else 0.0
        pause_s = _CLAUSE_PAUSE_S if said.endswith((",", ";", ":", "—", "–")) else pause_s
        self._letters_said += count_letters(said)
        begins_s = now_s if self._dry_s == inf else max(now_s, self._dry_s)
        self._dry_s = begins_s + count_letters(said) / LETTERS_PER_S + pause_s

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
        self._at_sentence_end = _ends_sentence(text)
        return Segment(self._number, text, spoken_form(text))


def _within(text: str, letters: int) -> str:
    """The beginning of ``text`` that has ``letters`` letters; empty if it has no more than these."""
    for position, character in enumerate(text):
        letters -= character.isalnum()
        if letters < 0:
            return text[:position]
    return ""


def _ends_sentence(text: str) -> bool:
    return text.rstrip("\"')]*_ \n").endswith((".", "!", "?", "…"))
