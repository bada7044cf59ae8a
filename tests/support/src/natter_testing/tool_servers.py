"""Real servers of tools: the example that is served over NATS, and an MCP server over streamable HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvicorn
from mcp.server.mcpserver import MCPServer

_READY_WITHIN_S: Final = 20.0


@asynccontextmanager
async def nats_tool(program: Path, nats_url: str) -> AsyncGenerator[str]:
    """A program that says `serving <subject>` when it is ready; gives the subject."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, env={"NATS_URL": nats_url}, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_READY_WITHIN_S):
            line = await process.stdout.readline()
        serving, subject = line.decode().split()
        assert serving == "serving"
        yield subject
    finally:
        process.terminate()
        assert await process.wait() == 0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def mcp_server(listener: socket.socket) -> AsyncGenerator[None]:
    """An MCP server over streamable HTTP with one tool, `add`."""
    server = MCPServer("sums")

    @server.tool()
    def add(a: int, b: int) -> str:
        return str(a + b)

    config = uvicorn.Config(server.streamable_http_app(), log_level="warning", timeout_graceful_shutdown=1)
    web = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(web.serve(sockets=[listener]), name="mcp-over-http")
        try:
            yield
        finally:
            web.should_exit = True
