"""What is common to providers whose sessions have a connection each to a vendor that listens to a stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, Generic, TypeVar

from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_stt.provider import Emit, StreamSettings, SttError, SttStream
from natter_stt.recognition import Recognition
from natter_stt.socket_stream import RECONNECT_S, Connections, Link, SocketStream

PROBE_S: Final = 5.0

ClientT = TypeVar("ClientT")


class SocketProvider(ABC, Generic[ClientT]):
    """An `SttProvider` but for what the vendor's own methods say. `ClientT`: the SDK's client, for all sessions.

    Attributes:
        name: as bots name it.
        vendor: for people.
        reconnect_s: how long opening a connection again may take while somebody speaks.
    """

    name: ClassVar[str]
    vendor: ClassVar[str]
    reconnect_s: ClassVar[float] = RECONNECT_S

    def __init__(self) -> None:
        self._client: ClientT | None = None
        self._connections: Connections | None = None

    async def load(self, registry: CollectorRegistry) -> None:
        """Read the key and import the SDK; raises `SttError` without a key. Needs no network."""
        self._client = await self._make_client()
        self._connections = Connections(self.name, registry)

    async def probe(self) -> None:
        """Open a connection and close it, which costs nothing; raises `SttError`."""
        client, connections = self._started
        context = self._connect(client, StreamSettings())
        await connections.enter(context, PROBE_S, self.vendor)
        await context.__aexit__(None, None, None)

    def open(self, settings: StreamSettings, emit: Emit) -> SttStream:
        """A stream for one session; raises `BadSettingsError`."""
        recognition = self._recognition(settings)
        client, connections = self._started
        return SocketStream(
            recognition, lambda: self._connect(client, settings), emit, connections, reconnect_s=self.reconnect_s
        )

    async def close(self) -> None:
        """Wait for what is still being connected."""
        if self._connections is not None:
            await self._connections.close()

    @property
    def _started(self) -> tuple[ClientT, Connections]:
        if self._client is None or self._connections is None:
            raise SttError(Trouble.NOT_CONFIGURED, f"{self.vendor} was not loaded.", retryable=False)
        return self._client, self._connections

    # The vendor's own.

    @abstractmethod
    async def _make_client(self) -> ClientT:
        """The SDK's client by the environment; raises `SttError` when that has no key."""

    @abstractmethod
    def _recognition(self, settings: StreamSettings) -> Recognition:
        """The rules for one session; raises `BadSettingsError`."""

    @abstractmethod
    def _connect(self, client: ClientT, settings: StreamSettings) -> AbstractAsyncContextManager[Link]:
        """A connection for one session, to be opened by entering. See `OpenLink`."""


def key_of(value: str, variable: str) -> str:
    """The key that an environment variable holds; raises `SttError` when there is none."""
    key = value.strip()
    if not key:
        raise SttError(Trouble.NOT_CONFIGURED, f"{variable} is not set.", retryable=False)
    return key
