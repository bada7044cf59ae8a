"""Tools of MCP servers: one from the registry, by command, and one over streamable HTTP."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ImageContent, TextContent
from starlette.applications import Starlette

from natter_llm.tools import BotTool, ToolKit, ToolRunner
from natter_proto import Header, Tool, ToolCall, ToolOutcome, ToolResult

PYTHON = sys.executable
TIME_SERVER = [PYTHON, "-m", "mcp_server_time", "--local-timezone", "UTC"]
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "NATTER_TOOL_COMMANDS": PYTHON}
ORDER = Header(session="abcd", turn=1, attempt=1)
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from mcp.server.mcpserver import MCPServer
notes = Path(sys.argv[1])
if (notes / "broken").exists():
    print("the licence has expired", file=sys.stderr, flush=True)
    sys.exit(3)
server = MCPServer("scripted")

@server.tool()
async def hang() -> str:
    with (notes / "began").open("a") as file:
        file.write("x")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        (notes / "cancelled").touch()
        raise
    return "never"

@server.tool()
def environment() -> str:
    return ",".join(sorted(os.environ))

server.run()
"""


async def ask(name: str, request: Tool, timeout_s: float) -> Tool:
    raise AssertionError(f"{name} was asked over NATS: {request} {timeout_s}")


@asynccontextmanager
async def tool_kit(environment: dict[str, str] = ENVIRONMENT, idle_s: float = 60.0) -> AsyncGenerator[ToolKit]:
    kit = ToolKit(environment, structlog.get_logger(), mcp_idle_s=idle_s)
    try:
        yield kit
    finally:
        await kit.close()
        assert len(kit.mcp) == 0


def by_command(command: list[str], name: str, **fields: Any) -> BotTool:
    part = {"command": command} | fields.pop("mcp", {})
    return BotTool.model_validate_json(json.dumps({"name": name, "kind": "mcp", "mcp": part} | fields))


async def run(runner: ToolRunner, name: str, arguments: dict[str, Any] | None = None) -> ToolResult:
    async with asyncio.timeout(60):
        return await runner.run(ToolCall(id="1.0.0", name=name, arguments=json.dumps(arguments or {})), ORDER)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something outside of this process."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def children(marker: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and any(marker in word for word in process.cmdline()):
                found.append(process)
    return found


