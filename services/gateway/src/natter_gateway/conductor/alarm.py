"""One timer that follows whatever is due next."""

import asyncio
import math
from collections.abc import Callable


class Alarm:
    """Calls `ring` when it was last set to, or earlier: who is rung looks what is really due.

    Up to a millisecond late: uvloop counts in whole ones, and rounding down would ring over and over until it is time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._due_ms = 0.0

    def set(self, due_ms: float | None) -> None:
        """Ring at `due_ms` of the loop's clock. An earlier alarm stays: setting costs nothing then."""
        if due_ms is None:
            return
        if self._handle is not None:
            if self._due_ms <= due_ms:
                return
            self._handle.cancel()
        self._due_ms = due_ms
        wait_ms = max(1, math.ceil(due_ms - self._loop.time() * 1000))
        self._handle = self._loop.call_later(wait_ms / 1000, self._go)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go(self) -> None:
        self._handle = None
        self._ring()
