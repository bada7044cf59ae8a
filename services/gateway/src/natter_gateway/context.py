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
_KEPT_TURNS: Final = 1


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is; errs to the high side for English."""
    return _TOKENS_PER_MESSAGE + int(len(text) / _CHARACTERS_PER_TOKEN) + 1


class Context:
    """An ordered list of utterances, and the part of it that fits a budget."""

    def __init__(self) -> None:
        self._utterances: list[Utterance] = []

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
        """What precedes `turn`; the oldest turns are left out to fit `max_tokens`, prompt and latest turn stay."""
        earlier = [utterance for utterance in self._utterances if utterance.turn < turn]
        budget = max_tokens - estimate_tokens(system_prompt)
        turns = sorted({utterance.turn for utterance in earlier}, reverse=True)
        kept: set[int] = set()
        for position, number in enumerate(turns):
            cost = sum(estimate_tokens(utterance.text) for utterance in earlier if utterance.turn == number)
            if position >= _KEPT_TURNS and cost > budget:
                break
            budget -= cost
            kept.add(number)
        return [utterance for utterance in earlier if utterance.turn in kept]
