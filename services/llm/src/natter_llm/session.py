"""One session's generations: turn frames in, replies out, cut into segments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from natter_common.trace import trace_id_of
from natter_common.worker import Outlet, Reached, StageSession
from natter_llm.context import request_of, segments_kept, summary_request
from natter_llm.lease_settings import parse_settings
from natter_llm.provider import ChatMessage, Delta, End, LlmError, LlmProvider, LlmRequest, ToolCalls
from natter_llm.segmenter import FirstSegment, Segment, Segmenter
from natter_llm.tools.desk import ToolDesk
from natter_llm.tools.toolkit import ToolKit
from natter_proto import (
    CancelTool,
    EndReason,
    Fault,
    Header,
    Lease,
    Modality,
    Reply,
    ReplyKind,
    Stage,
    State,
    Summarize,
    Tool,
    ToolResult,
    Turn,
    WorkerAnswer,
)
from natter_proto import ToolCall as ToolCallFrame
from natter_proto import Usage as UsageFrame

_REASONS: Final = {
    "stop": EndReason.END_REASON_STOP,
    "length": EndReason.END_REASON_LENGTH,
    "tool_calls": EndReason.END_REASON_TOOL_CALLS,
    "filtered": EndReason.END_REASON_FILTERED,
}

_SUMMARY_DEADLINE_S: Final = 25.0
_FIRST_TOKEN_LIMIT_S: Final = 1.5
"""Over it callers wait for the model more than for anything else."""
_Attempt = tuple[int, int]
_Key = tuple[int, int, int]
"""Turn, attempt and step: an attempt goes on with another generation behind its tools."""
_Note = Callable[[int, int, int], None]


class LlmSession(StageSession):
    """Runs the attempts that the newest state names, one task each; the task of any other is cancelled at once."""

    def __init__(self, lease: Lease, outlet: Outlet, provider: LlmProvider, toolkit: ToolKit) -> None:
        self._settings = parse_settings(lease.settings)
        self._runner = toolkit.runner(self._settings.tools, outlet.ask_tool)
        self._desk: ToolDesk | None = None
        self._session = lease.session
        self._outlet = outlet
        self._provider = provider
        self._living: set[_Attempt] = set()
        # Generations begun; those of dead attempts are forgotten.
        self._turns: dict[_Key, Turn] = {}
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._reached = Reached()

    async def on_state(self, state: State) -> None:
        self._living = set() if state.ended else {(attempt.turn, attempt.attempt) for attempt in state.attempts}
        for key in [key for key in self._turns if key[:2] not in self._living]:
            del self._turns[key]
            if (task := self._tasks.pop(key, None)) is not None:
                task.cancel()

    async def on_turn(self, turn: Turn) -> None:
        key = (turn.header.turn, turn.header.attempt, turn.step)
        if turn.verbatim or key in self._turns:
            return
        if key[:2] not in self._living:
            self._outlet.metrics.drop("turn", "dead_attempt")
            return
        self._turns[key] = turn
        self._wake.set()

    def on_tool(self, tool: Tool) -> WorkerAnswer:
        if self._desk is None:
            return WorkerAnswer(ok=False, code="not_ready", words="the session has not begun")
        return self._desk.order(tool)

    def on_cancel_tool(self, cancel: CancelTool) -> WorkerAnswer:
        return WorkerAnswer(ok=True) if self._desk is None else self._desk.cancel(cancel.id)

    async def summarize(self, request: Summarize) -> WorkerAnswer:
        text = ""
        try:
            async with asyncio.timeout(_SUMMARY_DEADLINE_S):
                async with aclosing(self._provider.generate(summary_request(request, self._settings))) as events:
                    async for event in events:
                        if isinstance(event, Delta):
                            text += event.text
        except (LlmError, TimeoutError) as error:
            return WorkerAnswer(ok=False, code="failed", words=str(error) or "it took too long")
        return WorkerAnswer(ok=True, text=text)

    async def run(self) -> None:
        for problem in self._runner.problems():
            self._outlet.log.warning("tool can't run", reason=problem)
        try:
            async with asyncio.TaskGroup() as group:
                self._desk = ToolDesk(self._runner, self._report_tool, group, self._outlet.log)
                if self._settings.prompt:
                    group.create_task(self._warm(self._settings.prompt), name="llm-warm")
                while True:
                    for key, turn in self._turns.items():
                        if key not in self._tasks:
                            name = f"llm-{key[0]}.{key[1]}.{key[2]}"
                            self._tasks[key] = group.create_task(self._answer(turn), name=name)
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._runner.close()

    async def _report_tool(self, result: ToolResult, order: Header) -> None:
        header = Header(turn=order.turn, attempt=order.attempt, traceparent=order.traceparent)
        await self._outlet.tool(Tool(header=header, result=result))

    def reached(self) -> Reached:
        return self._reached

    async def _warm(self, prompt: str) -> None:
        try:
            tools = tuple(tool.for_model() for tool in self._settings.tools)
            messages = (ChatMessage("system", prompt),)
            await self._provider.warm(LlmRequest(self._session, messages, model=self._settings.model, tools=tools))
        except LlmError as error:
            self._outlet.log.info("prompt was not cached", code=error.code)

    async def _answer(self, turn: Turn) -> None:
        key = (turn.header.turn, turn.header.attempt)
        log = self._outlet.log.bind(turn=key[0], attempt=key[1], trace_id=trace_id_of(turn.header.traceparent))
        try:
            await _Generation(self._outlet, self._provider, turn, self._settings.first_segment, self._note).run(
                request_of(turn, self._settings)
            )
        except LlmError as error:
            log.warning("generation failed", code=error.code, reason=str(error))
            await self._outlet.fault(
                Fault(
                    header=_header(turn),
                    code=error.code,
                    stage=Stage.STAGE_LLM,
                    provider=self._provider.name,
                    retryable=error.retryable,
                    words=str(error),
                )
            )

    def _note(self, turn: int, attempt: int, segment: int) -> None:
        if (turn, attempt, segment) > (self._reached.turn, self._reached.attempt, self._reached.segment):
            self._reached = Reached(turn=turn, attempt=attempt, segment=segment)


class _Generation:
    """Publishes one generation as it comes."""

    def __init__(
        self, outlet: Outlet, provider: LlmProvider, turn: Turn, first_segment: FirstSegment, note: _Note
    ) -> None:
        self._outlet = outlet
        self._provider = provider
        self._turn = turn
        self._note = note
        # What is only read need not come in pieces.
        first = "sentence" if turn.modality == Modality.MODALITY_TEXT else first_segment
        self._segmenter = Segmenter(segments_kept(turn), first)
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._marks: set[str] = set()

    async def run(self, request: LlmRequest) -> None:
        async with aclosing(self._provider.generate(request)) as events:
            async for event in events:
                match event:
                    case Delta(text, border):
                        took_s = self._mark("first_token")
                        if took_s:
                            self._outlet.took(took_s, _FIRST_TOKEN_LIMIT_S)
                        await self._send(Reply(kind=ReplyKind.REPLY_KIND_DELTA, text=text, took_ms=took_s * 1000.0))
                        await self._send_segments(self._segmenter.feed(text, self._clock(), border=border))
                    case ToolCalls(calls):
                        # What was said before is complete: the tools' round may be over before anything follows.
                        await self._send_segments(self._segmenter.finish())
                        frames = [ToolCallFrame(id=call.id, name=call.name, arguments=call.arguments) for call in calls]
                        await self._send(Reply(kind=ReplyKind.REPLY_KIND_TOOL_CALLS, tool_calls=frames))
                    case End():
                        await self._end(event)

    async def _end(self, end: End) -> None:
        await self._send_segments(self._segmenter.finish(cut_off=end.reason == "length"))
        self._mark("reply")
        usage = UsageFrame(
            prompt_tokens=end.usage.prompt_tokens,
            completion_tokens=end.usage.completion_tokens,
            cached_tokens=end.usage.cached_tokens,
            estimated=end.usage.estimated,
        )
        await self._send(
            Reply(
                kind=ReplyKind.REPLY_KIND_END,
                reason=_REASONS[end.reason],
                usage=usage,
                segments=self._segmenter.segments,
            )
        )

    async def _send_segments(self, segments: list[Segment]) -> None:
        for segment in segments:
            self._mark("first_segment")
            header = self._turn.header
            self._note(header.turn, header.attempt, segment.number)
            await self._send(
                Reply(kind=ReplyKind.REPLY_KIND_SEGMENT, text=segment.text, spoken=segment.spoken), segment.number
            )

    async def _send(self, reply: Reply, segment: int = 0) -> None:
        reply.provider = self._provider.name
        reply.step = self._turn.step
        reply.header.MergeFrom(_header(self._turn, segment))
        await self._outlet.reply(reply)

    def _mark(self, work: str) -> float:
        """Observe the time since the turn came, once per kind of work; 0 when it was observed before."""
        if work in self._marks:
            return 0.0
        self._marks.add(work)
        took_s = self._clock() - self._started
        self._outlet.metrics.stage_latency.labels("llm", self._provider.name, work).observe(took_s)
        return took_s


def _header(turn: Turn, segment: int = 0) -> Header:
    header = turn.header
    return Header(turn=header.turn, attempt=header.attempt, segment=segment, traceparent=header.traceparent)
