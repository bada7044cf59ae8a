"""Webhooks against a real server."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from natter_llm.tools import BotTool, ToolKit, ToolRunner
from natter_llm.tools.http import MAX_ANSWER_BYTES
from natter_proto import Header, Tool, ToolCall, ToolOutcome, ToolResult

SECRET = "correct horse"
ENVIRONMENT = {"HOOK_SECRET": SECRET, "CRM_TOKEN": "Bearer abc"}
ORDER = Header(session="abcd", turn=1, attempt=1, traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")

Handler = Callable[[Request], Awaitable[Response]]


WebServer = Callable[[Handler], AbstractAsyncContextManager[str]]


@pytest.fixture
def web_server(serve_app) -> WebServer:
    """Serves every path by a handler; gives the address."""

    def serve(handler: Handler) -> AbstractAsyncContextManager[str]:
        return serve_app(Starlette(routes=[Route("/{path:path}", handler, methods=["GET", "POST", "PUT", "DELETE"])]))

    return serve


@asynccontextmanager
async def tools(*definitions: dict[str, Any], environment: dict[str, str] = ENVIRONMENT) -> AsyncGenerator[ToolRunner]:
    async def ask(name: str, request: Tool, timeout_s: float) -> Tool:
        raise AssertionError(f"{name} was asked over NATS: {request} {timeout_s}")

    kit = ToolKit(environment, structlog.get_logger())
    runner = kit.runner([BotTool.model_validate({"kind": "http"} | each) for each in definitions], ask)
    try:
        yield runner
    finally:
        runner.close()
        await kit.close()


async def call(runner: ToolRunner, name: str = "hook", arguments: str = "{}", call_id: str = "1.0.0") -> ToolResult:
    async with asyncio.timeout(20):
        return await runner.run(ToolCall(id=call_id, name=name, arguments=arguments), ORDER)


async def test_a_signed_request_and_its_answer(web_server: WebServer) -> None:
    seen: list[tuple[Request, bytes]] = []

    async def handler(request: Request) -> Response:
        seen.append((request, await request.body()))
        return JSONResponse({"degrees": 21})

    part = {"secret": "HOOK_SECRET", "headers": {"X-Team": "nine"}, "header_secrets": {"Authorization": "CRM_TOKEN"}}
    async with (
        web_server(handler) as address,
        tools({"name": "hook", "http": {"url": f"{address}/w?x=1"} | part}) as runner,
    ):
        result = await call(runner, arguments='{"city": "Köln"}')
    assert (result.outcome, result.result) == (ToolOutcome.TOOL_OUTCOME_RESULT, '{"degrees":21}')
    assert (result.id, result.name) == ("1.0.0", "hook")
    request, body = seen[0]
    assert json.loads(body) == {"id": "1.0.0", "name": "hook", "arguments": {"city": "Köln"}, "session": "abcd"}
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "abcd.1.0.0"
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["x-team"] == "nine"
    assert request.headers["traceparent"] == ORDER.traceparent
    timestamp = request.headers["x-natter-timestamp"]
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert request.headers["x-natter-signature"] == f"sha256={expected}"


async def test_get_carries_the_arguments_in_a_query_that_is_signed(web_server: WebServer) -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return PlainTextResponse("fine")

    http = {"method": "GET", "secret": "HOOK_SECRET"}
    async with (
        web_server(handler) as address,
        tools({"name": "hook", "http": {"url": f"{address}/w?x=1"} | http}) as runner,
    ):
        result = await call(runner, arguments='{"city": "Köln am Rhein", "days": [1, 2]}')
    assert result.result == "fine"
    (request,) = seen
    assert dict(request.query_params) == {"x": "1", "city": "Köln am Rhein", "days": "[1, 2]"}
    target = request.scope["raw_path"] + b"?" + request.scope["query_string"]
    signed = request.headers["x-natter-timestamp"].encode() + b"." + target
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert request.headers["x-natter-signature"] == f"sha256={expected}"


async def test_a_missing_secret_is_said_at_once_and_at_the_start() -> None:
    http = {"url": "http://127.0.0.1:9/", "secret": "HOOK_SECRET", "header_secrets": {"Authorization": "CRM_TOKEN"}}
    async with tools({"name": "hook", "http": http}, environment={}) as runner:
        result = await call(runner)
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
        assert "HOOK_SECRET is not set" in result.result
        assert runner.problems() == [
            "tool hook: the environment variable HOOK_SECRET is not set",
            "tool hook: the environment variable CRM_TOKEN is not set",
        ]


async def test_a_status_that_is_no_success_is_an_error(web_server: WebServer) -> None:
    async def handler(request: Request) -> Response:
        return PlainTextResponse("no such city" + "!" * 10_000, status_code=int(request.url.path.strip("/")))

    statuses = (400, 401, 404, 429, 500, 503)
    async with web_server(handler) as address:
        definitions = ({"name": f"hook_{status}", "http": {"url": f"{address}/{status}"}} for status in statuses)
        async with tools(*definitions) as runner:
            results = {status: await call(runner, f"hook_{status}") for status in statuses}
    for status, result in results.items():
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
        assert f"status {status}: no such city" in result.result
        assert len(result.result) < 600


async def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with tools({"name": "hook", "http": {"url": f"http://127.0.0.1:{port}"}}) as runner:
        result = await call(runner)
    assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
    assert "can't be reached" in result.result


async def test_a_long_answer_is_cut_with_a_note(web_server: WebServer) -> None:
    async def handler(_request: Request) -> Response:
        return PlainTextResponse("é" * 1_000)

    definition = {"name": "hook", "max_result_characters": 100}
    async with web_server(handler) as address, tools(definition | {"http": {"url": address}}) as runner:
        result = await call(runner)
    assert result.outcome == ToolOutcome.TOOL_OUTCOME_RESULT
    assert result.result == "é" * 100 + "… (cut: 100 of 1000 characters)"


async def test_an_answer_without_an_end_is_read_up_to_the_limit() -> None:
    hung_up = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            hung_up.set()

    async with await asyncio.start_server(endless, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with tools({"name": "hook", "http": {"url": url}}) as runner:
            result = await call(runner)
            async with asyncio.timeout(10):
                await hung_up.wait()
    assert result.result.endswith(f"… (cut: 4000 of more than {MAX_ANSWER_BYTES} characters)")


async def test_a_slow_tool_times_out_and_its_connection_is_closed(web_server: WebServer) -> None:
    arrived = asyncio.Event()
    hung_up = asyncio.Event()

    async def handler(request: Request) -> Response:
        await request.body()
        arrived.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        hung_up.set()
        return PlainTextResponse("too late")

    async with (
        web_server(handler) as address,
        tools({"name": "hook", "timeout_ms": 300, "http": {"url": address}}) as runner,
    ):
        result = await call(runner)
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT
        assert "did not answer within 0.3 seconds; whether it took effect is not known." in result.result
        async with asyncio.timeout(10):
            await hung_up.wait()

        # Cancelling does the same.
        arrived.clear()
        hung_up.clear()
        task = asyncio.ensure_future(call(runner))
        async with asyncio.timeout(10):
            await arrived.wait()
            task.cancel()
            await hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_redirect_is_followed_on_the_same_server_only(web_server: WebServer) -> None:
    paths: list[str] = []

    async def handler(request: Request) -> Response:
        paths.append(f"{request.method} {request.url.path}")
        match request.url.path:
            case "/a":
                return RedirectResponse("/b", 307)
            case "/drops":
                return RedirectResponse("/b", 303)
            case "/circle":
                return RedirectResponse("/circle", 307)
            case "/away":
                return RedirectResponse("http://localhost:1/b", 307)
            case _:
                return PlainTextResponse((await request.body()).decode() and "there")

    async with web_server(handler) as address:
        names = ["a", "drops", "circle", "away"]
        async with tools(*({"name": name, "http": {"url": f"{address}/{name}"}} for name in names)) as runner:
            results = {name: await call(runner, name) for name in names}
    assert results["a"].result == "there"
    assert "which drops the request" in results["drops"].result
    assert "in circles" in results["circle"].result
    assert "redirects to another one (localhost)" in results["away"].result
    assert paths.count("POST /circle") == 4
    assert all(results[name].outcome == ToolOutcome.TOOL_OUTCOME_ERROR for name in names[1:])


@pytest.mark.parametrize(("fields", "requests"), [({}, 1), ({"idempotent": True}, 2), ({"read_only": True}, 2)])
async def test_a_connection_cut_in_the_middle_is_tried_again_only_where_that_does_no_harm(
    fields: dict[str, bool], requests: int
) -> None:
    keys: list[str] = []

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        keys.extend(line for line in head.lower().split("\r\n") if line.startswith("idempotency-key"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with tools({"name": "hook", "http": {"url": f"http://127.0.0.1:{port}"}} | fields) as runner:
            result = await call(runner)
    assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
    assert "broke in the middle" in result.result
    assert ("not known" in result.result) == (not fields.get("read_only", False))
    assert keys == ["idempotency-key: abcd.1.0.0"] * requests


async def test_calls_share_a_connection(web_server: WebServer) -> None:
    ports: set[int] = set()

    async def handler(request: Request) -> Response:
        assert request.client is not None
        ports.add(request.client.port)
        return PlainTextResponse("ok")

    async with web_server(handler) as address, tools({"name": "hook", "http": {"url": address}}) as runner:
        for number in range(5):
            await call(runner, call_id=f"1.0.{number}")
    assert len(ports) == 1


async def test_an_unknown_tool_and_bad_arguments_never_leave_the_worker() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    async with tools({"name": "hook", "parameters": schema, "http": {"url": "http://127.0.0.1:9"}}) as runner:
        unknown = await call(runner, "other")
        bad = await call(runner, arguments='{"town": 1}')
    assert (unknown.outcome, bad.outcome) == (ToolOutcome.TOOL_OUTCOME_ERROR,) * 2
    assert unknown.result == "There is no tool 'other'. There are: hook."
    assert "'city' is a required property" in bad.result


async def test_a_browser_tool_does_not_run_here() -> None:
    async with tools({"name": "hook", "kind": "browser"}) as runner:
        result = await call(runner)
    assert result.result == "Tools of kind browser don't run here."
