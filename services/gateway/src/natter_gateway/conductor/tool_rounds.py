"""Does what rounds of tools want done: orders to the worker, messages to the page, records for the context."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from natter_common.logs import Log
from natter_gateway.bots.tools import ToolSection
from natter_gateway.conductor.page import Page
from natter_gateway.context import ToolRecord
from natter_gateway.journal.notes import Note, ToolCalled, ToolSettled
from natter_gateway.tools.round import (
    Call,
    Cancel,
    Outcome,
    RoundAction,
    RoundOver,
    Run,
    SayFiller,
    Settled,
    ToolRound,
    ToolTraits,
)
from natter_gateway.turns.events import AttemptKey
from natter_proto import ToolOutcome, ToolResult

_PAGE: Final = "browser"
_MOST_DETACHED: Final = 16
"""Calls of earlier turns that still run: over it, the result of the oldest is not taken any more."""
_OUTCOMES: Final = {
    ToolOutcome.TOOL_OUTCOME_RESULT: Outcome.RESULT,
    ToolOutcome.TOOL_OUTCOME_ERROR: Outcome.ERROR,
    ToolOutcome.TOOL_OUTCOME_TIMEOUT: Outcome.TIMEOUT,
    ToolOutcome.TOOL_OUTCOME_CANCELLED: Outcome.CANCELLED,
}


class ToolOrders(Protocol):
    """The way to the llm worker of the session."""

    def run(self, key: AttemptKey, call: Call, tool: ToolTraits) -> None:
        """Order a call; `ToolRounds.not_run` is told when nobody took it."""
        ...

    def cancel(self, call: Call) -> None:
        """Stop a call."""
        ...


class ToolRounds:
    """The round that the reply waits for, and those of earlier turns in which something still runs."""

    def __init__(
        self,
        sections: Sequence[ToolSection],
        page: Page,
        log: Log,
        *,
        say_filler: Callable[[str], None],
        over: Callable[[AttemptKey, tuple[ToolRecord, ...]], None],
        late: Callable[[ToolRecord], None],
        acted: Callable[[AttemptKey], None],
        note: Callable[[Note], None],
    ) -> None:
        """`over` is told when the reply may go on, `late` what became of a call behind an interruption, `acted` when a
        tool that does more than read is started; `note` keeps each call and what became of it."""
        self.orders: ToolOrders | None = None
        self._traits: Final = {section.name: _traits(section) for section in sections}
        self._limits: Final = {section.name: section.max_result_characters for section in sections}
        self._page = page
        self._log = log
        self._say_filler = say_filler
        self._over = over
        self._late = late
        self._acted = acted
        self._note = note
        self._round: ToolRound | None = None
        self._detached: list[ToolRound] = []

    @property
    def busy(self) -> bool:
        """Whether anything still runs, for this reply or an earlier one."""
        return bool(self._rounds())

    @property
    def deadline_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        return min((due for one in self._rounds() if (due := one.deadline_ms) is not None), default=None)

    def begin(self, key: AttemptKey, calls: Sequence[Call], now_ms: float) -> None:
        """A generation ended at these calls."""
        for call in calls:
            self._page.tool_started(call.name)
        self._round = ToolRound(key, calls, self._traits, now_ms)
        self.tick(now_ms)

    def tick(self, now_ms: float) -> None:
        for one in self._rounds():
            self._do(one, one.tick(now_ms))

    def hold(self) -> None:
        """The caller may be taking the turn back."""
        if self._round is not None:
            self._round.hold()

    def release(self, now_ms: float) -> None:
        """The caller is not."""
        if self._round is not None:
            self._do(self._round, self._round.release(now_ms))

    def on_result(self, result: ToolResult) -> None:
        """A worker reports a call."""
        outcome = _OUTCOMES.get(result.outcome, Outcome.UNKNOWN)
        for one in self._rounds():
            self._do(one, one.on_result(result.id, outcome, result.result))

    def on_page_result(self, call_id: str, name: str, result: Any) -> None:
        """The page answers a call."""
        traits = self._traits.get(name)
        if traits is None or not traits.on_page:
            return
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        limit = self._limits[name]
        if len(text) > limit:
            text = f"{text[:limit]}… (cut: {limit} of {len(text)} characters)"
        for one in self._rounds():
            self._do(one, one.on_result(call_id, Outcome.RESULT, text))

    def refused(self, call_id: str, words: str) -> None:
        """The worker does not take the order: it has not run, and will not."""
        for one in self._rounds():
            self._do(one, one.on_result(call_id, Outcome.ERROR, f"It was not run: {words}."))

    def not_run(self, call_id: str) -> None:
        """Nobody took the order."""
        for one in self._rounds():
            self._do(one, one.not_run(call_id))

    def executor_lost(self) -> None:
        for one in self._rounds():
            self._do(one, one.executor_lost())

    def executor_back(self, now_ms: float) -> None:
        for one in self._rounds():
            self._do(one, one.executor_back(now_ms))

    def interrupt(self) -> tuple[ToolRecord, ...]:
        """The reply that waits is over; returns its calls as they stand. What survives goes on behind it."""
        one, self._round = self._round, None
        if one is None:
            return ()
        self._do(one, one.interrupt())
        if not one.over:
            self._detached = [*self._detached[-_MOST_DETACHED + 1 :], one]
        return one.records

    def end(self) -> None:
        """The session is over: nothing is waited for any more."""
        self._round = None
        self._detached = []

    def _rounds(self) -> list[ToolRound]:
        return self._detached + ([self._round] if self._round is not None else [])

    def _do(self, one: ToolRound, actions: Sequence[RoundAction]) -> None:
        for action in actions:
            match action:
                case Run():
                    self._run(one.key, action)
                case Cancel():
                    if not action.tool.on_page and self.orders is not None:
                        self.orders.cancel(action.call)
                case SayFiller():
                    self._say_filler(action.text)
                case Settled():
                    self._settled(one, action)
                case RoundOver():
                    self._round_over(one)

    def _run(self, key: AttemptKey, action: Run) -> None:
        call = action.call
        if not action.tool.read_only:
            self._acted(key)
        self._note(ToolCalled(key, call.id, call.name, call.arguments))
        self._log.info("tool called", tool=call.name, call=call.id, turn=key[0])
        if action.tool.on_page:
            self._page.tool_in_progress(call.id, call.name, call.arguments)
        elif self.orders is not None:
            self.orders.run(key, call, action.tool)

    def _settled(self, one: ToolRound, action: Settled) -> None:
        record = action.record
        self._log.info("tool over", tool=record.name, call=record.id, outcome=record.outcome, turn=one.key[0])
        self._note(ToolSettled(record.id, record.name, record.arguments, record.outcome, record.result))
        self._page.tool_stopped(record)
        if one in self._detached:
            self._late(record)

    def _round_over(self, one: ToolRound) -> None:
        if one in self._detached:
            self._detached.remove(one)
        elif one is self._round:
            self._round = None
            self._over(one.key, one.records)


def _traits(section: ToolSection) -> ToolTraits:
    return ToolTraits(
        section.kind == _PAGE,
        section.timeout_ms,
        section.read_only,
        section.idempotent,
        section.survives_interruption,
        section.filler,
        section.filler_after_ms,
    )
