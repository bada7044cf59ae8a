"""Keeps connections open in the background, so that no attempt waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from natter_common.backoff import Backoff
from natter_llm.provider import LlmError

# Servers and proxies close connections that are idle for 60 s and more.
REFRESH_S: Final = 40.0
# Nobody has asked for this long: the next session warms its connection itself.
ASLEEP_AFTER_S: Final = 300.0
# After an interruption, which costs its connection, another is opened; a burst of them opens one.
_LEAST_S: Final = 0.5


class Keeper:
    """Calls ``touch``, something cheap over the connection, when one was lost and before one gets too old.

    Args:
        touch: uses as many connections as are to be had; raises LlmError when there is none.
        refresh_s: how long a connection may be idle.
    """

    def __init__(self, touch: Callable[[], Awaitable[object]], refresh_s: float = REFRESH_S) -> None:
        self._touch = touch
        self._refresh_s = refresh_s
        self._lost = asyncio.Event()
        self._used_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the task is this object's until `close`."""
        self._task = asyncio.create_task(self._keep(), name="openai-keeper")

    async def close(self) -> None:
        """Stop."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def used(self) -> None:
        """A request has just been made."""
        self._used_at = asyncio.get_running_loop().time()

    def lost(self) -> None:
        """A connection had to be given up."""
        self._lost.set()

    async def _keep(self) -> None:
        backoff = Backoff(_LEAST_S, self._refresh_s)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s):
                    await self._lost.wait()
            self._lost.clear()
            if asyncio.get_running_loop().time() - self._used_at > ASLEEP_AFTER_S:
                continue
            pause_s = _LEAST_S
            try:
                await self._touch()
            except LlmError:
                self._lost.set()
                pause_s = backoff.next_s()
            else:
                backoff.reset()
            await asyncio.sleep(pause_s)
