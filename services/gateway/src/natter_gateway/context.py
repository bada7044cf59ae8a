"""The conversation as the model sees it: what the caller said, what the caller heard. Only the conductor writes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Speaker(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message of the conversation."""

    turn: int
    speaker: Speaker
    text: str


_CHARACTERS_PER_TOKEN: Final = 3.5
_TOKENS_PER_MESSAGE: Final = 4
_KEPT_SHARE: Final = 0.75


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is; errs to the high side for English."""
    return _TOKENS_PER_MESSAGE + int(len(text) / _CHARACTERS_PER_TOKEN) + 1


class Context:
    """An ordered list of utterances, and the part of it that fits a budget."""

    def __init__(self) -> None:
        self._utterances: list[Utterance] = []
        self._from_turn = 0

    @property
    def utterances(self) -> Sequence[Utterance]:
        return tuple(self._utterances)

    def add_user(self, turn: int, text: str) -> None:
        self._utterances.append(Utterance(turn, Speaker.USER, text))

    def correct_user(self, turn: int, text: str) -> None:
        """Replace what the caller said in `turn`: recognition knows better now."""
        for index, utterance in enumerate(self._utterances):
            if utterance.turn == turn and utterance.speaker is Speaker.USER:
                self._utterances[index] = Utterance(turn, Speaker.USER, text)
                return

    def add_heard(self, turn: int, text: str) -> None:
        """What was heard of the reply in `turn`; nothing heard leaves no trace."""
        if text.strip():
            self._utterances.append(Utterance(turn, Speaker.ASSISTANT, text.strip()))

    def before(self, turn: int, system_prompt: str, max_tokens: int) -> list[Utterance]:
        """What precedes `turn`; the oldest turns are left out to fit `max_tokens`, prompt and latest turn stay.

        Once over the budget, turns go until a quarter of it is free: providers cache a prompt's beginning, and a
        context that lost a turn each time would never begin the same twice.
        """
        budget = max_tokens - estimate_tokens(system_prompt)
        turns = sorted({utterance.turn for utterance in self._utterances if self._from_turn <= utterance.turn < turn})
        if self._cost(turns) > budget:
            while len(turns) > 1 and self._cost(turns) > budget * _KEPT_SHARE:
                del turns[0]
            self._from_turn = turns[0] if turns else turn
        return [utterance for utterance in self._utterances if utterance.turn in turns]

    def _cost(self, turns: Sequence[int]) -> int:
        return sum(estimate_tokens(utterance.text) for utterance in self._utterances if utterance.turn in turns)
