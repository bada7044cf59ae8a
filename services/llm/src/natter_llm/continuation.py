"""Cuts what a model says again when it goes on behind a reply that was begun by another worker. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"\S+")
# Fewer words in common are chance ("… the city." "The city is …"), unless the reply is begun anew.
_LEAST_OVERLAP_WORDS = 3


def _key(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


class RepeatCutter:
    """Drops from the start of a text the words that repeat the start or the end of ``reply_so_far``.

    Holds text back only as long as it may still turn out to be such a repetition.
    """

    def __init__(self, reply_so_far: str) -> None:
        self._said = [key for word in _WORD.findall(reply_so_far) if (key := _key(word))]
        self._ends_with_space = not reply_so_far or reply_so_far[-1].isspace()
        self._held = ""
        self._open = bool(self._said)

    def feed(self, delta: str) -> str:
        """Take a delta; return what may go on, perhaps nothing."""
        if not self._open:
            return delta
        self._held += delta
        return self._decide(final=False)

    def finish(self) -> str:
        """Nothing more comes: return what is still held and is no repetition."""
        return self._decide(final=True) if self._open else ""

    def _decide(self, *, final: bool) -> str:
        matches = list(_WORD.finditer(self._held))
        if not final and matches and matches[-1].end() == len(self._held):
            matches.pop()
        words = [(key, match.end()) for match in matches if (key := _key(match[0]))]
        total = len(self._said)
        waiting = False
        # The longest overlap first: candidates are the places in what was said where the repetition may begin.
        for begin in range(total):
            overlap = total - begin
            if begin and overlap < _LEAST_OVERLAP_WORDS:
                break
            common = min(overlap, len(words))
            if any(self._said[begin + i] != words[i][0] for i in range(common)):
                continue
            if common == overlap:
                return self._release(words[overlap - 1][1])
            waiting = True
        if waiting and not final:
            return ""
        return self._release(0)

    def _release(self, cut: int) -> str:
        self._open = False
        rest, self._held = self._held[cut:], ""
        if self._ends_with_space:
            rest = rest.lstrip()
        return rest
