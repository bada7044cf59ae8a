"""The words of the caller's turn as they come in: what is final, what may still change."""

from collections.abc import Sequence
from typing import Final

from natter_gateway.turns.ending import Ending, ending_of
from natter_gateway.turns.events import Recognised
from natter_gateway.turns.wording import Meaning, meaning_of

_NOTHING_OWED: Final = (0, 0)


class TurnWords:
    """Collected while a turn is open, or while it is open whether there is one."""

    def __init__(self, language: str) -> None:
        self.finals: list[str] = []
        self.interim = ""
        self.typed_ahead: list[str] = []
        """Typed text that waited for a turn: it comes first."""
        self.trusted = True
        """Recognition is sure of each; else they may change as more is heard."""
        self._language = language
        self._through_sample = 0
        self._ending = ("", Ending.OPEN)
        self._owed = _NOTHING_OWED

    @property
    def ending(self) -> Ending:
        """What the words say about whether the turn is over."""
        text = self.text
        if text != self._ending[0]:
            self._ending = (text, ending_of(text, self._language))
        return self._ending[1]

    @property
    def heard(self) -> bool:
        """Whether recognition has found any word."""
        return bool(self.finals or self.interim)

    @property
    def meaning(self) -> Meaning:
        """What they mean over a reply."""
        return meaning_of([*self.finals, self.interim], trusted=self.trusted)

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.all)

    @property
    def all(self) -> list[str]:
        """In order."""
        return [*self.typed_ahead, *self.finals, *([self.interim] if self.interim else [])]

    def take_in(self, event: Recognised) -> None:
        """A transcript came: an interim stands for everything since the last final."""
        self._through_sample = max(self._through_sample, event.through_sample)
        self.trusted = event.trusted
        if not event.final:
            self.interim = event.text
            return
        if event.finalize_id and event.finalize_id == self._owed[0]:
            if event.text:
                self.finals[self._owed[1]] = event.text
            self._owed = _NOTHING_OWED
            return
        self.interim = ""
        if event.text:
            self.finals.append(event.text)

    def reopen(self, words: Sequence[str], owed_id: int, owed_at: int) -> None:
        """The turn was not over: its words come before these.

        With `owed_id`, those from `owed_at` on were an interim, whose final is to come as the answer to that request.
        """
        if owed_id:
            self._owed = (owed_id, owed_at)
            words = [*words[:owed_at], " ".join(words[owed_at:])]
        self.finals = [*words, *self.finals]

    def reach(self, sample: int) -> bool:
        """Whether recognition has heard everything before `sample`."""
        return self._through_sample >= sample

    def take(self) -> list[str]:
        """The turn is over: give its words away."""
        words = self.all
        self.clear()
        self.typed_ahead = []
        return words

    def clear(self) -> None:
        """What was said was nothing."""
        self.finals, self.interim = [], ""
        self._owed = _NOTHING_OWED
