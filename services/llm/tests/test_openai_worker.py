"""The llm worker over a real broker with the provider `openai`: a turn, an interruption, a fault in words."""

import asyncio
import json
from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from structlog import get_logger

from natter_common.worker import StageDefinition
from natter_emulators.server import Exchange, Router, serve
from natter_llm.main import define
from natter_llm.openai.provider import OpenAiProvider, OpenAiSettings
from natter_llm.provider import LlmProvider
from natter_llm.tools.toolkit import ToolKit
from natter_proto import Attempt, EndReason, Fault, Message, Reply, ReplyKind, Role, Stage, Turn
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test


def serving(providers: Mapping[str, LlmProvider]) -> StageDefinition:
    """The stage with these providers, and no environment for tools."""
    return define(providers, ToolKit({}, get_logger()))


class Server:
    """Says what is in `texts` and ends, or hangs after it; answers with `status` else."""

    def __init__(self, *texts: str, hangs: bool = False, status: int = 200) -> None:
        self._texts = texts
        self._hangs = hangs
        self._status = status
        self.gone = asyncio.Event()

    def router(self) -> Router:
        router = Router()
        router.http("GET", "/v1/models", self._models)
        router.http("POST", "/v1/chat/completions", self._chat)
        return router

    async def _models(self, exchange: Exchange) -> None:
        await exchange.respond(200, {"data": [{"id": "m"}]})

    async def _chat(self, exchange: Exchange) -> None:
        if self._status != 200:
            await exchange.respond(self._status, {"error": {"message": "No."}})
            return
        await exchange.start("text/event-stream")
        for text in self._texts:
            choice = {"index": 0, "delta": {"content": text}}
            await exchange.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        try:
            if self._hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.gone.set()
            raise
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 9}}
        await exchange.write(f"data: {json.dumps(end)}\n\ndata: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())


async def provider_at(port: int) -> OpenAiProvider:
    provider = OpenAiProvider(OpenAiSettings(key="key", base_url=f"http://127.0.0.1:{port}/v1"))  # type: ignore[arg-type]
    await provider.load(CollectorRegistry())
    return provider


async def begin(stage: StageHarness) -> None:
    assert (await stage.lease(new_lease(Stage.STAGE_LLM, "openai", '{"prompt": "Be brief."}'))).ok
    await stage.send_state([Attempt(turn=1, attempt=1)])
    context = [Message(role=Role.ROLE_SYSTEM, content="Be brief.")]
    await stage.send_turn(Turn(header=stage.header(1, 1), text="How are you?", context=context))


async def test_a_turn(nats_url: str, realm: str) -> None:
    server = Server("Well hello", " there, my", " friend. How", " are you?")
    async with serve(server.router()) as port:
        provider = await provider_at(port)
        async with stage_under_test(serving({"openai": provider}), nats_url, realm) as stage:
            await begin(stage)
            end = await stage.wait_for(Reply, lambda reply: reply.kind == ReplyKind.REPLY_KIND_END)
            segments = [reply.text for reply in stage.of(Reply) if reply.kind == ReplyKind.REPLY_KIND_SEGMENT]
    assert segments == ["Well hello there, ", "my friend. ", "How are you?"]
    assert (end.reason, end.provider) == (EndReason.END_REASON_STOP, "openai")
    assert (end.usage.prompt_tokens, end.usage.completion_tokens, end.usage.estimated) == (30, 9, False)


async def test_an_attempt_that_is_dead_ends_at_the_server(nats_url: str, realm: str) -> None:
    server = Server("Well hello", hangs=True)
    async with serve(server.router()) as port:
        provider = await provider_at(port)
        async with stage_under_test(serving({"openai": provider}), nats_url, realm) as stage:
            await begin(stage)
            await stage.wait_for(Reply)
            await stage.send_state([Attempt(turn=1, attempt=2)])
            async with asyncio.timeout(10):
                await server.gone.wait()
            assert stage.of(Fault) == []


async def test_a_fault_says_what_to_do(nats_url: str, realm: str) -> None:
    async with serve(Server(status=401).router()) as port:
        provider = await provider_at(port)
        async with stage_under_test(serving({"openai": provider}), nats_url, realm) as stage:
            await begin(stage)
            fault = await stage.wait_for(Fault)
    assert (fault.code, fault.retryable, fault.provider) == ("unauthorized", False, "openai")
    assert "OPENAI_API_KEY" in fault.words
