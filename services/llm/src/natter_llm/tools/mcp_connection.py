"""One open connection to an MCP server, by the official SDK. Importing this takes the better part of a second.

Protocol: https://modelcontextprotocol.io/specification (the SDK speaks the handshake of 2025-11-25 and before, and the
sessionless 2026-07-28, whichever the server knows).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, cast

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult, Implementation, PaginatedRequestParams

from natter_common.logs import Log
from natter_llm.tools.execution import ToolFailedError, ToolText
from natter_llm.tools.mcp_server import GoneError
from natter_llm.tools.mcp_stderr import LastLines, watched_stderr

_CONNECT_S: Final = 5.0
_MOST_PAGES: Final = 20
_READ_S: Final = 130.0
"""Beyond the longest timeout of a tool."""

FAILURES: Final = (
    OSError,
    MCPError,
    RuntimeError,
    ValueError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    anyio.EndOfStream,
    ExceptionGroup,
)
"""All that opening a connection or a call on it has been seen or is documented to raise."""


class McpConnection:
    """Calls tools of a server. `gone` is set when the connection has ended."""

    def __init__(self, client: Client, gone: asyncio.Event) -> None:
        self._client = client
        self.gone: Final = gone

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolText:
        """The text of a call's answer; raises ToolFailedError, or GoneError. Cancelling tells the server to stop."""
        if self.gone.is_set():
            raise GoneError(sent=False)
        try:
            result = await self._client.session.call_tool(tool, arguments)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                self.gone.set()
                raise GoneError(sent=True) from error
            if error.code == INVALID_REQUEST and error.message == "Session terminated":
                # A server that was started anew says so before it looks at the call.
                self.gone.set()
                raise GoneError(sent=False) from error
            raise ToolFailedError(f"{tool} failed: {error.message}") from error
        except FAILURES as error:
            raise ToolFailedError(f"{tool} failed: {reason(error)}") from error
        text = _text_of(result)
        if result.is_error:
            raise ToolFailedError(text or f"{tool} failed without saying why.")
        return ToolText(text)


def reason(error: BaseException) -> str:
    """The innermost cause in a few words: task groups wrap it."""
    inner = error
    while isinstance(inner, BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", inner).exceptions[0]
    return str(inner) or type(inner).__name__


def _text_of(result: CallToolResult) -> str:
    """Text parts, joined; what is no text is only named."""
    parts = [part.text if part.type == "text" else f"[{part.type}]" for part in result.content]
    return "\n".join(parts)


class _WatchedStream:
    """A stream of messages that tells when it has ended."""

    def __init__(self, stream: Any, gone: asyncio.Event) -> None:
        self._stream = stream
        self._gone = gone

    def __getattr__(self, name: str) -> Any:
        # The SDK asks for more than its protocol names (`last_context`).
        return getattr(self._stream, name)

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self._stream.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._gone.set()
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self._stream.__anext__()
        except (StopAsyncIteration, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._gone.set()
            raise

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, trace)


@asynccontextmanager
async def _watched(transport: Any, gone: asyncio.Event) -> AsyncGenerator[Any]:
    async with transport as (read, write):
        yield _WatchedStream(read, gone), write


async def _ready(client: Client, gone: asyncio.Event) -> McpConnection:
    # The SDK checks results against the list of tools, and would fetch it after the first call otherwise.
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        cursor = page.next_cursor
        if cursor is None:
            break
    return McpConnection(client, gone)


@asynccontextmanager
async def connect_command(
    command: tuple[str, ...], environment: Mapping[str, str], version: str, lines: LastLines, log: Log
) -> AsyncGenerator[McpConnection]:
    """Start the program, shake hands, stop it at the end (stdin closed, 2 s, SIGTERM, 2 s, SIGKILL: by the SDK).

    It sees `environment` and what the SDK lets through (HOME, LOGNAME, PATH, SHELL, TERM, USER). Raises FAILURES.
    """
    async with AsyncExitStack() as stack:
        stderr = await stack.enter_async_context(watched_stderr(lines, log))
        server = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))
        gone = asyncio.Event()
        client = Client(
            _watched(stdio_client(server, stderr), gone),
            client_info=Implementation(name="natter", version=version),
            read_timeout_seconds=_READ_S,
        )
        yield await _ready(await stack.enter_async_context(client), gone)


@asynccontextmanager
async def connect_url(url: str, headers: Mapping[str, str], version: str) -> AsyncGenerator[McpConnection]:
    """Shake hands with a server over streamable HTTP. Raises FAILURES."""
    timeout = httpx2.Timeout(_READ_S, connect=_CONNECT_S)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=dict(headers), timeout=timeout))
        gone = asyncio.Event()
        client = Client(
            _watched(streamable_http_client(url, http_client=http), gone),
            client_info=Implementation(name="natter", version=version),
            read_timeout_seconds=_READ_S,
        )
        yield await _ready(await stack.enter_async_context(client), gone)
