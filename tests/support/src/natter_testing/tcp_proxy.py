"""A network that can be taken away: passes TCP connections on until it is cut."""

import asyncio
from types import TracebackType
from typing import Final

_CHUNK_BYTES: Final = 64 * 1024


class TcpProxy:
    """Listens on a loopback port and passes on to another. Used as `async with TcpProxy(port) as proxy`."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._cut = False
        self.port = 0

    def cut(self) -> None:
        """Drop all connections and every new one."""
        self._cut = True
        for writer in list(self._open):
            writer.transport.abort()

    def heal(self) -> None:
        """Pass on again what connects from now on."""
        self._cut = False

    async def __aenter__(self) -> "TcpProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        try:
            onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, onward_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass_on(reader, onward_writer), name="proxy-out")
                tasks.create_task(_pass_on(onward_reader, writer), name="proxy-back")
        finally:
            self._open -= {writer, onward_writer}


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
