"""Runs the calls of one session: finds the tool, checks the arguments, keeps the deadline and the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from natter_llm.tools.arguments import ArgumentsSchema
from natter_llm.tools.definition import BotTool, ToolKind
from natter_llm.tools.execution import ToolExecutor, ToolFailedError, ToolRequest, shortened
from natter_proto import Header, ToolCall, ToolOutcome, ToolResult


class ToolRunner:
    """The tools of one lease. Calls may run at the same time.

    `hold` takes what the executors should have ready for the session (MCP servers) and returns how to let go of it.
    """

    def __init__(
        self,
        tools: Sequence[BotTool],
        executors: Mapping[ToolKind, ToolExecutor],
        hold: Callable[[], Callable[[], None]] | None = None,
    ) -> None:
        self.tools: Final = {tool.name: tool for tool in tools}
        self._executors: Final = executors
        self._schemas: Final = {tool.name: ArgumentsSchema(tool.parameters) for tool in tools}
        self._hold = hold
        self._let_go: Callable[[], None] | None = None

    def problems(self) -> list[str]:
        """What keeps tools from running, known without trying: a missing secret, a program that is not allowed."""
        return [
            f"tool {tool.name}: {problem}"
            for tool in self.tools.values()
            if (executor := self._executors.get(tool.kind)) is not None
            for problem in executor.problems(tool)
        ]

    async def run(self, call: ToolCall, header: Header) -> ToolResult:
        """What became of the call: never raises but for cancellation, and then the work is stopped.

        ``header`` is the order's: it names the session, and goes along to whoever serves the tool.
        """
        try:
            outcome, text = await self._run(call, header)
        except ToolFailedError as error:
            outcome, text = ToolOutcome.TOOL_OUTCOME_ERROR, str(error)
        return ToolResult(id=call.id, name=call.name, outcome=outcome, result=text)

    def open(self) -> None:
        """The session begins: what its tools need is opened in the background. Calls work without it, only later."""
        if self._hold is not None and self._let_go is None:
            self._let_go = self._hold()

    def close(self) -> None:
        """The session is over; harmless when it was never opened."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()

    async def _run(self, call: ToolCall, header: Header) -> tuple[ToolOutcome, str]:
        tool = self.tools.get(call.name)
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            raise ToolFailedError(f"There is no tool {call.name[:64]!r}. There are: {known}.")
        executor = self._executors.get(tool.kind)
        if executor is None:
            raise ToolFailedError(f"Tools of kind {tool.kind} don't run here.")
        arguments = self._schemas[tool.name].parse(call.arguments)
        request = ToolRequest(tool, call.id, arguments, call.arguments or "{}", header)
        try:
            async with asyncio.timeout(tool.timeout_ms / 1000.0):
                text = await executor.execute(request)
        except TimeoutError:
            words = f"{tool.name} did not answer within {tool.timeout_ms / 1000.0:g} seconds"
            unknown = "." if tool.read_only else "; whether it took effect is not known."
            return ToolOutcome.TOOL_OUTCOME_TIMEOUT, words + unknown
        return ToolOutcome.TOOL_OUTCOME_RESULT, shortened(text, tool.max_result_characters)
