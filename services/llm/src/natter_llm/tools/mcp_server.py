"""One MCP server as a worker uses it: opened, kept, opened again when it dies, let go when nobody needs it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from natter_common.backoff import Backoff
from natter_common.logs import Log
from natter_llm.tools.execution import ToolFailedError, ToolText
from natter_llm.tools.mcp_stderr import LastLines

if TYPE_CHECKING:
    from natter_llm.tools.mcp_connection import McpConnection

Connect = Callable[[LastLines], AbstractAsyncContextManager["McpConnection"]]
"""Opens the connection; what a program says on its standard error goes to the lines."""

_OPEN_S: Final = 30.0
"""A program may have to be unpacked first, but one that says nothing for this long is not coming."""
_LASTED_S: Final = 10.0
"""A connection that held this long was good: the next failure is a first one."""


class GoneError(Exception):
    """The connection ended. `sent`: the call had gone out, so whether it ran is not known."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection to the server ended")
        self.sent: Final = sent


class McpServer:
    """The SDK wants a connection entered and left in one task: `run` is that task, `call` may be called from any."""

    def __init__(self, name: str, connect: Connect, idle_s: float, backoff: Backoff, log: Log) -> None:
        """`name` is for people; `idle_s` without a user ends `run`."""
        self.name: Final = name
        self._connect = connect
        self._idle_s = idle_s
        self._backoff = backoff
        self._log = log
        self._users = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._wanted = asyncio.Event()
        # How the attempt of now or the next one ends: a connection, or words why there is none.
        self._outcome: asyncio.Future[McpConnection | str] = asyncio.get_running_loop().create_future()
        self._opening: asyncio.Timeout | None = None
        self._connected: McpConnection | None = None
        self._opened = 0

    @property
    def over(self) -> bool:
        """It ends or has ended; whoever needs the server makes a new one."""
        return self._stopping

    @property
    def opened(self) -> int:
        """How often a connection was opened."""
        return self._opened

    def hold(self) -> None:
        """One more user."""
        self._users += 1
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def release(self) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0 and not self.over:
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self.stop)

    def stop(self) -> None:
        """End `run` in order."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._stopping = True
        self._wanted.set()
        if self._opening is not None and not self._opening.expired():
            self._opening.reschedule(0)
        if self._connected is not None:
            self._connected.gone.set()

    async def call(self, tool: str, arguments: dict[str, Any], *, twice: bool) -> ToolText:
        """Call a tool, waiting for the connection where it is being opened. Raises ToolFailedError.

        A call that certainly did not get there is made once more on a new connection, and with ``twice`` also one of
        which that is not known.
        """
        try:
            return await (await self._connection()).call(tool, arguments)
        except GoneError as error:
            if error.sent and not twice:
                raise ToolFailedError(
                    f"{self.name} ended during the call; whether it took effect is not known."
                ) from error
        try:
            return await (await self._connection()).call(tool, arguments)
        except GoneError as error:
            raise ToolFailedError(f"{self.name} ended during the call, two times.") from error

    async def run(self) -> None:
        """Keep the connection until `stop`, or until nobody held it for `idle_s`."""
        # The SDK takes most of a second to import, which only workers that use it have to spend.
        await asyncio.to_thread(importlib.import_module, "natter_llm.tools.mcp_connection")
        loop = asyncio.get_running_loop()
        try:
            while not self.over:
                opened_at = loop.time()
                words = await self._keep()
                if self.over:
                    break
                if loop.time() - opened_at > _LASTED_S:
                    self._backoff.reset()
                wait_s = self._backoff.next_s()
                self._log.warning(
                    "mcp server is gone", server=self.name, reason=words, again_in_ms=round(wait_s * 1000)
                )
                await self._pause(wait_s)
        finally:
            self._end_outcome(f"{self.name} was let go.")

    async def _connection(self) -> McpConnection:
        if self._connected is not None and self._connected.gone.is_set():
            self._renew()
        if not self._outcome.done():
            self._wanted.set()
        outcome = await asyncio.shield(self._outcome)
        if isinstance(outcome, str):
            raise ToolFailedError(outcome)
        return outcome

    async def _keep(self) -> str:
        """Open a connection and hold it until it ends; the words say why it did."""
        from natter_llm.tools.mcp_connection import FAILURES, reason

        lines = LastLines()
        words = "the connection ended"
        opened = False
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(_OPEN_S) as opening:
                    self._opening = opening
                    try:
                        connection = await stack.enter_async_context(self._connect(lines))
                    finally:
                        self._opening = None
                opened = True
                self._opened += 1
                self._log.info("mcp server connected", server=self.name)
                self._connected = connection
                self._outcome.set_result(connection)
                self._wanted.clear()
                if not self.over:
                    await connection.gone.wait()
                # From here on calls wait for the next connection; closing this one may take seconds.
                connection.gone.set()
                self._renew()
        except TimeoutError:
            words = f"it did not answer within {_OPEN_S:g} seconds"
        except FAILURES as error:
            words = reason(error)
        said = lines.words()
        words = f"{words} ({said})" if said else words
        self._connected = None
        if not opened:
            self._end_outcome(f"{self.name} can't be started or reached: {words}")
            self._wanted.clear()
        self._renew()
        return words

    def _renew(self) -> None:
        """Calls from now on wait for another outcome."""
        if self._outcome.done():
            self._outcome = asyncio.get_running_loop().create_future()

    def _end_outcome(self, words: str) -> None:
        if not self._outcome.done():
            self._outcome.set_result(words)

    async def _pause(self, wait_s: float) -> None:
        """Wait before the next try; a call that needs the server ends the wait."""
        try:
            async with asyncio.timeout(wait_s):
                await self._wanted.wait()
        except TimeoutError:
            return
