"""Orders of tools to a real llm worker over a real broker, with a web server behind them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from natter_common.worker import StageDefinition
from natter_llm.main import define
from natter_llm.provider import End, LlmEvent, LlmRequest, Usage
from natter_llm.tools import ToolKit
from natter_proto import CancelTool, Lease, Report, Stage, Tool, ToolCall, ToolOutcome, WorkerRequest, decode
from natter_testing.services import open_service
from natter_testing.stage_harness import StageHarness, new_lease, stage_under_test


class SilentProvider:
    """A language model that says nothing: these tests order tools themselves."""

    name = "silent"

    def describe(self) -> str:
        return "silent"

    async def load(self, registry: CollectorRegistry) -> None: ...

    async def probe(self) -> None: ...

    async def warm(self, request: LlmRequest) -> None: ...

    async def generate(self, request: LlmRequest) -> AsyncGenerator[LlmEvent, None]:
        del request
        yield End("stop", Usage())

    async def close(self) -> None: ...


@dataclass
class Hook:
    """A webhook that answers when it is let, and sees who hangs up."""

    url: str = ""
    arrived: list[str] = field(default_factory=list[str])
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length"))
        self.arrived.append(json.loads(await reader.readexactly(length))["id"])
        self.came.set()
        gone = asyncio.ensure_future(reader.read(1))
        go = asyncio.ensure_future(self.answer.wait())
        await asyncio.wait([gone, go], return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.hung_up.set()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
        for wait in (gone, go):
            wait.cancel()
        writer.close()


@dataclass
class Conductor:
    """The other side: orders, and the reports of tools."""

    stage: StageHarness
    hook: Hook
    reports: list[Tool] = field(default_factory=list[Tool])
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def on_report(self, message: Msg) -> None:
        async with self.changed:
            self.reports.append(decode(Tool, message.data))
            self.changed.notify_all()

    async def reported(self, count: int) -> Tool:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.reports) >= count)
        return self.reports[count - 1]

    async def order(self, call_id: str, name: str = "hook") -> bool:
        header = self.stage.header(3, 1)
        header.traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        tool = Tool(header=header, call=ToolCall(id=call_id, name=name, arguments="{}"))
        return (await self.stage.ask(WorkerRequest(tool=tool))).ok

    async def cancel(self, call_id: str) -> bool:
        cancel = CancelTool(header=self.stage.header(), id=call_id)
        return (await self.stage.ask(WorkerRequest(cancel_tool=cancel))).ok


def _stage() -> StageDefinition:
    return define({"silent": SilentProvider()}, ToolKit({}, structlog.get_logger()))


def _lease(stage: StageHarness, settings: str = "{}") -> Lease:
    lease = new_lease(Stage.STAGE_LLM, "silent", settings)
    lease.session = stage.session
    return lease


@asynccontextmanager
async def conductor(nats_url: str, realm: str) -> AsyncGenerator[Conductor]:
    hook = Hook()
    definition = _stage()
    async with (
        await asyncio.start_server(hook.serve, "127.0.0.1", 0) as server,
        open_service("listener", nats_url, realm) as service,
        stage_under_test(definition, nats_url, realm) as stage,
    ):
        hook.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        it = Conductor(stage, hook)
        await service.link.subscribe(service.subjects.session(stage.session).report(Report.TOOL), it.on_report)
        await service.link.barrier()
        tools = [{"name": "hook", "kind": "http", "http": {"url": hook.url}}]
        lease = _lease(stage, json.dumps({"tools": tools}))
        assert (await stage.lease(lease)).ok
        yield it
        await stage.release(lease)
    await definition.close()


async def test_an_order_is_accepted_at_once_and_its_result_reported(nats_url: str, realm: str) -> None:
    async with conductor(nats_url, realm) as it:
        assert await it.order("3.0.0")
        assert it.reports == []
        # Confirmed twice, as when the answer was lost.
        assert await it.order("3.0.0")
        it.hook.answer.set()
        report = await it.reported(1)
        assert (report.result.id, report.result.outcome) == ("3.0.0", ToolOutcome.TOOL_OUTCOME_RESULT)
        assert report.result.result == "fine"
        assert (report.header.turn, report.header.attempt, report.header.epoch) == (3, 1, 1)
        assert report.header.traceparent
        assert await it.order("3.0.0")
        assert (await it.reported(2)).result == report.result
        assert it.hook.arrived == ["3.0.0"]


async def test_a_cancelled_order_hangs_up(nats_url: str, realm: str) -> None:
    async with conductor(nats_url, realm) as it:
        assert await it.order("3.0.0")
        async with asyncio.timeout(10):
            await it.hook.came.wait()
            assert await it.cancel("3.0.0")
            await it.hook.hung_up.wait()
        assert (await it.reported(1)).result.outcome == ToolOutcome.TOOL_OUTCOME_CANCELLED


async def test_the_end_of_the_lease_hangs_up(nats_url: str, realm: str) -> None:
    async with conductor(nats_url, realm) as it:
        assert await it.order("3.0.0")
        async with asyncio.timeout(10):
            await it.hook.came.wait()
            await it.stage.release(_lease(it.stage))
            await it.hook.hung_up.wait()
        assert (await it.reported(1)).result.outcome == ToolOutcome.TOOL_OUTCOME_CANCELLED


async def test_a_tool_that_does_not_exist_and_a_lease_that_is_not_held(nats_url: str, realm: str) -> None:
    async with conductor(nats_url, realm) as it:
        assert await it.order("3.0.0", "hammer")
        result = (await it.reported(1)).result
        assert (result.outcome, result.result) == (
            ToolOutcome.TOOL_OUTCOME_ERROR,
            "There is no tool 'hammer'. There are: hook.",
        )
        await it.stage.release(_lease(it.stage))
        assert not await it.order("3.0.1")


async def test_a_lease_with_tools_that_can_not_be_is_refused_in_words(nats_url: str, realm: str) -> None:
    async with stage_under_test(_stage(), nats_url, realm) as stage:
        settings = json.dumps({"tools": [{"name": "hook", "kind": "http"}]})
        answer = await stage.lease(new_lease(Stage.STAGE_LLM, "silent", settings))
    assert (answer.ok, answer.code) == (False, "bad_settings")
    assert "needs http.url" in answer.words
