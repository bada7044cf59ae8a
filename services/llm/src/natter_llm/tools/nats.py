"""Tools that somebody serves over NATS: a request on ``tool.<name>``, answered with a `Tool` frame."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from natter_common.link import LinkDownError, NoAnswerError
from natter_llm.tools.definition import BotTool
from natter_llm.tools.execution import ToolFailedError, ToolRequest, ToolText
from natter_proto import BadFrameError, Header, Tool, ToolCall, ToolOutcome

Ask = Callable[[str, Tool, float], Awaitable[Tool]]
"""Name of the tool, request, seconds to wait: `natter_common.worker.Outlet.ask_tool`."""

_BEHIND_THE_DEADLINE_S: Final = 1.0
"""The request waits longer than the runner does, so that there is one deadline."""


class NatsTools:
    """Asks for one session. A tool served over NATS can't be told to stop: cancelling stops the waiting."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def problems(self, tool: BotTool) -> list[str]:
        del tool
        return []

    async def execute(self, request: ToolRequest) -> ToolText:
        tool = request.tool
        name = tool.nats.tool or tool.name
        order = request.header
        frame = Tool(
            header=Header(turn=order.turn, attempt=order.attempt, traceparent=order.traceparent),
            call=ToolCall(id=request.call_id, name=name, arguments=request.arguments_json),
            read_only=tool.read_only,
            idempotent=tool.idempotent,
        )
        try:
            answer = await self._ask(name, frame, tool.timeout_ms / 1000.0 + _BEHIND_THE_DEADLINE_S)
        except NoAnswerError as error:
            if error.nobody:
                raise ToolFailedError(f"No one serves the tool {name} now.") from error
            raise TimeoutError from error
        except LinkDownError as error:
            raise ToolFailedError("The message broker can't be reached now.") from error
        except BadFrameError as error:
            raise ToolFailedError(f"The answer of {name} can't be read: {error}") from error
        result = answer.result
        if result.id and result.id != request.call_id:
            raise ToolFailedError(f"{name} answered another call.")
        match result.outcome:
            case ToolOutcome.TOOL_OUTCOME_RESULT:
                return ToolText(result.result)
            case ToolOutcome.TOOL_OUTCOME_TIMEOUT:
                raise TimeoutError
            case _:
                raise ToolFailedError(result.result or f"{name} failed without saying why.")