def script_in(folder: Path) -> list[str]:
    """A server that leaves notes in a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / "server.py"
    path.write_text(SCRIPT)
    return [PYTHON, str(path), str(folder)]


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    return script_in(tmp_path)


async def test_a_server_from_the_registry_serves_several_sessions_with_one_process() -> None:
    now = by_command(TIME_SERVER, "now", mcp={"tool": "get_current_time"})
    convert = by_command(TIME_SERVER, "convert_time")
    async with tool_kit() as kit:
        first = kit.runner([now, convert], ask)
        second = kit.runner([convert], ask)
        told, converted = await asyncio.gather(
            run(first, "now", {"timezone": "Europe/Berlin"}),
            run(second, "convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
        )
        wrong = await run(first, "now", {"timezone": "Mars/Base"})
        assert len(children("mcp_server_time")) == 1
        assert len(kit.mcp) == 1
        first.close()
        second.close()
    assert children("mcp_server_time") == []
    assert told.outcome == converted.outcome == ToolOutcome.TOOL_OUTCOME_RESULT
    assert json.loads(told.result)["timezone"] == "Europe/Berlin"
    assert "21:00" in converted.result
    assert wrong.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
    assert "Mars/Base" in wrong.result


async def test_it_is_opened_before_its_first_call_and_let_go_when_nobody_needs_it() -> None:
    async with tool_kit(idle_s=0.05) as kit:
        runner = kit.runner([by_command(TIME_SERVER, "get_current_time")], ask)
        assert len(kit.mcp) == 0
        runner.open()
        runner.open()
        await until(lambda: len(children("mcp_server_time")) == 1)
        await run(runner, "get_current_time", {"timezone": "UTC"})
        runner.close()
        await until(lambda: len(kit.mcp) == 0)
        assert children("mcp_server_time") == []
        runner.close()
        # And again, for the next one.
        runner = kit.runner([by_command(TIME_SERVER, "get_current_time")], ask)
        runner.open()
        result = await run(runner, "get_current_time", {"timezone": "UTC"})
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_RESULT
        runner.close()


async def test_a_server_killed_between_calls_is_back_for_the_next() -> None:
    async with tool_kit() as kit:
        runner = kit.runner([by_command(TIME_SERVER, "get_current_time")], ask)
        await run(runner, "get_current_time", {"timezone": "UTC"})
        (process,) = children("mcp_server_time")
        process.kill()
        await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        result = await run(runner, "get_current_time", {"timezone": "UTC"})
        # The call may have been written to the pipe of the dead process: then that is said, and the next one works.
        if result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR:
            assert "not known" in result.result
            result = await run(runner, "get_current_time", {"timezone": "UTC"})
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_RESULT, result.result
        runner.close()


async def test_a_server_killed_during_a_call(tmp_path: Path) -> None:
    async def kill(folder: str, runs: int, **fields: Any) -> None:
        script = script_in(tmp_path / folder)
        began = tmp_path / folder / "began"
        async with tool_kit() as kit:
            runner = kit.runner([by_command(script, "hang", timeout_ms=60_000, **fields)], ask)
            task = asyncio.ensure_future(run(runner, "hang"))
            for number in range(1, runs + 1):
                await until(lambda number=number: began.exists() and len(began.read_text()) == number)
                for process in children(script[1]):
                    os.kill(process.pid, signal.SIGKILL)
            result = await task
            runner.close()
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
        assert "ended during the call" in result.result
        assert len(began.read_text()) == runs

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kill("once", 1))
        tasks.create_task(kill("again", 2, idempotent=True))


async def test_calls_that_nobody_waits_for_end_at_the_server_which_goes_on(script: list[str], tmp_path: Path) -> None:
    began, cancelled = tmp_path / "began", tmp_path / "cancelled"
    async with tool_kit() as kit:
        names = ("hang", "environment")
        runner = kit.runner([by_command(script, name) for name in names], ask)
        impatient = kit.runner([by_command(script, "hang", timeout_ms=300)], ask)
        task = asyncio.ensure_future(run(runner, "hang"))
        await until(began.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(cancelled.exists)
        cancelled.unlink()
        assert (await run(impatient, "hang")).outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT
        await until(cancelled.exists)
        assert len(began.read_text()) == 2
        assert (await run(runner, "environment")).outcome == ToolOutcome.TOOL_OUTCOME_RESULT
        assert len(children(script[1])) == 1
        runner.close()
        impatient.close()


async def test_a_program_that_does_not_start_says_why_and_works_once_it_can(script: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    async with tool_kit() as kit:
        runner = kit.runner([by_command(script, "environment", timeout_ms=30_000)], ask)
        result = await run(runner, "environment")
        assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
        assert "can't be started or reached" in result.result
        assert "the licence has expired" in result.result
        (tmp_path / "broken").unlink()
        assert (await run(runner, "environment")).outcome == ToolOutcome.TOOL_OUTCOME_RESULT
        runner.close()


async def test_a_program_sees_only_what_it_is_to_see(script: list[str]) -> None:
    environment = ENVIRONMENT | {"OPENAI_API_KEY": "secret", "CRM_TOKEN": "token"}
    async with tool_kit(environment) as kit:
        runner = kit.runner([by_command(script, "environment", mcp={"env": ["CRM_TOKEN"]})], ask)
        seen = set((await run(runner, "environment")).result.split(","))
        runner.close()
    assert {"CRM_TOKEN", "PATH", "HOME"} <= seen
    assert not {"OPENAI_API_KEY", "NATTER_TOOL_COMMANDS"} & seen


async def test_programs_that_are_not_allowed_are_not_started(script: list[str]) -> None:
    for allowed in ("", "uvx, npx", os.path.basename(PYTHON)):
        async with tool_kit(ENVIRONMENT | {"NATTER_TOOL_COMMANDS": allowed}) as kit:
            runner = kit.runner([by_command(script, "environment")], ask)
            result = await run(runner, "environment")
            assert result.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
            assert "not in NATTER_TOOL_COMMANDS" in result.result
            assert any("NATTER_TOOL_COMMANDS" in problem for problem in runner.problems())
            assert len(kit.mcp) == 0
            runner.close()


async def test_one_that_never_answers_holds_nothing_up(tmp_path: Path) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("import sys\nfor line in sys.stdin: pass\n")
    async with tool_kit() as kit:
        runner = kit.runner([by_command([PYTHON, str(silent)], "hello", timeout_ms=500)], ask)
        assert (await run(runner, "hello")).outcome == ToolOutcome.TOOL_OUTCOME_TIMEOUT
        assert len(children(str(silent))) == 1
        runner.close()
        async with asyncio.timeout(20):
            await kit.close()
    assert children(str(silent)) == []


def sums() -> Starlette:
    """An MCP server over streamable HTTP."""
    server = MCPServer("over-http")

    @server.tool()
    def add(a: int, b: int) -> str:
        return str(a + b)

    @server.tool(structured_output=False)
    def parts() -> list[TextContent | ImageContent]:
        image = ImageContent(type="image", data="aGk=", mime_type="image/png")
        return [TextContent(type="text", text="one"), image, TextContent(type="text", text="two")]

    @server.tool()
    def fail() -> str:
        raise ToolError("out of stock")

    return server.streamable_http_app()


def by_url(url: str, *names: str) -> list[BotTool]:
    return [BotTool.model_validate({"name": name, "kind": "mcp", "mcp": {"url": f"{url}/mcp"}}) for name in names]


async def test_over_streamable_http(serve_app) -> None:
    async with serve_app(sums()) as url, tool_kit() as kit:
        runner = kit.runner(by_url(url, "add", "parts", "fail", "nothing"), ask)
        added = await run(runner, "add", {"a": 2, "b": 3})
        parts = await run(runner, "parts")
        failed = await run(runner, "fail")
        unknown = await run(runner, "nothing")
        assert len(kit.mcp) == 1
        runner.close()
    assert (added.outcome, added.result) == (ToolOutcome.TOOL_OUTCOME_RESULT, "5")
    assert parts.result == "one\n[image]\ntwo"
    assert failed.outcome == unknown.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
    assert "out of stock" in failed.result
    assert "nothing" in unknown.result


async def test_over_http_a_server_started_anew_goes_on(serve_app) -> None:
    async with tool_kit() as kit:
        async with serve_app(sums()) as url:
            runner = kit.runner(by_url(url, "add"), ask)
            assert (await run(runner, "add", {"a": 2, "b": 3})).result == "5"
        away = await run(runner, "add", {"a": 2, "b": 3})
        assert away.outcome == ToolOutcome.TOOL_OUTCOME_ERROR
        async with serve_app(sums(), int(url.rsplit(":", 1)[1])):
            again = await run(runner, "add", {"a": 2, "b": 4})
            assert (again.outcome, again.result) == (ToolOutcome.TOOL_OUTCOME_RESULT, "6")
        runner.close()
