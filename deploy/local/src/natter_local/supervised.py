"""One process that is kept up: started, watched until it is ready, started again when it dies."""

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from natter_local.backoff import RestartPolicy
from natter_local.child import Child, exit_words
from natter_local.ports import free_port
from natter_local.ready import READY, STARTING, Probe

_POLL_S: Final = 0.1
_KEPT_LINES: Final = 25
_LAST_OUTPUT_S: Final = 1.0


class Watcher(Protocol):
    """Sees what the processes write and what becomes of them."""

    def on_line(self, name: str, line: str) -> None:
        """A process wrote a line."""

    def on_event(self, name: str, words: str) -> None:
        """Something happened to a process."""


class GaveUpError(RuntimeError):
    """A process died again and again before it was ever ready. The text holds its last lines."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run a process.

    Attributes:
        name: of this process, `stt-2`; `service` is what it is one of, `stt`.
        launch: makes command and environment for the port that the process is to listen on.
        address: where it is reached, for its port.
        probe: tells whether it is ready at its address.
        port: to listen on; None picks a free one, and another one as long as it was never ready.
        niceness: how far it stands back behind others for a processor, 0 to 19.
        keep_up: False leaves it down once it has died.
    """

    name: str
    service: str
    launch: Callable[[int], tuple[Sequence[str], Mapping[str, str]]]
    address: Callable[[int], str]
    probe: Probe
    cwd: Path
    port: int | None = None
    niceness: int = 0
    keep_up: bool = True


class Supervised:
    """A process by its plan. `run` is its life; whoever made it runs that as a task."""

    def __init__(self, plan: Plan, watcher: Watcher, on_ready: Callable[[], None]) -> None:
        self.name: Final = plan.name
        self.service: Final = plan.service
        self.waiting_for = STARTING
        """What it still has to do, in words; empty while it is ready."""
        self.starts = 0
        self._plan = plan
        self._watcher = watcher
        self._on_ready = on_ready
        self._port = plan.port
        self._child: Child | None = None
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._ready = asyncio.Event()
        self._exited = asyncio.Event()
        self._stopped = asyncio.Event()
        self._done = asyncio.Event()
        self._done.set()
        self._restarting = False
        self._ever_ready = False

    @property
    def pid(self) -> int | None:
        """None while no process runs."""
        return self._child.pid if self._child is not None and self._child.alive else None

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    @property
    def url(self) -> str:
        """Where it listens. It changes only as long as the process was never ready."""
        return self._plan.address(self._port) if self._port is not None else ""

    @property
    def last_lines(self) -> list[str]:
        """The end of what it wrote, over all its starts."""
        return list(self._tail)

    async def wait_ready(self) -> None:
        await self._ready.wait()

    async def run(self) -> None:
        """Keep it up until `stop`. Raises `GaveUpError`."""
        self._done.clear()
        loop = asyncio.get_running_loop()
        policy = RestartPolicy()
        try:
            while not self._stopped.is_set():
                began = loop.time()
                code, was_ready = await self._live()
                if self._stopped.is_set():
                    return
                if self._restarting:
                    self._restarting = False
                    continue
                if not self._plan.keep_up:
                    self._watcher.on_event(self.name, f"{exit_words(code)}, and stays down")
                    await self._stopped.wait()
                    return
                delay_s = policy.after_death(loop.time() - began, was_ready=was_ready)
                if delay_s is None:
                    raise GaveUpError(self._obituary(code))
                self._watcher.on_event(self.name, f"{exit_words(code)}; started again in {delay_s:.1f} s")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._stopped.wait()
        finally:
            self._done.set()

    async def stop(self, grace_s: float) -> bool:
        """SIGTERM, then SIGKILL after `grace_s`; returns when it is gone for good: True if it left by itself."""
        self._stopped.set()
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self._done.wait()
        except TimeoutError:
            self._watcher.on_event(self.name, f"did not stop within {grace_s:.0f} s and is killed")
            self.send(signal.SIGKILL)
            await self._done.wait()
            return False
        return True

    def kill_for_good(self) -> None:
        """SIGKILL now, and no other start."""
        self._stopped.set()
        self.send(signal.SIGKILL)

    async def restart(self, grace_s: float) -> None:
        """SIGTERM, SIGKILL after `grace_s`, start again; returns when it is ready again."""
        if self.pid is not None:
            self._restarting = True
            self._ready.clear()
            self.send(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    await self._exited.wait()
            except TimeoutError:
                self.send(signal.SIGKILL)
                await self._exited.wait()
        await self.wait_ready()

    async def kill(self, number: signal.Signals) -> None:
        """Send a signal; after SIGKILL return when the process is gone."""
        if self.pid is not None:
            self.send(number)
            if number == signal.SIGKILL:
                await self._exited.wait()

    def send(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send(number)

    async def _live(self) -> tuple[int, bool]:
        """One life: from start to exit. Gives the exit code, and whether it was ready in between."""
        if self._plan.port is None and not self._ever_ready:
            self._port = free_port()
        assert self._port is not None  # noqa: S101
        self.waiting_for = STARTING
        command, env = self._plan.launch(self._port)
        child = await Child.start(command, env, self._plan.cwd, niceness=self._plan.niceness)
        self._child = child
        self._exited.clear()
        self.starts += 1
        if self._stopped.is_set():
            child.send(signal.SIGTERM)
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(child), name=f"output-{self.name}")
                asking = tasks.create_task(self._ask_until_ready(child), name=f"ready-{self.name}")
                code = await child.wait()
                was_ready = asking.done()
                asking.cancel()
                child.sweep()
                await asyncio.wait({reading}, timeout=_LAST_OUTPUT_S)
                reading.cancel()
        finally:
            if child.alive:
                # Cancelled: nothing is left running.
                child.send(signal.SIGKILL)
                await child.wait()
            self._ready.clear()
            self.waiting_for = STARTING
            self._exited.set()
        return code, was_ready

    async def _read(self, child: Child) -> None:
        async with contextlib.aclosing(child.lines()) as lines:
            async for line in lines:
                self._tail.append(line)
                self._watcher.on_line(self.name, line)

    async def _ask_until_ready(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            reason = await self._plan.probe(self.url)
            # Someone else may listen on the port of a process that died meanwhile.
            if reason == READY and child.alive and not self._restarting:
                break
            if reason not in (self.waiting_for, READY):
                self._watcher.on_event(self.name, f"{reason}…")
                self.waiting_for = reason
            await asyncio.sleep(_POLL_S)
        self.waiting_for = READY
        self._ever_ready = True
        self._ready.set()
        self._watcher.on_event(self.name, f"ready after {loop.time() - began:.1f} s")
        self._on_ready()

    def _obituary(self, code: int) -> str:
        lines = "".join(f"\n    {line}" for line in self._tail)
        wrote = f" Its last lines:{lines}" if lines else " It wrote nothing."
        return f"{self.name} {exit_words(code)}, {self.starts} times in a row, and was never ready.{wrote}"
