"""Connections of the provider: opened early, used again, closed at once when nobody listens any more; what stalls."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_llm.openai.keeper import Keeper
from natter_llm.openai.provider import Deadlines, OpenAiProvider, OpenAiSettings
from natter_llm.provider import ChatMessage, Delta, End, LlmError, LlmEvent, LlmRequest

QUICK = Deadlines(first_s=1.0, next_s=0.6, usage_s=0.3)
ASK = LlmRequest("s", (ChatMessage("user", "Hello, how are you today?"),), model="m")


class TcpServer:
    """An HTTP/1.1 server as small as can be, that counts its connections.

    ``mode``: "fine"; "deaf" takes a request and never answers; "stuck" stops after two words; "role" sends a chunk
    without text and no more; "cut" aborts in the middle; "gone" closes a connection on which a second request comes;
    "pings" sends comments for ever.
    """

    def __init__(self) -> None:
        self.mode = "fine"
        self.connections = 0
        self.open = 0
        self.paths: list[str] = []
        self._changed = asyncio.Condition()

    async def until(self, open_connections: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.open == open_connections)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.paths) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._note(1)
        served = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
                )
                await reader.readexactly(length)
                path = head.split()[1].decode()
                if self.mode == "gone" and served:
                    writer.transport.abort()
                    return
                served += 1
                async with self._changed:
                    self.paths.append(path)
                    self._changed.notify_all()
                await (self._list(writer) if path.endswith("/models") else self._chat(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            await self._note(-1)

    async def _note(self, step: int) -> None:
        async with self._changed:
            self.connections += max(0, step)
            self.open += step
            self._changed.notify_all()

    async def _list(self, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"data": [{"id": "m"}]}).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "deaf":
            await reader.read()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if self.mode == "role":
            await self._event(writer, {"role": "assistant", "content": ""})
            await reader.read()
            return
        for word in ("One", " two"):
            await self._event(writer, {"content": word})
        match self.mode:
            case "stuck":
                await reader.read()
            case "cut":
                writer.transport.abort()
            case "pings":
                gone = False
                while not gone:
                    self._piece(writer, b": ping\n\n")
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 0.05)
                        gone = True
            case _:
                await self._event(writer, {}, "stop")
                self._piece(writer, b"data: [DONE]\n\n")
                writer.write(b"0\r\n\r\n")
                await writer.drain()

    async def _event(self, writer: asyncio.StreamWriter, delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self._piece(writer, f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
        await writer.drain()

    def _piece(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@asynccontextmanager
async def provider_for(
    server: TcpServer, deadlines: Deadlines | None = None, registry: CollectorRegistry | None = None
) -> AsyncGenerator[OpenAiProvider]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        provider = OpenAiProvider(OpenAiSettings(base_url=f"http://127.0.0.1:{port}/v1"), deadlines)
        await provider.load(registry or CollectorRegistry())
        try:
            yield provider
        finally:
            await provider.close()
            await server.until(0)


async def test_two_hundred_turns_over_the_same_connections(listen) -> None:
    server = TcpServer()
    async with provider_for(server) as provider:
        await provider.warm(ASK)
        await provider.warm(ASK)
        for _ in range(200):
            assert (await listen(provider, ASK)).text == "One two"
        # Two where the server takes its time.
        assert server.connections <= 2
        # The second warming was too soon.
        assert server.paths.count("/v1/models") == 2


async def test_at_once_they_have_a_connection_each_and_keep_it(listen) -> None:
    server = TcpServer()
    async with provider_for(server) as provider:
        for _ in range(10):
            assert [each.text for each in await asyncio.gather(*(listen(provider, ASK) for _ in range(8)))] == [
                "One two"
            ] * 8
        assert server.connections <= 8


async def test_closing_ends_it_at_the_server_and_others_are_opened(listen) -> None:
    server = TcpServer()
    registry = CollectorRegistry()
    async with provider_for(server, registry=registry) as provider:
        server.mode = "stuck"
        async with aclosing(provider.generate(ASK)) as events:
            async with asyncio.timeout(10):
                assert await anext(events) == Delta("One")
                assert await anext(events) == Delta(" two")
            assert server.open == 1
        await server.until_asked(3)
        # One was closed, others opened before anybody asks.
        assert server.paths == ["/v1/chat/completions", "/v1/models", "/v1/models"]
        assert server.connections in (2, 3)
        server.mode = "fine"
        assert (await listen(provider, ASK)).text == "One two"

    def tokens(kind: str, cancelled: str) -> float:
        labels = {"provider": "openai", "kind": kind, "cancelled": cancelled}
        return registry.get_sample_value("natter_llm_tokens_total", labels) or 0

    assert tokens("completion", "true") == tokens("completion", "false") == 2
    assert tokens("prompt", "true") == tokens("prompt", "false") > 5


@pytest.mark.parametrize("mode", ["deaf", "stuck"])
async def test_a_task_that_is_cancelled_ends_it_too(mode: str, listen) -> None:
    server = TcpServer()
    async with provider_for(server) as provider:
        server.mode = mode
        task = asyncio.create_task(listen(provider, ASK))
        await server.until_asked(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.mode = "fine"
        assert (await listen(provider, ASK)).text == "One two"


STALLS = {
    "deaf": ("", Trouble.STALLED),
    "role": ("", Trouble.STALLED),
    "stuck": ("One two", Trouble.STALLED),
    "pings": ("One two", Trouble.STALLED),
    "cut": ("One two", Trouble.CUT_OFF),
}


async def test_no_progress_is_noticed_and_the_next_goes_well(listen) -> None:
    async def face(mode: str) -> None:
        server = TcpServer()
        said, code = STALLS[mode]
        async with provider_for(server, QUICK) as provider:
            server.mode = mode
            events: list[LlmEvent] = []
            with pytest.raises(LlmError) as caught:
                await listen(provider, ASK, events)
            assert (caught.value.code, caught.value.retryable) == (code, True), mode
            assert all(isinstance(event, Delta) for event in events), mode
            assert "".join(event.text for event in events) == said, mode
            server.mode = "fine"
            assert (await listen(provider, ASK)).text == "One two", mode

    async with asyncio.TaskGroup() as tasks:
        for mode in STALLS:
            tasks.create_task(face(mode), name=mode)


async def test_a_connection_closed_while_it_was_idle_costs_no_reply(listen) -> None:
    server = TcpServer()
    async with provider_for(server) as provider:
        server.mode = "gone"
        for _ in range(3):
            assert (await listen(provider, ASK)).text == "One two"
        assert server.connections == 3


async def test_a_slow_listener_is_no_stall() -> None:
    server = TcpServer()
    async with provider_for(server, QUICK) as provider, aclosing(provider.generate(ASK)) as events:
        seen = [await anext(events)]
        # Longer than any deadline: only waiting for the server counts.
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=1.3)
        seen += [event async for event in events]
    assert isinstance(seen[-1], End)


async def test_what_was_lost_is_opened_again_until_it_works() -> None:
    tries = 0
    done = asyncio.Event()

    async def touch() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise LlmError(Trouble.UNAVAILABLE, "not yet")
        done.set()

    keeper = Keeper(touch)
    keeper.start()
    keeper.used()
    keeper.lost()
    async with asyncio.timeout(20):
        await done.wait()
    await keeper.close()
    await keeper.close()


async def test_nobody_asks_while_nobody_talks() -> None:
    touched = asyncio.Event()

    async def touch() -> None:
        touched.set()

    keeper = Keeper(touch, refresh_s=0.05)
    keeper.start()
    await asyncio.wait([waiting := asyncio.create_task(touched.wait())], timeout=0.3)
    assert not touched.is_set()
    keeper.used()
    async with asyncio.timeout(10):
        await waiting
    await keeper.close()
