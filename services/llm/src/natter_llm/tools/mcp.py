"""Tools of MCP servers. A server is opened once per worker, whoever uses it, and shared by all sessions."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

from natter_common.backoff import Backoff
from natter_common.logs import Log
from natter_llm.tools.definition import BotTool, McpTool, ToolKind
from natter_llm.tools.execution import ToolFailedError, ToolRequest, ToolText
from natter_llm.tools.mcp_server import McpServer
from natter_llm.tools.mcp_stderr import LastLines

if TYPE_CHECKING:
    from natter_llm.tools.mcp_connection import McpConnection

COMMANDS_VARIABLE: Final = "NATTER_TOOL_COMMANDS"
"""Names the programs that bots may have started, with commas between; without it there are none."""
IDLE_S: Final = 60.0
_ALWAYS_PASSED: Final = ("PATH", "HOME", "LANG")
_CLOSE_S: Final = 8.0
"""The SDK gives a program 4 s to end before it is killed."""

_Key = tuple[object, ...]


class McpServers:
    """The servers that a worker uses; keeps one task for each."""

    def __init__(self, environment: Mapping[str, str], log: Log, version: str = "0", idle_s: float = IDLE_S) -> None:
        """`environment` has the allow-list, what programs get to see, and secrets; `version` is told to servers."""
        self._environment = environment
        self._log = log
        self._version = version
        self._idle_s = idle_s
        self._allowed = {name.strip() for name in environment.get(COMMANDS_VARIABLE, "").split(",")} - {""}
        self._servers: dict[_Key, McpServer] = {}
        self._owners: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Servers that are open, or being opened or closed."""
        return len(self._owners)

    def hold(self, tools: Iterable[BotTool]) -> list[McpServer]:
        """Open what these tools need, in the background; hand what it returns to `release`, once."""
        servers: dict[_Key, McpServer] = {}
        for tool in tools:
            if tool.kind is ToolKind.MCP and not self._refusal(_part(tool)):
                servers[_key(_part(tool))] = self._server(_part(tool))
        for server in servers.values():
            server.hold()
        return list(servers.values())

    def release(self, servers: Iterable[McpServer]) -> None:
        """The session that held them is over."""
        for server in servers:
            server.release()

    def problems(self, tool: BotTool) -> list[str]:
        part = _part(tool)
        named = [*part.env, *part.header_secrets.values()]
        missing = [f"the environment variable {name} is not set" for name in named if not self._environment.get(name)]
        refusal = self._refusal(part)
        return [refusal, *missing] if refusal else missing

    async def execute(self, request: ToolRequest) -> ToolText:
        """Call the tool on its server. Cancelling tells the server to stop, as the protocol has it."""
        tool = request.tool
        part = _part(tool)
        refusal = self._refusal(part)
        if refusal:
            raise ToolFailedError(f"{tool.name} is not set up: {refusal}.")
        server = self._server(part)
        server.hold()
        try:
            return await server.call(part.tool or tool.name, request.arguments, twice=tool.may_run_twice)
        finally:
            server.release()

    async def close(self) -> None:
        """End all servers, and wait until they have."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
        if self._owners:
            _, late = await asyncio.wait(self._owners, timeout=_CLOSE_S)
            for owner in late:
                owner.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _refusal(self, part: McpTool) -> str:
        if part.command is not None and part.command[0] not in self._allowed:
            return f"the program {part.command[0]} may not be started (it is not in {COMMANDS_VARIABLE})"
        return ""

    def _server(self, part: McpTool) -> McpServer:
        key = _key(part)
        server = self._servers.get(key)
        if server is None or server.over:
            name = part.command[0] if part.command is not None else (part.url or "")

            def connect(lines: LastLines) -> AbstractAsyncContextManager[McpConnection]:
                return self._connect(part, lines)

            backoff = Backoff(source=random.Random())
            server = McpServer(f"The MCP server {name}", connect, self._idle_s, backoff, self._log)
            self._servers[key] = server
            owner = asyncio.get_running_loop().create_task(self._own(key, server), name=f"mcp-{name[:40]}")
            self._owners.add(owner)
            owner.add_done_callback(self._owners.discard)
        return server

    async def _own(self, key: _Key, server: McpServer) -> None:
        try:
            await server.run()
        except Exception:  # noqa: BLE001 - logged whole
            # Nobody waits for this task but `close`: said here, or never.
            self._log.exception("mcp server failed", server=server.name)
            server.stop()
        finally:
            if self._servers.get(key) is server:
                del self._servers[key]

    def _connect(self, part: McpTool, lines: LastLines) -> AbstractAsyncContextManager[McpConnection]:
        # Imported already, in a thread, by the server's own task.
        from natter_llm.tools.mcp_connection import connect_command, connect_url

        environment = self._environment
        if part.command is not None:
            passed = {name: environment[name] for name in (*_ALWAYS_PASSED, *part.env) if name in environment}
            return connect_command(part.command, passed, self._version, lines, self._log)
        headers = {
            name: environment[variable] for name, variable in part.header_secrets.items() if variable in environment
        }
        return connect_url(part.url or "", headers, self._version)


def _part(tool: BotTool) -> McpTool:
    if tool.mcp is None:
        raise ToolFailedError(f"{tool.name} has no server.")
    return tool.mcp


def _key(part: McpTool) -> _Key:
    """What makes it another server: the same program may serve several tools, and bots."""
    return (part.command, part.url, part.env, tuple(sorted(part.header_secrets.items())))
