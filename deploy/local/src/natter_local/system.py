"""The whole of Natter on this machine: a broker and any number of each service, kept up."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TypeVar

from natter_local.broker import NATS
from natter_local.jetstream import jetstream_leader
from natter_local.logfiles import LogFiles
from natter_local.nats_nodes import NODE_COUNTS, NatsNode, nats_nodes
from natter_local.ready import READY, http_ready, tcp_ready
from natter_local.rolling import READY_WITHIN_S, RollError, Say, life_of_newcomer, to_roll, until_ready
from natter_local.services_file import ServicesFile
from natter_local.supervised import GaveUpError, Plan, Supervised, Watcher

_T = TypeVar("_T")

GATEWAY: Final = "gateway"
_MODELS: Final = ("stt", "llm", "tts")
_MODEL_NICENESS: Final = 5
"""On one machine a model's second of work must not cost the voice its 20 ms."""
SERVICES: Final[Sequence[str]] = (GATEWAY, "vad", "stt", "llm", "tts")
_BROKER_GRACE_S: Final = 5.0
RESTART_GRACE_S: Final = 35.0
"""A service drains for 30 s at most."""


class StartError(RuntimeError):
    """The system did not come up; the text says which part, and what it wrote last."""


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What to run.

    Attributes:
        services: how many of each; the default is one of each.
        commands: of a service, instead of the console script beside this Python.
        env: for every service, on top of this process's own environment; `env_of` for one service, or one process by
            name (`stt-2`), on top of that.
        log_file: each process also logs to a file of its own beside this one, `natter.log` becoming `natter-stt.log`.
        nats_url: a broker that runs already; None starts one.
        nats_nodes: how many nodes that one has, 1 or 3.
        gateway_port: of the first gateway; None picks a free one.
        services_file: where to write addresses and pids while all is up.
        cwd: working directory of the services (where they look for `.env`); None is the system's own folder.
        keep_up: start again what dies.
        ready_timeout_s: for all to become ready; None waits as long as it takes.
        stop_grace_s: between SIGTERM and SIGKILL.
    """

    services: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SERVICES, 1))
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    env_of: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    log_file: Path | None = None
    nats_url: str | None = None
    nats_nodes: int = 1
    gateway_port: int | None = None
    services_file: Path | None = None
    cwd: Path | None = None
    keep_up: bool = True
    ready_timeout_s: float | None = 120.0
    stop_grace_s: float = 5.0


@dataclass(slots=True)
class _Counter:
    """Numbers the processes of each service, for their names."""

    made: dict[str, int] = field(default_factory=dict[str, int])

    def next_name(self, service: str) -> str:
        number = self.made[service] = self.made.get(service, 0) + 1
        return service if number == 1 else f"{service}-{number}"


class LocalSystem:
    """Used as `async with LocalSystem(folder) as system`: up inside the block, gone after it.

    `folder` takes the logs (unless a `watcher` is given) and the broker's streams. Use it from the main thread: the
    kernel kills the children when the thread that started them ends.
    """

    def __init__(self, folder: Path, options: LocalOptions | None = None, watcher: Watcher | None = None) -> None:
        self._folder = folder
        self._options = options or LocalOptions()
        self._watcher: Watcher = watcher or LogFiles(folder)
        self._file = ServicesFile(self._options.services_file)
        self._names = _Counter()
        self._processes: list[Supervised] = []
        self._nodes: list[NatsNode] = []
        self._brokers: list[Supervised] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._all_ready = False
        self._stopping = False
        self._rolling = False

    @property
    def url(self) -> str:
        """Address of the first gateway."""
        return self.of(GATEWAY)[0].url

    @property
    def nats_url(self) -> str:
        """Address of the broker, of several nodes with commas between."""
        if self._options.nats_url is not None:
            return self._options.nats_url
        if not self._brokers:
            raise StartError("the broker was not started")
        return ",".join(broker.url for broker in self._brokers)

    @property
    def broker(self) -> Supervised | None:
        """The broker, or its first node, where the system started it itself."""
        return next(iter(self._brokers), None)

    @property
    def brokers(self) -> Sequence[Supervised]:
        """The nodes of the broker, where the system started it itself."""
        return tuple(self._brokers)

    @property
    def processes(self) -> Sequence[Supervised]:
        """Every process of a service; the broker is not among them."""
        return tuple(self._processes)

    def of(self, service: str) -> Sequence[Supervised]:
        """The processes of one service, `of("stt")[1]` being the second one; `of("nats")` are the broker's nodes."""
        return tuple(process for process in self._all() if process.service == service)

    async def start(self) -> None:
        """Start everything and return when all of it is ready. Raises `StartError`, with nothing left running."""
        self._check()
        self._folder.mkdir(parents=True, exist_ok=True)
        opened = asyncio.Event()
        self._supervision = asyncio.create_task(self._supervise(opened), name="local-supervision")
        await opened.wait()
        try:
            async with asyncio.timeout(self._options.ready_timeout_s):
                await self._unless_given_up(self._start_broker())
                for service, count in self._options.services.items():
                    for _ in range(count):
                        self._add(service)
                await self._unless_given_up(self.wait_ready())
        except TimeoutError:
            waiting = self._waiting()
            await self.stop()
            raise StartError(f"not ready after {self._options.ready_timeout_s:.0f} s: {waiting}") from None
        except BaseException:
            await self.stop()
            raise
        self._all_ready = True
        self._write_file()

    async def stop(self) -> None:
        """Stop all of it: gateways first, so that their calls end in order, then workers, then the broker."""
        self._stopping = True
        self._file.remove()
        workers = [process for process in self._processes if process.service != GATEWAY]
        await self._stop(self.of(GATEWAY), self._options.stop_grace_s)
        await self._stop(workers, self._options.stop_grace_s)
        await self._stop(self._brokers, _BROKER_GRACE_S)
        self._closing.set()
        if self._supervision is not None:
            await asyncio.wait({self._supervision})

    def kill_all(self) -> None:
        """SIGKILL everything now; a `stop` under way (or to come) then has nothing left to wait for."""
        for process in self._all():
            process.kill_for_good()

    async def wait_ready(self) -> None:
        """Return when every process is ready, also after `kill` or `add`."""
        await asyncio.gather(*(process.wait_ready() for process in self._all()))

    async def watch(self) -> NoReturn:
        """For whoever only keeps it up: returns never, raises `StartError` when the system can't go on."""
        assert self._supervision is not None  # noqa: S101
        await asyncio.wait({self._supervision})
        raise StartError(_reason(self._supervision))

    async def add(self, service: str) -> Supervised:
        """Start one more of a service and return it when it is ready."""
        process = self._add(service)
        await self._unless_given_up(process.wait_ready())
        return process

    async def restart(self, service: str, number: int | None = None, grace_s: float = RESTART_GRACE_S) -> None:
        """SIGTERM, start again, return when ready: the `number`th of a service (from 1), or all, one after another."""
        chosen = self.of(service) if number is None else [self.of(service)[number - 1]]
        for process in chosen:
            await process.restart(grace_s)

    async def roll(
        self, services: Sequence[str] = (), say: Say = lambda _words: None, *, ready_within_s: float = READY_WITHIN_S
    ) -> None:
        """Replace every process of `services` (all but the gateway where none is named), one after another.

        A new one starts, and once it is ready SIGTERM asks the old one to hand over and leave; after 35 s it is killed.
        `say` gets the progress. Raises `RollError`: where a new one is not ready in time the old one stays.
        """
        if self._rolling:
            raise RollError("a rolling restart is under way already")
        chosen = to_roll(services, [process.service for process in self._processes], GATEWAY)
        self._rolling = True
        try:
            for service in chosen:
                for old in self.of(service):
                    await self._replace(old, say, ready_within_s)
        finally:
            self._rolling = False

    async def jetstream_leader(self, stream: str | None = None) -> Supervised | None:
        """The node that leads JetStream's meta group, or `stream`. None while no living one does, or nobody knows it.

        A frozen node still counts until the others have noticed (a few seconds).
        """
        if len(self._brokers) == 1:
            return self._brokers[0] if self._brokers[0].pid is not None else None
        name = await jetstream_leader([node.monitor_url for node in self._nodes], stream)
        return next((node for node in self._brokers if node.name == name and node.pid is not None), None)

    async def kill(self, service: str, number_of_signal: signal.Signals = signal.SIGKILL, number: int = 1) -> None:
        """Send a signal to the `number`th process of a service (from 1). After SIGKILL return when it is gone."""
        await self.of(service)[number - 1].kill(number_of_signal)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    def _check(self) -> None:
        """Say before anything starts what can't be started."""
        if self._options.nats_nodes not in NODE_COUNTS:
            raise StartError(f"a broker has {' or '.join(map(str, NODE_COUNTS))} nodes, not {self._options.nats_nodes}")
        for service, count in self._options.services.items():
            command = self._command(service)
            if count and not Path(command[0]).exists():
                raise StartError(f"{command[0]} does not exist: run `make setup`, which installs all services")

    async def _supervise(self, opened: asyncio.Event) -> None:
        """Owns the tasks of all processes; fails as soon as one gives up, which stops the others."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            opened.set()
            await self._closing.wait()

    async def _start_broker(self) -> None:
        if self._options.nats_url is not None:
            await self._wait_for_broker(self._options.nats_url)
            return
        self._nodes = nats_nodes(self._folder, self._options.nats_nodes, keep_up=self._options.keep_up)
        for node in self._nodes:
            process = Supervised(node.plan, self._watcher, self._write_file)
            self._brokers.append(process)
            self._begin(process.run(), process.name)
        await asyncio.gather(*(process.wait_ready() for process in self._brokers))

    async def _wait_for_broker(self, url: str) -> None:
        if await tcp_ready(url) != READY:
            self._watcher.on_event(NATS, f"waiting for {url}…")
            while await tcp_ready(url) != READY:  # noqa: ASYNC110 - another machine tells no event
                await asyncio.sleep(0.2)

    async def _replace(self, old: Supervised, say: Say, ready_within_s: float) -> None:
        loop = asyncio.get_running_loop()
        new = self._make(old.service)
        life = self._begin(life_of_newcomer(new), new.name)
        self._processes.append(new)
        say(f"{new.name} starts in place of {old.name}")
        try:
            await until_ready(new, life, ready_within_s)
        except BaseException:
            await self._retire(new, self._options.stop_grace_s)
            raise
        say(f"{new.name} is ready; {old.name} hands over and leaves")
        began = loop.time()
        by_itself = await self._retire(old, RESTART_GRACE_S)
        how = "left" if by_itself else "was killed"
        say(f"{old.name} {how} after {loop.time() - began:.1f} s")

    async def _retire(self, process: Supervised, grace_s: float) -> bool:
        by_itself = await process.stop(grace_s)
        self._processes.remove(process)
        self._write_file()
        return by_itself

    def _add(self, service: str) -> Supervised:
        process = self._make(service)
        self._begin(process.run(), process.name)
        self._processes.append(process)
        return process

    def _make(self, service: str) -> Supervised:
        name = self._names.next_name(service)
        command = self._command(service)
        env = self._env(service, name)
        host = env.get("NATTER_HTTP_HOST", "")
        reached = "127.0.0.1" if host in ("", "0.0.0.0") else f"[{host}]" if ":" in host else host  # noqa: S104

        def launch(port: int) -> tuple[Sequence[str], Mapping[str, str]]:
            # The gateway has a variable of its own; the other one is the same for all.
            return command, {**env, "NATTER_HTTP_PORT": str(port), "FAST_API_PORT": str(port)}

        plan = Plan(
            name,
            service,
            launch,
            lambda port: f"http://{reached}:{port}",
            http_ready,
            cwd=self._options.cwd or self._folder,
            port=self._options.gateway_port if name == GATEWAY else None,
            niceness=_MODEL_NICENESS if service in _MODELS else 0,
            keep_up=self._options.keep_up,
        )
        return Supervised(plan, self._watcher, self._write_file)

    def _command(self, service: str) -> Sequence[str]:
        return self._options.commands.get(service) or [str(Path(sys.executable).parent / f"natter-{service}")]

    def _env(self, service: str, name: str) -> dict[str, str]:
        options = self._options
        env = {"NATTER_LOG_FORMAT": "console", **os.environ, **options.env}
        if service != GATEWAY:
            # Nobody but this machine asks workers how they are.
            env.setdefault("NATTER_HTTP_HOST", "127.0.0.1")
        if options.log_file is not None:
            # Rotation by several processes would lose lines.
            env["NATTER_LOG_FILE"] = str(options.log_file.with_stem(f"{options.log_file.stem}-{name}"))
        env |= options.env_of.get(service, {})
        if name != service:
            env |= options.env_of.get(name, {})
        return {**env, "NATS_URL": self.nats_url, "PYTHONUNBUFFERED": "1"}

    def _begin(self, life: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
        if self._tasks is None or self._stopping:
            life.close()
            raise StartError("the system is not running")
        return self._tasks.create_task(life, name=f"keep-up-{name}")

    def _all(self) -> list[Supervised]:
        return [*self._processes, *self._brokers]

    async def _stop(self, processes: Iterable[Supervised], grace_s: float) -> None:
        await asyncio.gather(*(process.stop(grace_s) for process in processes))

    def _waiting(self) -> str:
        late = [process for process in self._all() if not process.ready]
        if not late:
            return f"{NATS} ({self._options.nats_url})"
        return "; ".join(
            f"{process.name} ({process.waiting_for})" + "".join(f"\n    {line}" for line in process.last_lines)
            for process in late
        )

    def _write_file(self) -> None:
        if self._all_ready and not self._stopping:
            self._file.write(self.nats_url, self._brokers, self._processes)

    async def _unless_given_up(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await `work`, or raise `StartError` as soon as the supervision ends."""
        assert self._supervision is not None  # noqa: S101
        task = asyncio.create_task(work, name="local-wait")
        try:
            await asyncio.wait({task, self._supervision}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
        raise StartError(_reason(self._supervision))


def _reason(supervision: asyncio.Task[None]) -> str:
    error = None if supervision.cancelled() else supervision.exception()
    if isinstance(error, BaseExceptionGroup):
        gave_up = error.subgroup(GaveUpError)
        if gave_up is not None:
            return "\n".join(str(one) for one in gave_up.exceptions)
    if error is not None:
        raise error
    return "the system was stopped"
