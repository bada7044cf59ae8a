"""Tools served over NATS: the example of the repository, on a real broker."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from nats.aio.msg import Msg

from natter_common.link import NatsLink
from natter_llm.tools import BotTool, ToolKit, ToolRunner
from natter_proto import Header, RealmSubjects, Tool, ToolCall, ToolOutcome, ToolResult, decode
from natter_testing.services import open_service

EXAMPLE = Path(__file__).parents[3] / "examples" / "nats_tool" / "serve.py"
BOOK_TABLE: dict[str, Any] = {
    "name": "book_table",
    "kind": "nats",
    "timeout_ms": 5_000,
    "parameters": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "people": {"type": "integer"}, "time": {"type": "string"}},
        "required": ["name", "people", "time"],
    },
}
ORDER = Header(session="abcd", turn=1, attempt=1)


@asynccontextmanager
async def tools(nats_url: str, realm: str, *definitions: dict[str, Any]) -> AsyncGenerator[tuple[ToolRunner, NatsLink]]:
    async with open_service("llm", nats_url, realm) as service:

        async def ask(name: str, request: Tool, timeout_s: float) -> Tool:
            # As `Outlet.ask_tool` does it.
            request.header.session = "abcd"
            return await service.link.request(service.subjects.tool(name), request, Tool, timeout_s)

        kit = ToolKit({}, structlog.get_logger())
        runner = kit.runner([BotTool.model_validate(each) for each in definitions], ask)
        yield runner, service.link
        runner.close()
        await kit.close()


async def run(runner: ToolRunner, name: str, arguments: dict[str, Any], call_id: str) -> ToolResult:
    async with asyncio.timeout(20):
        return await runner.run(ToolCall(id=call_id, name=name, arguments=json.dumps(arguments)), ORDER)


@asynccontextmanager
async def example_service(nats_url: str, realm: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    environment = os.environ | {"NATS_URL": nats_url, "NATTER_REALM": realm}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert (await process.stdout.readline()).decode() == f"serving natter.v1.{realm}.tool.book_table\n"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(10):
            await process.wait()


async def test_the_example_books_once_and_says_why_not(nats_url: str, realm: str) -> None:
    party = {"name": "Ada", "people": 5, "time": "19:30"}
    async with tools(nats_url, realm, BOOK_TABLE) as (runner, _), example_service(nats_url, realm) as process:
        booked = await run(runner, "book_table", party, "1.0.0")
        again = await run(runner, "book_table", party, "1.0.0")
        full = await run(runner, "book_table", party, "2.0.0")
        bad = await run(runner, "book_table", {"name": "Ada"}, "3.0.0")
        process.kill()
        await process.wait()
        # The broker drops a dead process's interest within milliseconds, but not before it has seen it die.
        gone = await run(runner, "book_table", party, "4.0.0")
        while gone.outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT:
            gone = await run(runner, "book_table", party, "4.0.0")
    assert booked.outcome == again.outcome == ToolOutcome.TOOL_OUTCOME_RESULT
    assert json.loads(booked.result) == {"booked": True, **party}
    assert again.result == booked.result
    assert (full.outcome, full.result) == (ToolOutcome.TOOL_OUTCOME_ERROR, "At 19:30 only 3 seats are left.")
    assert "'people' is a required property" in bad.result
    assert (gone.outcome, gone.result) == (ToolOutcome.TOOL_OUTCOME_ERROR, "No one serves the tool book_table now.")


async def test_nobody_serves_it(nats_url: str, realm: str) -> None:
    async with tools(nats_url, realm, {"name": "hello", "kind": "nats", "nats": {"tool": "greet"}}) as (runner, _):
        result = await run(runner, "hello", {}, "1.0.0")
    assert (result.outcome, result.result) == (ToolOutcome.TOOL_OUTCOME_ERROR, "No one serves the tool greet now.")


async def test_what_the_server_gets_and_what_its_answers_mean(nats_url: str, realm: str) -> None:
    received: list[Tool] = []
    answers = {
        "result": Tool(result=ToolResult(outcome=ToolOutcome.TOOL_OUTCOME_RESULT, result="done")),
        "error": Tool(result=ToolResult(outcome=ToolOutcome.TOOL_OUTCOME_ERROR, result="no seats")),
        "timeout": Tool(result=ToolResult(outcome=ToolOutcome.TOOL_OUTCOME_TIMEOUT)),
        "other": Tool(result=ToolResult(id="9.9.9", outcome=ToolOutcome.TOOL_OUTCOME_RESULT, result="not yours")),
        "empty": Tool(),
    }
    definitions = [{"name": name, "kind": "nats", "idempotent": True} for name in [*answers, "garbage"]]
    async with tools(nats_url, realm, *definitions) as (runner, link):

        async def on_request(message: Msg) -> None:
            request = decode(Tool, message.data)
            received.append(request)
            name = request.call.name
            if name == "garbage":
                await link.publish_raw(message.reply, b"\xff\xff\xff")
            else:
                await link.respond(message, answers[name])

        for name in [*answers, "garbage"]:
            await link.subscribe(RealmSubjects(realm).tool(name), on_request)
        await link.barrier()
        results = {name: await run(runner, name, {"a": 1}, "1.0.0") for name in [*answers, "garbage"]}
    assert (results["result"].outcome, results["result"].result) == (ToolOutcome.TOOL_OUTCOME_RESULT, "done")
    assert (results["error"].outcome, results["error"].result) == (ToolOutcome.TOOL_OUTCOME_ERROR, "no seats")
    assert results["timeout"].outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT
    assert results["other"].result == "other answered another call."
    assert results["empty"].result == "empty failed without saying why."
    assert "can't be read" in results["garbage"].result
    first = received[0]
    assert (first.call.id, first.call.name, first.call.arguments) == ("1.0.0", "result", '{"a": 1}')
    assert (first.idempotent, first.read_only, first.header.session) == (True, False, "abcd")


async def test_one_that_never_answers_times_out(nats_url: str, realm: str) -> None:
    definition = {"name": "deaf", "kind": "nats", "timeout_ms": 200}
    async with tools(nats_url, realm, definition) as (runner, link):

        async def on_request(_message: Msg) -> None: ...

        await link.subscribe(RealmSubjects(realm).tool("deaf"), on_request)
        await link.barrier()
        result = await run(runner, "deaf", {}, "1.0.0")
    assert result.outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT
