"""Ends the reply of a small model in time and at the end of a sentence. Pure."""

from __future__ import annotations

from natter_llm.boundaries import sentence_end


class ReplyLimiter:
    """Lets ``max_sentences`` sentences of a text pass.

    The first sentence passes as it comes. Later ones pass whole, so that a reply which hits the token limit ends with a
    complete sentence; this costs no time, since the voice takes them whole as well.

    Args:
        max_sentences: of the whole reply.
        reply_so_far: text of the reply that was said before; its sentences count.
    """

    def __init__(self, max_sentences: int, reply_so_far: str = "") -> None:
        self._left = max(1, max_sentences - _count_sentences(reply_so_far))
        self._first = not reply_so_far.strip()
        self._sent = 0
        self._start = 0
        self._text = ""
        self._done = False
        self._border = False

    @property
    def border(self) -> bool:
        """Does what has passed end with a sentence, and does another, held back, follow it?"""
        return self._border

    @property
    def done(self) -> bool:
        """Has the last sentence passed? The generation may be stopped."""
        return self._done

    def feed(self, delta: str) -> str:
        """Take a delta; return what passes, perhaps nothing."""
        if self._done:
            return ""
        self._text += delta
        self._border = False
        out = ""
        while not self._done and (end := sentence_end(self._text, self._start)) is not None:
            if not self._announces(end):
                self._left -= 1
                self._first = False
            self._start = end
            self._done = self._left == 0
            out += self._pass(len(self._text[:end].rstrip()) if self._done else end)
        if not self._done and self._first:
            out += self._pass(len(self._text))
        self._border = bool(out) and not self._done and self._text[self._sent : self._sent + 1].isalnum()
        return out

    def finish(self, *, cut_short: bool) -> str:
        """The model has ended. Return what was held back; nothing if it was ``cut_short`` inside a sentence."""
        if self._done:
            return ""
        self._done = True
        return "" if cut_short else self._pass(len(self._text))

    def _announces(self, end: int) -> bool:
        """Is the "sentence" a line that announces a list? Then it is none."""
        return self._text[self._start : end].rstrip().endswith(":")

    def _pass(self, end: int) -> str:
        piece = self._text[self._sent : end]
        self._sent = max(self._sent, end)
        return piece


def _count_sentences(text: str) -> int:
    count, start = 0, 0
    while start < len(text) and (end := sentence_end(text, start, final=True)) is not None:
        count, start = count + 1, end
    return count + (1 if text[start:].strip() else 0)
