"""The provider with the real SDK against servers that are not quite like OpenAI's."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_emulators.server import Exchange, Router, serve
from natter_llm.openai.provider import OpenAiProvider, OpenAiSettings
from natter_llm.provider import (
    ChatMessage,
    Delta,
    End,
    LlmError,
    LlmRequest,
    ToolCall,
    ToolCalls,
    ToolDefinition,
    Usage,
)

ASK = ChatMessage("user", "Please tell me the secret of the weather.")
KEY = "sk-very-secret"

Answer = Callable[[Exchange, dict[str, Any]], Awaitable[None]]


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def stream(exchange: Exchange, events: Sequence[object], *, done: bool = True) -> None:
    await exchange.start("text/event-stream")
    for event in [*events, "[DONE]"] if done else events:
        text = event if isinstance(event, str) else json.dumps(event)
        await exchange.write(f"data: {text}\n\n".encode())


def says(*events: object, done: bool = True) -> Answer:
    async def answer(exchange: Exchange, body: dict[str, Any]) -> None:
        await stream(exchange, events, done=done)

    return answer


def refuses(status: int, **error: Any) -> Answer:
    async def answer(exchange: Exchange, body: dict[str, Any]) -> None:
        await exchange.respond(status, {"error": error})

    return answer


HELLO = says(chunk(content="Hello"), chunk(content=" there."), chunk("stop"))


class Server:
    """Answers each chat request with the next of ``answers``, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.models: object = {"object": "list", "data": [{"id": "first", "object": "model"}, {"id": "second"}]}
        self.lists = 0
        self.gone = asyncio.Event()

    async def chat(self, exchange: Exchange) -> None:
        body = exchange.request.json()
        self.bodies.append(body)
        self.keys.append(exchange.request.headers.get("authorization", ""))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            await answer(exchange, body)
        except asyncio.CancelledError:
            self.gone.set()
            raise

    async def list(self, exchange: Exchange) -> None:
        self.lists += 1
        await exchange.respond(200, self.models)


@asynccontextmanager
async def provider_for(server: Server, registry: CollectorRegistry | None = None) -> AsyncGenerator[OpenAiProvider]:
    router = Router()
    router.http("POST", "/v1/chat/completions", server.chat)
    router.http("GET", "/v1/models", server.list)
    async with serve(router) as port:
        provider = OpenAiProvider(OpenAiSettings(key=KEY, base_url=f"http://127.0.0.1:{port}/v1"))  # type: ignore[arg-type]
        await provider.load(registry or CollectorRegistry())
        try:
            yield provider
        finally:
            await provider.close()


def ask(**fields: Any) -> LlmRequest:
    return LlmRequest("session-1", fields.pop("messages", (ASK,)), **fields)


ErrorOf = Callable[[Answer], Awaitable[LlmError]]


@pytest.fixture
def error_of(listen) -> ErrorOf:
    """What is raised when a server answers so; it quotes neither the key nor what was asked."""

    async def ask_once(answer: Answer) -> LlmError:
        async with provider_for(Server(answer)) as provider:
            with pytest.raises(LlmError) as caught:
                await listen(provider, ask())
        assert KEY not in str(caught.value)
        assert "secret of" not in str(caught.value)
        return caught.value

    return ask_once


async def test_the_first_model_of_the_list_answers_who_names_none(listen) -> None:
    server = Server(HELLO)
    async with provider_for(server) as provider:
        heard = await listen(provider, ask())
        await listen(provider, ask())
        await listen(provider, ask(model="second"))
    assert heard.text == "Hello there."
    assert [body["model"] for body in server.bodies] == ["first", "first", "second"]
    assert server.lists == 1
    assert server.keys[0] == f"Bearer {KEY}"
    # It told no usage.
    end = heard.end
    assert end.usage.estimated
    assert end.usage.completion_tokens >= 2


