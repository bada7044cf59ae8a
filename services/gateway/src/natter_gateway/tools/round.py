"""One round of tools: the calls at which a generation ended, side by side, until each has an outcome. Pure.

A call runs at most once. It starts at once when its tool only reads, others after a moment of quiet, in which the
caller may still take the turn back. Where its executor dies, its outcome is unknown, unless the tool is idempotent:
then it runs again under the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from natter_gateway.context import ToolRecord
from natter_gateway.turns.events import AttemptKey

QUIET_MS: Final = 500.0
EXECUTOR_MARGIN_MS: Final = 2_000.0
"""A worker enforces a tool's time itself; when it has said nothing this long after, it is not waited for any more."""


EXECUTOR_WAIT_MS: Final = 10_000.0
"""A call that nobody is there to run waits this much longer than its own time for somebody."""

_UNKNOWN: Final = "Whether it ran is unknown: what ran it broke down."


class Outcome(StrEnum):
    """What became of a call."""

    RESULT = "result"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    RUNNING = "running"
    """Only in the context: it goes on behind an interruption."""


@dataclass(frozen=True, slots=True)
class ToolTraits:
    """What a round has to know of a tool."""

    on_page: bool
    """It runs in the caller's page; else an llm worker runs it."""
    timeout_ms: float
    read_only: bool
    idempotent: bool
    survives_interruption: bool
    filler: str
    filler_after_ms: float


@dataclass(frozen=True, slots=True)
class Call:
    """A call; `id` is turn.step.index, `arguments` a JSON object as the model wrote it."""

    id: str
    name: str
    arguments: str


# --- What a round wants done


@dataclass(frozen=True, slots=True)
class Run:
    """Have it run."""

    call: Call
    tool: ToolTraits


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop it, if it still runs."""

    call: Call
    tool: ToolTraits


@dataclass(frozen=True, slots=True)
class SayFiller:
    """It takes a while: say this, if nothing is being said."""

    text: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A call has its outcome."""

    record: ToolRecord
    tool: ToolTraits | None


@dataclass(frozen=True, slots=True)
class RoundOver:
    """Every call has its outcome: the model goes on."""


RoundAction = Run | Cancel | SayFiller | Settled | RoundOver

# --- States of a call


@dataclass(frozen=True, slots=True)
class _Waiting:
    from_ms: float
    """Not before."""
    due_ms: float
    """Not beyond, whoever is missing."""
    tried: bool = False
    """It was begun before, by an executor that died."""


@dataclass(frozen=True, slots=True)
class _Running:
    due_ms: float
    wait_until_ms: float
    """How long it may wait, if it has to begin anew."""


@dataclass(frozen=True, slots=True)
class _Done:
    record: ToolRecord


_State = _Waiting | _Running | _Done


