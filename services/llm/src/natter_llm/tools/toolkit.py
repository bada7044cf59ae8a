"""What all sessions of a worker share to run tools: the HTTP client, the MCP servers, the secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx2
from dotenv import dotenv_values

from natter_common.logs import Log
from natter_llm.tools.definition import BotTool, ToolKind
from natter_llm.tools.http import HttpTools, open_client
from natter_llm.tools.mcp import IDLE_S, McpServers
from natter_llm.tools.nats import Ask, NatsTools
from natter_llm.tools.runner import ToolRunner


def tool_environment(folder: Path = Path()) -> dict[str, str]:
    """The process's environment over the `.env` in the working folder, as settings have it."""
    beside = {name: value for name, value in dotenv_values(folder / ".env").items() if value is not None}
    return {**beside, **os.environ}


class ToolKit:
    """Makes the runner of a session; one instance per worker, closed when it ends."""

    def __init__(
        self, environment: Mapping[str, str], log: Log, version: str = "0", mcp_idle_s: float = IDLE_S
    ) -> None:
        self._client: httpx2.AsyncClient | None = None
        self._http = HttpTools(self._open_client, environment)
        self.mcp = McpServers(environment, log, version, mcp_idle_s)

    def runner(self, tools: Sequence[BotTool], ask: Ask) -> ToolRunner:
        """The runner for one lease's tools. Nothing is opened or held before its `open`, which `ToolDesk` calls.

        ``ask`` is `Outlet.ask_tool` of the session. Close the runner when the session ends.
        """

        def hold() -> Callable[[], None]:
            servers = self.mcp.hold(tools)
            return lambda: self.mcp.release(servers)

        executors = {ToolKind.HTTP: self._http, ToolKind.NATS: NatsTools(ask), ToolKind.MCP: self.mcp}
        return ToolRunner(tools, executors, hold)

    async def close(self) -> None:
        """Let go of connections and MCP servers."""
        await self.mcp.close()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open_client(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = open_client()
        return self._client
