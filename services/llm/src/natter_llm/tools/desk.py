"""Takes a session's orders to run tools and reports what became of each, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from natter_common.logs import Log
from natter_llm.tools.ledger import Standing, ToolLedger
from natter_llm.tools.runner import ToolRunner
from natter_proto import Header, Tool, ToolCall, ToolOutcome, ToolResult, WorkerAnswer

MOST_RUNNING: Final = 32
"""Calls of one session at the same time; what is over is refused."""

ReportResult = Callable[[ToolResult, Header], Coroutine[Any, Any, None]]


class ToolDesk:
    """Orders in, results out.

    Every call that was accepted is reported exactly once, also when it ran out of time or was cancelled (by `cancel`,
    or with the task group at the end of the lease). The same id ordered again never runs again: while it runs its one
    report stands for both; when it is done the same result is reported anew, for whoever orders again has missed it.
    """

    def __init__(self, runner: ToolRunner, report: ReportResult, tasks: asyncio.TaskGroup, log: Log) -> None:
        """`report` gets the header of the order with each result; the calls' tasks live in `tasks`.

        Opens the runner, whose close is left to its owner.
        """
        runner.open()
        self._runner = runner
        self._report = report
        self._tasks = tasks
        self._log = log
        self._ledger = ToolLedger()
        self._running: dict[str, tuple[ToolCall, Header, asyncio.Task[None]]] = {}

    @property
    def running(self) -> int:
        """Calls that run now."""
        return len(self._running)

    def order(self, tool: Tool) -> WorkerAnswer:
        """Start a call, or recognise it. The answer says that it is accepted, never what became of it."""
        call, header = tool.call, tool.header
        if not call.id:
            return WorkerAnswer(ok=False, code="bad_call", words="the call has no id")
        if self._ledger.result(call.id) is None and call.id not in self._running and self.running >= MOST_RUNNING:
            return WorkerAnswer(ok=False, code="busy", words=f"{MOST_RUNNING} tools of this session run already")
        match self._ledger.enter(call.id):
            case Standing.NEW:
                task = self._tasks.create_task(self._run(call, header), name=f"tool-{call.id}")
                self._running[call.id] = (call, header, task)
            case Standing.DONE:
                known = self._ledger.result(call.id)
                if known is not None:
                    self._tasks.create_task(self._report(known, header), name=f"tool-again-{call.id}")
            case Standing.RUNNING:
                pass
        return WorkerAnswer(ok=True)

    def cancel(self, call_id: str) -> WorkerAnswer:
        """Stop a call; its outcome is reported as cancelled, unless it is done. One that does not run is no error."""
        running = self._running.get(call_id)
        if running is not None:
            call, header, task = running
            # Settled here and not by the task: one that has not begun yet would never get to it.
            self._tasks.create_task(self._settle(self._cancelled(call), header), name=f"tool-cancelled-{call_id}")
            task.cancel()
        return WorkerAnswer(ok=True)

    async def _run(self, call: ToolCall, header: Header) -> None:
        log = self._log.bind(tool=call.name, call=call.id)
        began = asyncio.get_running_loop().time()
        try:
            result = await self._runner.run(call, header)
        except asyncio.CancelledError:
            await self._settle(self._cancelled(call), header)
            raise
        except Exception as error:
            # Whatever an executor trips over, the call has an outcome, and the session's other work goes on.
            log.exception("tool failed")
            words = f"{call.name} failed: {type(error).__name__}."
            result = ToolResult(id=call.id, name=call.name, outcome=ToolOutcome.TOOL_OUTCOME_ERROR, result=words)
        took_ms = round((asyncio.get_running_loop().time() - began) * 1000)
        log.info("tool ran", outcome=ToolOutcome.Name(result.outcome), took_ms=took_ms, characters=len(result.result))
        await self._settle(result, header)

    async def _settle(self, result: ToolResult, header: Header) -> None:
        self._running.pop(result.id, None)
        if self._ledger.settle(result.id, result):
            await self._report(result, header)

    def _cancelled(self, call: ToolCall) -> ToolResult:
        tool = self._runner.tools.get(call.name)
        unknown = "" if tool is None or tool.read_only else "; whether it took effect is not known"
        return ToolResult(
            id=call.id,
            name=call.name,
            outcome=ToolOutcome.TOOL_OUTCOME_CANCELLED,
            result=f"{call.name} was cancelled{unknown}.",
        )
