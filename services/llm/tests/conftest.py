"""The built-in model, loaded once for all tests of this package; a listener to models, and web servers for tools."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from natter_llm.local import LocalOptions, LocalProvider
from natter_llm.provider import Delta, End, LlmEvent, LlmProvider, LlmRequest, ToolCall, ToolCalls


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalProvider]:
    # A window that is soon full.
    provider = LocalProvider(LocalOptions(slots=2, slot_tokens=512, prompt_tokens=200))
    asyncio.run(provider.load(CollectorRegistry()))
    yield provider
    asyncio.run(provider.close())


@dataclass
class Heard:
    """What came of a request."""

    events: list[LlmEvent]

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """Those of the one event that has them."""
        (called,) = [event for event in self.events if isinstance(event, ToolCalls)]
        return called.calls

    @property
    def end(self) -> End:
        end = self.events[-1]
        assert isinstance(end, End)
        return end


Listen = Callable[..., Awaitable[Heard]]


@pytest.fixture(scope="session")
def listen() -> Listen:
    """Listens to the whole reply; whoever wants to know what came before an error gives a list for it."""

    async def take_reply(provider: LlmProvider, request: LlmRequest, into: list[LlmEvent] | None = None) -> Heard:
        heard = Heard([] if into is None else into)
        async with asyncio.timeout(60), aclosing(provider.generate(request)) as events:
            async for event in events:
                heard.events.append(event)
        return heard

    return take_reply


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


ServeApp = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture(scope="session")
def serve_app() -> ServeApp:
    """Serves an application in this process, on a free port unless one is named; gives the address."""

    @asynccontextmanager
    async def serve(app: Starlette, port: int = 0) -> AsyncGenerator[str]:
        # asyncio turns Nagle's algorithm off only where the protocol is spelled out.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            server = _Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[listener]), name="web-server")
                try:
                    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
                finally:
                    server.should_exit = True

    return serve