async def test_what_a_model_refuses_is_remembered(listen) -> None:
    server = Server(
        refuses(400, message="Unsupported parameter: 'max_tokens'", param="max_tokens", code="unsupported_parameter"),
        refuses(400, message="'temperature' does not support 0.3", param="temperature", code="unsupported_value"),
        refuses(422, message="stream_options: Extra inputs are not permitted"),
        HELLO,
    )
    async with provider_for(server) as provider:
        for _ in range(2):
            assert (await listen(provider, ask(model="m", temperature=0.3, max_tokens=9))).text == "Hello there."
        assert (await listen(provider, ask(model="other", temperature=0.3))).text == "Hello there."
    assert len(server.bodies) == 6
    learnt, other = server.bodies[4:]
    assert {"temperature", "max_tokens", "stream_options"}.isdisjoint(learnt)
    assert learnt["max_completion_tokens"] == 9
    assert other["temperature"] == 0.3


async def test_tools_text_and_calls(listen) -> None:
    pieces = [
        chunk(content="Wait. "),
        chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"city'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '":"Ulm"}'}}]),
        chunk("tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 8}},
    ]
    server = Server(says(*pieces))
    async with provider_for(server) as provider:
        heard = await listen(provider, ask(tools=(ToolDefinition("weather", "Tells it.", '{"type":"object"}'),)))
    assert heard.events == [
        Delta("Wait. "),
        ToolCalls((ToolCall("a", "weather", '{"city":"Ulm"}'),)),
        End("tool_calls", Usage(30, 8)),
    ]
    assert server.bodies[0]["tools"][0]["function"]["name"] == "weather"


async def test_a_call_cut_in_half_by_the_token_limit_is_none(listen) -> None:
    piece = chunk(tool_calls=[{"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"ci'}}])
    async with provider_for(Server(says(piece, chunk("length")))) as provider:
        heard = await listen(provider, ask())
    assert heard.events == [heard.end]
    assert heard.end.reason == "length"


async def test_a_reply_is_gone_on_with_and_what_repeats_is_cut(listen) -> None:
    server = Server(says(chunk(content="It is warm. And"), chunk(content=" sunny."), chunk("stop")))
    async with provider_for(server) as provider:
        heard = await listen(provider, ask(reply_so_far="It is warm. "))
    assert heard.text == "And sunny."
    assert server.bodies[0]["messages"][-2] == {"role": "assistant", "content": "It is warm."}


async def test_no_more_sentences_than_asked_for(listen) -> None:
    async def talks(exchange: Exchange, body: dict[str, Any]) -> None:
        await stream(
            exchange, [chunk(content=word) for word in ("One is", " here. Two", " is here. Thr", "ee")], done=False
        )
        await asyncio.Event().wait()

    server = Server(talks)
    async with provider_for(server) as provider:
        heard = await listen(provider, ask(max_sentences=2))
        async with asyncio.timeout(10):
            await server.gone.wait()
    assert heard.text == "One is here. Two is here."
    end = heard.end
    assert (end.reason, end.usage.estimated) == ("stop", True)


async def test_filtered(listen) -> None:
    async with provider_for(Server(says(chunk(content="Well"), chunk("content_filter")))) as provider:
        end = (await listen(provider, ask())).end
    assert end.reason == "filtered"


async def test_usage_that_never_comes_is_not_waited_for(listen) -> None:
    async def hangs(exchange: Exchange, body: dict[str, Any]) -> None:
        await stream(exchange, [chunk("stop", content="Hello.")], done=False)
        await asyncio.Event().wait()

    async with provider_for(Server(hangs)) as provider:
        end = (await listen(provider, ask())).end
    assert end.usage.estimated


@pytest.mark.parametrize(
    "answer",
    [
        refuses(400, message="This model's maximum context length is 4096 tokens", code="context_length_exceeded"),
        refuses(400, message="the request exceeds the available context size", type="exceed_context_size_error"),
        refuses(400, message="'max_tokens' is too large. This model's maximum context length is 4096 tokens", code=400),
        says({"error": {"message": "too long", "type": "exceed_context_size_error", "code": 400}}),
    ],
)
async def test_a_context_that_is_too_long_is_told_apart(error_of: ErrorOf, answer: Answer) -> None:
    error = await error_of(answer)
    assert (error.code, error.retryable) == ("context_too_long", False)


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (refuses(429, message="You exceeded your quota", code="insufficient_quota"), Trouble.QUOTA, False),
        (refuses(429, message="Slow down", code="rate_limit_exceeded"), Trouble.RATE_LIMITED, True),
        (refuses(404, message="The model `x` does not exist", code="model_not_found"), Trouble.BAD_SETTINGS, False),
        (refuses(401, message=f"Incorrect API key provided: {KEY}"), Trouble.UNAUTHORIZED, False),
        (refuses(422, message=f"bad request: {{'input': '{ASK.content}'}}"), Trouble.BAD_SETTINGS, False),
        (refuses(400, message=f"can't do {ASK.content}"), Trouble.BAD_SETTINGS, False),
        (refuses(400, message=["no"], type={"a": 1}, code=[2], param=[3]), Trouble.BAD_SETTINGS, False),
        (refuses(503, message="Overloaded"), Trouble.UNAVAILABLE, True),
        (says({"error": {"message": "Overloaded", "code": 503}}), Trouble.UNAVAILABLE, True),
        (says({"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}), Trouble.RATE_LIMITED, True),
        (says(chunk(content="Hello"), "{broken"), Trouble.MALFORMED, True),
        (says(chunk(content="Hello"), {"choices": "none"}), Trouble.MALFORMED, True),
        (says(chunk(content="Hello"), "[1, 2]"), Trouble.MALFORMED, True),
        (says(chunk(content="Hello"), "null"), Trouble.MALFORMED, True),
        (says(), Trouble.MALFORMED, True),
        (says(chunk(content="Hello"), done=False), Trouble.CUT_OFF, True),
    ],
)
async def test_what_goes_wrong_has_a_name(error_of: ErrorOf, answer: Answer, code: Trouble, retryable: bool) -> None:
    error = await error_of(answer)
    assert (error.code, error.retryable) == (code, retryable)


async def test_a_page_instead_of_a_stream(error_of: ErrorOf) -> None:
    async def page(exchange: Exchange, body: dict[str, Any]) -> None:
        await exchange.respond(200, b"<html>Welcome</html>", content_type="text/html")

    assert (await error_of(page)).code == Trouble.MALFORMED


async def test_nobody_there(listen) -> None:
    provider = OpenAiProvider(OpenAiSettings(base_url="http://127.0.0.1:9/v1"))
    await provider.load(CollectorRegistry())
    for wait in (provider.probe(), listen(provider, ask()), provider.warm(LlmRequest("s", ()))):
        with pytest.raises(LlmError) as caught:
            await wait
        assert caught.value.code == Trouble.UNAVAILABLE
    await provider.close()


async def test_a_list_of_models_that_is_none(listen) -> None:
    server = Server(HELLO)
    async with provider_for(server) as provider:
        server.models = "Welcome"
        with pytest.raises(LlmError) as caught:
            await provider.probe()
        assert caught.value.code == Trouble.MALFORMED
        server.models = {"data": []}
        with pytest.raises(LlmError) as caught:
            await listen(provider, ask())
        assert caught.value.code == Trouble.BAD_SETTINGS


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000/v1", "ftp://x/v1", "http://", "http://[/v1"])
async def test_an_address_that_is_none(base_url: str) -> None:
    with pytest.raises(LlmError) as caught:
        await OpenAiProvider(OpenAiSettings(base_url=base_url)).load(CollectorRegistry())
    assert caught.value.code == Trouble.BAD_SETTINGS


async def test_without_key_or_address_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "")
    with pytest.raises(LlmError) as caught:
        await OpenAiProvider().load(CollectorRegistry())
    assert (caught.value.code, caught.value.retryable) == (Trouble.NOT_CONFIGURED, False)


async def test_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    provider = OpenAiProvider()
    assert "OpenAI" in provider.describe()
    await provider.load(CollectorRegistry())
    assert provider.describe().startswith("OpenAI, gpt-")
    await provider.close()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:pass@localhost:8000/v1")
    provider = OpenAiProvider()
    await provider.load(CollectorRegistry())
    assert provider.describe() == "the server at localhost:8000"
    await provider.close()


async def test_a_file_beside_it_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=http://localhost:8000/v1\nSOMETHING_ELSE=1\n")
    monkeypatch.chdir(tmp_path)
    provider = OpenAiProvider()
    await provider.load(CollectorRegistry())
    assert provider.describe() == "the server at localhost:8000"
    await provider.close()
