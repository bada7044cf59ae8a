"""Which worker serves the call, how it is struck, and how all is well again before the next call."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import httpx

from natter_bench.chaos.plan import BROKER, SIGNALS, Strike
from natter_bench.errors import CallError
from natter_local.supervised import Supervised
from natter_local.system import LocalSystem

SETTLED_WITHIN_S: Final = 45.0
"""A worker drains for 30 s at most, and then starts again."""
_HELD_WITHIN_S: Final = 5.0
_HEALTH_WITHIN_S: Final = 1.0
_POLL_S: Final = 0.1


class Blow:
    """A signal that falls on a worker at a time of the call, and what follows of it."""

    def __init__(self, victim: Supervised, strike: Strike) -> None:
        self.victim: Final = victim
        self.strike: Final = strike
        self.fell_s: float | None = None
        """On the clock of the caller's recording; None before."""
        self.went_on_s: float | None = None
        """When a stopped process was continued."""
        self.over: Final = asyncio.Event()
        self._starts: Final = victim.starts

    @property
    def has_left(self) -> bool:
        """Whether the process is gone, and another one is up in its place; one that was only stopped need not go."""
        return self.strike.signal == "STOP" or self.victim.starts > self._starts

    async def fall(self) -> None:
        """Wait, strike; a process that was stopped is continued later, whatever happens."""
        number = SIGNALS[self.strike.signal]
        await asyncio.sleep(self.strike.after_ms / 1000)
        self.fell_s = time.monotonic()
        try:
            await self.victim.kill(number)
            if number == signal.SIGSTOP:
                await asyncio.sleep(self.strike.stopped_for_s)
        finally:
            if number == signal.SIGSTOP:
                self.went_on_s = time.monotonic()
                self.victim.send(signal.SIGCONT)
            self.over.set()


async def holder(http: httpx.AsyncClient, system: LocalSystem, stage: str) -> Supervised:
    """The worker of a stage that serves the one call there is. Raises CallError when there is not exactly one."""
    deadline_s = time.monotonic() + _HELD_WITHIN_S
    while True:
        counts = await _sessions(http, system.of(stage))
        holding = [process for process, count in zip(system.of(stage), counts, strict=True) if count]
        if len(holding) == 1:
            return holding[0]
        if time.monotonic() > deadline_s:
            names = ", ".join(process.name for process in holding) or "no worker"
            raise CallError(f"{names} of {stage} says that it serves the call")
        await asyncio.sleep(_POLL_S)


async def victim_of(http: httpx.AsyncClient, system: LocalSystem, strike: Strike) -> Supervised:
    """Who is to be struck. Raises CallError as `holder`."""
    if strike.stage == BROKER:
        nodes = system.brokers
        return nodes[strike.number % len(nodes)]
    return await holder(http, system, strike.stage)


async def settled(http: httpx.AsyncClient, system: LocalSystem, blows: Sequence[Blow] = ()) -> str:
    """Wait until whoever was struck is back, every process ready, and no worker serves anybody.

    Gives what is not so after a while, in words; or "".
    """
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        stay = [blow.victim.name for blow in blows if not blow.has_left]
        wrong = f"{', '.join(stay)} did not leave" if stay else await _unsettled(http, system)
        if not wrong or time.monotonic() > deadline_s:
            return wrong
        await asyncio.sleep(_POLL_S)


async def _unsettled(http: httpx.AsyncClient, system: LocalSystem) -> str:
    processes = system.processes
    late = [process.name for process in (*processes, *system.brokers) if not process.ready]
    if late:
        return f"{', '.join(late)} not ready"
    counts = await _sessions(http, processes)
    held = [
        f"{process.name} {'does not answer' if count is None else f'holds {count} sessions'}"
        for process, count in zip(processes, counts, strict=True)
        if count != 0
    ]
    return ", ".join(held)


async def _sessions(http: httpx.AsyncClient, processes: Sequence[Supervised]) -> list[int | None]:
    """Of each process, how many sessions it says it holds; None where it does not answer."""
    return await asyncio.gather(*(_sessions_of(http, process) for process in processes))


async def _sessions_of(http: httpx.AsyncClient, process: Supervised) -> int | None:
    try:
        answer = await http.get(f"{process.url}/health", timeout=_HEALTH_WITHIN_S)
        count: Any = cast("dict[str, Any]", answer.json()).get("sessions")
    except (httpx.HTTPError, ValueError):
        return None
    return count if isinstance(count, int) else None
