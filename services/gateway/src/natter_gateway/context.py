"""The conversation as the model sees it: what the caller said, what the caller heard, what tools found.

Only the conductor writes it.
"""

from collections import defaultdict
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


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """A call of a tool and what became of it; `outcome` is `result`, `error`, `timeout`, `cancelled` or `unknown`."""

    id: str
    name: str
    arguments: str
    outcome: str
    result: str


@dataclass(frozen=True, slots=True)
class ToolRound:
    """Tools that ran side by side in a turn."""

    turn: int
    calls: tuple[ToolRecord, ...]


Entry = Utterance | ToolRound

_CHARACTERS_PER_TOKEN: Final = 3.5
_TOKENS_PER_MESSAGE: Final = 4
_KEPT_SHARE: Final = 0.75
_LEAST_TURNS_TO_SUM_UP: Final = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is; errs to the high side for English."""
    return _TOKENS_PER_MESSAGE + int(len(text) / _CHARACTERS_PER_TOKEN) + 1


def tokens_of(entry: Entry) -> int:
    """About how many tokens an entry of the context is."""
    if isinstance(entry, Utterance):
        return estimate_tokens(entry.text)
    return sum(estimate_tokens(call.name + call.arguments + call.result) for call in entry.calls)


@dataclass(frozen=True, slots=True)
class ContextState:
    """A whole context, to go on with elsewhere."""

    entries: tuple[Entry, ...] = ()
    summary: str = ""
    from_turn: int = 0
    """Turns before are not given to the model any more; `summary` stands for them."""


class Context:
    """An ordered list of utterances and tool rounds, and the part of it that fits a budget."""

    def __init__(self, state: ContextState = ContextState()) -> None:
        self._entries: list[Entry] = list(state.entries)
        self._from_turn = state.from_turn
        self._summary = state.summary

    @property
    def state(self) -> ContextState:
        """All of it: a context made of it goes on where this one is."""
        return ContextState(tuple(self._entries), self._summary, self._from_turn)

    @property
    def entries(self) -> Sequence[Entry]:
        """All of the conversation, what no longer fits the model too."""
        return tuple(self._entries)

    @property
    def utterances(self) -> Sequence[Utterance]:
        return tuple(entry for entry in self._entries if isinstance(entry, Utterance))

    @property
    def summary(self) -> str:
        """What stands for the turns that no longer fit; empty without one."""
        return self._summary

    def add_user(self, turn: int, text: str) -> None:
        self._entries.append(Utterance(turn, Speaker.USER, text))

    def remove(self, turn: int) -> None:
        """Nothing of `turn` was meant yet."""
        self._entries = [entry for entry in self._entries if entry.turn != turn]

    def correct_user(self, turn: int, text: str) -> None:
        """Replace what the caller said in `turn`: recognition knows better now."""
        for index, entry in enumerate(self._entries):
            if isinstance(entry, Utterance) and entry.turn == turn and entry.speaker is Speaker.USER:
                self._entries[index] = Utterance(turn, Speaker.USER, text)
                return

    def add_heard(self, turn: int, text: str) -> None:
        """What was heard of the reply in `turn`; nothing heard leaves no trace."""
        if text.strip():
            self._entries.append(Utterance(turn, Speaker.ASSISTANT, text.strip()))

    def add_tools(self, turn: int, calls: tuple[ToolRecord, ...]) -> None:
        """Tools that ran in `turn`."""
        self._entries.append(ToolRound(turn, calls))

    def correct_tool(self, record: ToolRecord) -> None:
        """What became of a call that was still running when its round was noted."""
        for index, entry in enumerate(self._entries):
            if isinstance(entry, ToolRound) and any(call.id == record.id for call in entry.calls):
                calls = tuple(record if call.id == record.id else call for call in entry.calls)
                self._entries[index] = ToolRound(entry.turn, calls)
                return

    def before(self, turn: int, system_prompt: str, max_tokens: int) -> list[Entry]:
        """What precedes `turn`; the oldest turns are left out to fit `max_tokens`, prompt and latest turn stay.

        Once over the budget, turns go until a quarter of it is free: providers cache a prompt's beginning, and a
        context that lost a turn each time would never begin the same twice.
        """
        budget = max_tokens - estimate_tokens(system_prompt)
        costs: defaultdict[int, int] = defaultdict(int)
        for entry in self._entries:
            if self._from_turn <= entry.turn < turn:
                costs[entry.turn] += tokens_of(entry)
        turns = sorted(costs)
        cost = estimate_tokens(self._summary) + sum(costs.values())
        if cost > budget:
            while len(turns) > 1 and cost > budget * _KEPT_SHARE:
                cost -= costs[turns.pop(0)]
            self._from_turn = turns[0] if turns else turn
        return self._of(turns)

    def to_sum_up(self, system_prompt: str, max_tokens: int) -> tuple[int, list[Entry]] | None:
        """The older half of the turns in use, once they fill most of the budget, and the turn behind them; else None.

        Asked for before the budget is full, so that the summary is there when the turns have to go.
        """
        budget = max_tokens - estimate_tokens(system_prompt)
        turns = sorted({entry.turn for entry in self._entries if entry.turn >= self._from_turn})
        if len(turns) < _LEAST_TURNS_TO_SUM_UP or self._cost(turns) <= budget * _KEPT_SHARE:
            return None
        behind = turns[len(turns) // 2]
        return behind, self._of([turn for turn in turns if turn < behind])

    def sum_up(self, behind_turn: int, summary: str) -> None:
        """The model sees `summary` in place of all before `behind_turn`."""
        self._summary = summary
        self._from_turn = max(self._from_turn, behind_turn)

    def _of(self, turns: Sequence[int]) -> list[Entry]:
        wanted = frozenset(turns)
        return [entry for entry in self._entries if entry.turn in wanted]

    def _cost(self, turns: Sequence[int]) -> int:
        return estimate_tokens(self._summary) + sum(tokens_of(entry) for entry in self._of(turns))
