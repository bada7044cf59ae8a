"""Orders of a session: each runs once, and each outcome is reported once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from natter_llm.tools import BotTool, ToolDesk, ToolKind, ToolRunner
from natter_llm.tools.desk import MOST_RUNNING
from natter_llm.tools.execution import ToolRequest, ToolText
from natter_proto import Header, Tool, ToolCall, ToolOutcome, ToolResult

RESULT = ToolOutcome.TOOL_OUTCOME_RESULT
CANCELLED = ToolOutcome.TOOL_OUTCOME_CANCELLED


class Gated:
    """Runs when it is let; notes what it did. A tool whose arguments say ``trip`` raises what nobody expects."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.stopped: list[str] = []
        self.gate = asyncio.Event()

    def problems(self, tool: BotTool) -> list[str]:
        del tool
        return []

    async def execute(self, request: ToolRequest) -> ToolText:
        self.began.append(request.call_id)
        if request.arguments.get("trip"):
            raise KeyError("a bug")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.append(request.call_id)
            raise
        return ToolText(f"done {request.call_id}")


class Session:
    """The desk with what it reported."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        tools = [
            BotTool.model_validate({"name": "slow", "kind": "nats"}),
            BotTool.model_validate({"name": "brief", "kind": "nats", "timeout_ms": 100}),
            BotTool.model_validate({"name": "look", "kind": "nats", "read_only": True}),
        ]
        self.executor = Gated()
        self.reports: list[tuple[ToolResult, Header]] = []
        self._changed = asyncio.Condition()
        runner = ToolRunner(tools, {ToolKind.NATS: self.executor})
        self.desk = ToolDesk(runner, self._report, tasks, structlog.get_logger())

    def order(self, call_id: str, name: str = "slow", arguments: str = "{}", attempt: int = 1) -> bool:
        call = ToolCall(id=call_id, name=name, arguments=arguments)
        return self.desk.order(Tool(header=Header(session="abcd", turn=1, attempt=attempt), call=call)).ok

    async def _report(self, result: ToolResult, header: Header) -> None:
        async with self._changed:
            self.reports.append((result, header))
            self._changed.notify_all()

    async def reported(self, count: int) -> list[tuple[str, Any]]:
        """Wait for that many reports; gives all as (id, outcome)."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.reports) >= count)
        return [(result.id, result.outcome) for result, _ in self.reports]

    async def settled(self) -> None:
        """Let everything run that can."""
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def session() -> AsyncGenerator[Session]:
    async with asyncio.TaskGroup() as tasks:
        yield Session(tasks)


async def test_calls_run_side_by_side_and_are_reported_with_the_header_of_their_order() -> None:
    async with session() as it:
        assert it.order("1.0.0", attempt=2)
        assert it.order("1.0.1", attempt=3)
        await it.settled()
        assert it.executor.began == ["1.0.0", "1.0.1"]
        assert it.desk.running == 2
        it.executor.gate.set()
        assert sorted(await it.reported(2)) == [("1.0.0", RESULT), ("1.0.1", RESULT)]
        assert {result.id: header.attempt for result, header in it.reports} == {"1.0.0": 2, "1.0.1": 3}
    assert it.desk.running == 0


async def test_the_same_order_again_never_runs_again() -> None:
    async with session() as it:
        assert it.order("1.0.0")
        await it.settled()
        assert it.order("1.0.0")
        it.executor.gate.set()
        await it.reported(1)
        await it.settled()
        assert len(it.reports) == 1
        # Who orders again when it is done has missed the report.
        assert it.order("1.0.0")
        await it.reported(2)
        assert [result.result for result, _ in it.reports] == ["done 1.0.0"] * 2
        assert it.executor.began == ["1.0.0"]


async def test_cancelled_in_the_middle_and_before_it_began() -> None:
    async with session() as it:
        assert it.order("1.0.0")
        await it.settled()
        assert it.order("1.0.1", "look")
        assert it.desk.cancel("1.0.0").ok
        assert it.desk.cancel("1.0.1").ok
        assert it.desk.cancel("1.0.1").ok
        assert it.desk.cancel("unknown").ok
        assert sorted(await it.reported(2)) == [("1.0.0", CANCELLED), ("1.0.1", CANCELLED)]
        await it.settled()
        assert len(it.reports) == 2
        assert it.executor.began == it.executor.stopped == ["1.0.0"]
        texts = {result.id: result.result for result, _ in it.reports}
        assert texts["1.0.0"] == "slow was cancelled; whether it took effect is not known."
        assert texts["1.0.1"] == "look was cancelled."
        # It stays so.
        assert it.order("1.0.0")
        await it.reported(3)
        assert it.reports[2][0].outcome == CANCELLED
        assert it.executor.began == ["1.0.0"]


async def test_a_cancel_behind_the_end_changes_nothing() -> None:
    async with session() as it:
        it.executor.gate.set()
        assert it.order("1.0.0")
        assert await it.reported(1) == [("1.0.0", RESULT)]
        it.desk.cancel("1.0.0")
        await it.settled()
        assert len(it.reports) == 1


async def test_a_time_out_and_a_bug_are_outcomes_too() -> None:
    async with session() as it:
        assert it.order("1.0.0", "brief")
        assert it.order("1.0.1", arguments='{"trip": true}')
        assert it.order("1.0.2", "nobody knows it")
        outcomes = dict(await it.reported(3))
        assert outcomes == {
            "1.0.0": ToolOutcome.TOOL_OUTCOME_TIMEOUT,
            "1.0.1": ToolOutcome.TOOL_OUTCOME_ERROR,
            "1.0.2": ToolOutcome.TOOL_OUTCOME_ERROR,
        }
        texts = {result.id: result.result for result, _ in it.reports}
        assert texts["1.0.1"] == "slow failed: KeyError."
        assert it.executor.stopped == ["1.0.0"]


async def test_what_runs_at_the_end_of_the_lease_is_stopped_and_reported() -> None:
    made: list[Session] = []

    async def lease() -> None:
        async with session() as it:
            made.append(it)
            it.order("1.0.0")
            await it.settled()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await lease()
    (it,) = made
    assert it.executor.stopped == ["1.0.0"]
    assert [(result.id, result.outcome) for result, _ in it.reports] == [("1.0.0", CANCELLED)]


async def test_too_many_at_once_are_refused_and_a_call_needs_an_id() -> None:
    async with session() as it:
        assert not it.order("")
        assert all(it.order(f"1.0.{number}") for number in range(MOST_RUNNING))
        assert not it.order("1.1.0")
        assert it.order("1.0.0"), "that one is known"
        it.executor.gate.set()
        await it.reported(MOST_RUNNING)
        assert it.order("1.1.0")
        await it.reported(MOST_RUNNING + 1)
        assert len(it.reports) == MOST_RUNNING + 1
