"""The llm worker over a real broker."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping

import pytest
from prometheus_client import CollectorRegistry
from structlog import get_logger

from natter_common.worker import StageDefinition
from natter_llm.local import LocalProvider
from natter_llm.main import define
from natter_llm.provider import Delta, End, LlmError, LlmEvent, LlmProvider, LlmRequest, ToolCall, ToolCalls, Usage
from natter_llm.tools.toolkit import ToolKit
from natter_proto import (
    Attempt,
    EndReason,
    Fault,
    Message,
    Reply,
    ReplyKind,
    Role,
    Segment,
    Stage,
    Turn,
    WorkerRequest,
)
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test

TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def serving(providers: Mapping[str, LlmProvider]) -> StageDefinition:
    """The stage with these providers, and no environment for tools."""
    return define(providers, ToolKit({}, get_logger()))


class ScriptedProvider:
    """Says what it is told to; ``hang`` in a script waits until it is closed."""

    name = "scripted"

    def __init__(self, *script: str) -> None:
        self.script = script
        self.requests: list[LlmRequest] = []
        self.warmed: list[LlmRequest] = []
        self.closed = asyncio.Event()

    def describe(self) -> str:
        return "scripted"

    async def load(self, registry: CollectorRegistry) -> None: ...

    async def probe(self) -> None: ...

    async def warm(self, request: LlmRequest) -> None:
        self.warmed.append(request)

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmEvent, None]:
        self.requests.append(request)
        try:
            for piece in self.script:
                if piece == "hang":
                    await asyncio.Event().wait()
                elif piece == "fail":
                    raise LlmError("broken", "it broke")
                elif piece == "tool":
                    yield ToolCalls((ToolCall("1", "weather", '{"city":"Ulm"}'),))
                    yield End("tool_calls", Usage())
                    return
                else:
                    yield Delta(piece)
            yield End("stop", Usage(10, len(self.script), 5))
        finally:
            self.closed.set()

    async def close(self) -> None: ...


async def begin(stage: StageHarness, provider: str, settings: str = "{}", **turn: object) -> None:
    assert (await stage.lease(new_lease(Stage.STAGE_LLM, provider, settings))).ok
    await stage.send_state([Attempt(turn=1, attempt=1)])
    header = stage.header(1, 1)
    header.traceparent = TRACE
    context = [Message(role=Role.ROLE_SYSTEM, content="You answer questions briefly in plain English.")]
    fields = {"text": "What is the capital of France?", "context": context} | turn
    await stage.send_turn(Turn(header=header, **fields))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def kinds(stage: StageHarness, kind: ReplyKind) -> list[Reply]:
    return [reply for reply in stage.of(Reply) if reply.kind == kind]


def is_end(reply: Reply) -> bool:
    return reply.kind == ReplyKind.REPLY_KIND_END


async def test_deltas_segments_and_an_end(nats_url: str, realm: str) -> None:
    provider = ScriptedProvider("Well hello", " there, my", " friend. How", " are you?")
    async with stage_under_test(serving({"scripted": provider}), nats_url, realm) as stage:
        await begin(stage, "scripted", '{"temperature": 0.3, "max_tokens": 50, "prompt": "Be brief."}')
        end = await stage.wait_for(Reply, is_end)
        deltas = kinds(stage, ReplyKind.REPLY_KIND_DELTA)
        segments = kinds(stage, ReplyKind.REPLY_KIND_SEGMENT)
        assert "".join(reply.text for reply in deltas) == "Well hello there, my friend. How are you?"
        assert [(reply.header.segment, reply.text) for reply in segments] == [
            (1, "Well hello there, "),
            (2, "my friend. "),
            (3, "How are you?"),
        ]
        assert (end.segments, end.reason, end.usage.prompt_tokens) == (3, EndReason.END_REASON_STOP, 10)
        for reply in stage.of(Reply):
            assert (reply.header.turn, reply.header.attempt, reply.header.traceparent) == (1, 1, TRACE)
        assert deltas[0].took_ms > 0
        (request,) = provider.requests
        assert [message.role for message in request.messages] == ["system", "user"]
        assert (request.temperature, request.max_tokens, request.session) == (0.3, 50, stage.session)
        assert [message.content for message in provider.warmed[0].messages] == ["Be brief."]


async def test_an_attempt_that_the_state_no_longer_names_is_stopped(nats_url: str, realm: str) -> None:
    provider = ScriptedProvider("Hello", "hang")
    async with stage_under_test(serving({"scripted": provider}), nats_url, realm) as stage:
        await begin(stage, "scripted")
        await stage.wait_for(Reply)
        await stage.send_state([Attempt(turn=1, attempt=2)])
        async with asyncio.timeout(10):
            await provider.closed.wait()
        assert kinds(stage, ReplyKind.REPLY_KIND_END) == []


async def test_a_turn_that_the_state_does_not_name_is_not_answered(nats_url: str, realm: str) -> None:
    provider = ScriptedProvider("Hello")
    async with stage_under_test(serving({"scripted": provider}), nats_url, realm) as stage:
        await begin(stage, "scripted")
        await stage.wait_for(Reply, is_end)
        await stage.send_turn(Turn(header=stage.header(2, 1), text="Dead"))
        await stage.send_state([Attempt(turn=3, attempt=1)])
        await stage.send_turn(Turn(header=stage.header(3, 1), text="Alive"))
        await stage.wait_for(Reply, lambda reply: is_end(reply) and reply.header.turn == 3)
        assert [request.messages[-1].content for request in provider.requests[1:]] == ["Alive"]


async def test_two_attempts_run_at_once(nats_url: str, realm: str) -> None:
    provider = ScriptedProvider("Hello", "hang")
    async with stage_under_test(serving({"scripted": provider}), nats_url, realm) as stage:
        await begin(stage, "scripted")
        await stage.wait_for(Reply)
        await stage.send_state([Attempt(turn=1, attempt=1, committed=True), Attempt(turn=2, attempt=1)])
        await stage.send_turn(Turn(header=stage.header(2, 1), text="And now?"))
        await stage.wait_for(Reply, lambda reply: reply.header.turn == 2)
        assert not provider.closed.is_set()


async def test_a_failure_is_said(nats_url: str, realm: str) -> None:
    async with stage_under_test(serving({"scripted": ScriptedProvider("Hello", "fail")}), nats_url, realm) as stage:
        await begin(stage, "scripted")
        fault = await stage.wait_for(Fault)
        assert (fault.code, fault.retryable, fault.header.turn, fault.header.attempt) == ("broken", True, 1, 1)
        assert (await stage.ask(WorkerRequest(ping={}))).ok


async def test_tool_calls_are_passed_on(nats_url: str, realm: str) -> None:
    async with stage_under_test(serving({"scripted": ScriptedProvider("tool")}), nats_url, realm) as stage:
        await begin(stage, "scripted")
        end = await stage.wait_for(Reply, is_end)
        assert end.reason == EndReason.END_REASON_TOOL_CALLS
        (calls,) = kinds(stage, ReplyKind.REPLY_KIND_TOOL_CALLS)
        assert [(call.name, call.arguments) for call in calls.tool_calls] == [("weather", '{"city":"Ulm"}')]


async def test_what_is_said_before_tools_is_complete_before_they_are_called(nats_url: str, realm: str) -> None:
    async with stage_under_test(
        serving({"scripted": ScriptedProvider("Let me look", "tool")}), nats_url, realm
    ) as stage:
        await begin(stage, "scripted")
        await stage.wait_for(Reply, is_end)
        order = [reply.kind for reply in stage.of(Reply) if reply.kind != ReplyKind.REPLY_KIND_DELTA]
        assert order == [
            ReplyKind.REPLY_KIND_SEGMENT,
            ReplyKind.REPLY_KIND_TOOL_CALLS,
            ReplyKind.REPLY_KIND_END,
        ]


async def test_a_takeover_goes_on_with_the_next_number(nats_url: str, realm: str) -> None:
    provider = ScriptedProvider("It is a big city. ", "Bye.")
    kept = [Segment(segment=1, text="The capital is Paris. ", spoken="The capital is Paris.")]
    async with stage_under_test(serving({"scripted": provider}), nats_url, realm) as stage:
        await begin(stage, "scripted", reply_so_far=kept)
        end = await stage.wait_for(Reply, is_end)
        assert [reply.header.segment for reply in kinds(stage, ReplyKind.REPLY_KIND_SEGMENT)] == [2, 3]
        assert end.segments == 3
        assert provider.requests[0].reply_so_far == "The capital is Paris. "


async def test_the_built_in_model_answers(nats_url: str, realm: str, local_model: LocalProvider) -> None:
    async with stage_under_test(serving({"local": local_model}), nats_url, realm) as stage:
        await begin(stage, "local", json.dumps({"temperature": 0, "max_tokens": 20}))
        await stage.wait_for(Reply, is_end)
        segments = kinds(stage, ReplyKind.REPLY_KIND_SEGMENT)
        assert "Paris" in "".join(reply.spoken for reply in segments)


@pytest.mark.parametrize("settings", ['{"temperature": 9}', '{"max_tokens": 0}', "no json"])
async def test_settings_that_can_not_be_are_refused(nats_url: str, realm: str, settings: str) -> None:
    async with stage_under_test(serving({"scripted": ScriptedProvider()}), nats_url, realm) as stage:
        answer = await stage.lease(new_lease(Stage.STAGE_LLM, "scripted", settings))
        assert (answer.ok, answer.code) == (False, "bad_settings")
