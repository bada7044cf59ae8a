"""What an emulator has decided to say, sent in that order and not before each is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_MOST_WAITING: Final = 10_000


class Outbox:
    """A connection's messages on their way out. `run` sends them, in a task of the connection's handler.

    At most 10,000 wait; one more raises `asyncio.QueueFull`, which ends the connection: nobody reads any more.
    """

    def __init__(self, send: Callable[[str | bytes], Awaitable[None]]) -> None:
        self._send = send
        self._queue: asyncio.Queue[tuple[float, str | bytes]] = asyncio.Queue(_MOST_WAITING)
        self._mute = False

    def put(self, message: str | bytes, *, delay_ms: float = 0) -> None:
        """Send this after everything put before, in `delay_ms` at the earliest."""
        due = asyncio.get_running_loop().time() + delay_ms / 1000
        if not self._mute:
            self._queue.put_nowait((due, message))

    def mute(self) -> None:
        """Send what is waiting, and then nothing ever again: a stall."""
        self._mute = True

    async def sent(self) -> None:
        """Wait until everything put so far has been sent."""
        await self._queue.join()

    async def run(self) -> None:
        """Send until cancelled.

        Raises:
            ConnectionOverError: the peer is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            due, message = await self._queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._send(message)
            self._queue.task_done()