class ToolRound:
    """The calls of one generation."""

    def __init__(self, key: AttemptKey, calls: Sequence[Call], tools: Mapping[str, ToolTraits], now_ms: float) -> None:
        self.key: Final = key
        self._calls: Final = {call.id: call for call in calls}
        self._tools: Final = tools
        self._states: dict[str, _State] = {}
        self._actions: list[RoundAction] = []
        self._filler_due_ms: float | None = None
        self._executor_here = True
        self._held = False
        self._interrupted = False
        self._over_told = False
        for call in calls:
            tool = tools.get(call.name)
            if tool is None:
                self._settle(call, Outcome.ERROR, f"There is no tool named {call.name[:64]!r}.")
                continue
            from_ms = now_ms if tool.read_only else now_ms + QUIET_MS
            self._states[call.id] = _Waiting(from_ms, from_ms + tool.timeout_ms + EXECUTOR_WAIT_MS)
            if tool.filler and self._filler_due_ms is None:
                self._filler_due_ms = now_ms + tool.filler_after_ms
                self._filler = tool.filler

    @property
    def over(self) -> bool:
        return all(isinstance(state, _Done) for state in self._states.values())

    @property
    def records(self) -> tuple[ToolRecord, ...]:
        """Each call as it stands now, in the model's order."""
        return tuple(self._record(call) for call in self._calls.values())

    @property
    def deadline_ms(self) -> float | None:
        """When to call `tick` at the latest."""
        dues = [state.due_ms for state in self._states.values() if isinstance(state, _Running)]
        dues += [
            state.from_ms if self._can_start(self._calls[call_id]) else state.due_ms
            for call_id, state in self._states.items()
            if isinstance(state, _Waiting)
        ]
        if self._filler_due_ms is not None and dues:
            dues.append(self._filler_due_ms)
        return min(dues, default=None)

    def tick(self, now_ms: float) -> list[RoundAction]:
        """Time passes."""
        for call_id, state in list(self._states.items()):
            call = self._calls[call_id]
            match state:
                case _Waiting() if now_ms >= state.from_ms and self._can_start(call):
                    tool = self._tools[call.name]
                    margin_ms = 0.0 if tool.on_page else EXECUTOR_MARGIN_MS
                    self._states[call_id] = _Running(now_ms + tool.timeout_ms + margin_ms, state.due_ms)
                    self._actions.append(Run(call, tool))
                case _Waiting() if now_ms >= state.due_ms and state.tried:
                    self._settle(call, Outcome.UNKNOWN, _UNKNOWN)
                case _Waiting() if now_ms >= state.due_ms:
                    self._settle(call, Outcome.ERROR, "It was not run: nobody was there to run it.")
                case _Running() if now_ms >= state.due_ms:
                    self._give_up(call)
                case _:
                    pass
        if self._filler_due_ms is not None and now_ms >= self._filler_due_ms:
            self._filler_due_ms = None
            if not self.over and not self._interrupted:
                self._actions.append(SayFiller(self._filler))
        return self._take()

    def hold(self) -> None:
        """The caller may be taking the turn back: what does more than read does not begin."""
        self._held = True

    def release(self, now_ms: float) -> list[RoundAction]:
        """The caller is not: what waited needs its moment of quiet again."""
        self._held = False
        for call_id, state in list(self._states.items()):
            if isinstance(state, _Waiting) and not self._tools[self._calls[call_id].name].read_only:
                self._states[call_id] = replace(state, from_ms=max(state.from_ms, now_ms + QUIET_MS))
        return self.tick(now_ms)

    def on_result(self, call_id: str, outcome: Outcome, result: str) -> list[RoundAction]:
        """What became of a call. One that has its outcome already, or was never made, changes nothing."""
        if isinstance(self._states.get(call_id), _Running):
            self._settle(self._calls[call_id], outcome, result)
        return self._take()

    def not_run(self, call_id: str) -> list[RoundAction]:
        """Nobody was there to take the order: it has not run, and waits for an executor."""
        state = self._states.get(call_id)
        if isinstance(state, _Running):
            self._executor_here = False
            self._states[call_id] = _Waiting(0.0, state.wait_until_ms)
        return self._take()

    def executor_lost(self) -> list[RoundAction]:
        """The llm worker is gone, and with it what it ran."""
        self._executor_here = False
        for call_id, state in list(self._states.items()):
            call = self._calls[call_id]
            tool = self._tools.get(call.name)
            if not isinstance(state, _Running) or tool is None or tool.on_page:
                continue
            if tool.idempotent and not self._interrupted:
                self._states[call_id] = _Waiting(0.0, state.wait_until_ms, tried=True)
            else:
                self._settle(call, Outcome.UNKNOWN, _UNKNOWN)
        return self._take()

    def executor_back(self, now_ms: float) -> list[RoundAction]:
        """Another llm worker serves the session."""
        self._executor_here = True
        return self.tick(now_ms)

    def interrupt(self) -> list[RoundAction]:
        """The caller took the turn: what may go on goes on, nothing else."""
        self._interrupted = True
        for call_id, state in list(self._states.items()):
            call = self._calls[call_id]
            tool = self._tools.get(call.name)
            match state:
                case _Running() if tool is not None and not tool.survives_interruption:
                    self._actions.append(Cancel(call, tool))
                    self._settle(call, Outcome.CANCELLED, "Cancelled: the caller went on talking.")
                case _Waiting():
                    self._settle(call, Outcome.CANCELLED, "Not run: the caller went on talking.")
                case _:
                    pass
        return self._take()

    def _can_start(self, call: Call) -> bool:
        tool = self._tools[call.name]
        return (self._executor_here or tool.on_page) and (tool.read_only or not self._held)

    def _give_up(self, call: Call) -> None:
        tool = self._tools[call.name]
        self._actions.append(Cancel(call, tool))
        if tool.on_page:
            self._settle(call, Outcome.TIMEOUT, f"No answer within {tool.timeout_ms / 1000:g} s.")
        else:
            self._settle(call, Outcome.UNKNOWN, "Whether it ran is unknown: what ran it does not answer.")

    def _settle(self, call: Call, outcome: Outcome, result: str) -> None:
        record = ToolRecord(call.id, call.name, call.arguments, outcome.value, result)
        self._states[call.id] = _Done(record)
        self._actions.append(Settled(record, self._tools.get(call.name)))

    def _record(self, call: Call) -> ToolRecord:
        state = self._states[call.id]
        if isinstance(state, _Done):
            return state.record
        return ToolRecord(call.id, call.name, call.arguments, Outcome.RUNNING.value, "It is still running.")

    def _take(self) -> list[RoundAction]:
        actions, self._actions = self._actions, []
        if self.over and not self._over_told:
            self._over_told = True
            actions.append(RoundOver())
        return actions
