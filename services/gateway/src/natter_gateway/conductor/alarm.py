"""One timer that follows whatever is due next."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the time it was last set to, or earlier: who is rung looks what is really due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    def set(self, due_ms: float | None) -> None:
        """Ring at `due_ms` of the loop's clock. An earlier alarm stays: setting costs nothing then."""
        if due_ms is None:
            return
        due_s = due_ms / 1000
        if self._handle is not None:
            if self._due_s <= due_s:
                return
            self._handle.cancel()
        self._due_s = due_s
        self._handle = self._loop.call_at(due_s, self._go)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go(self) -> None:
        self._handle = None
        self._ring()
