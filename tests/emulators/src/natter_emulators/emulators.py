"""All emulated services, started and stopped together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType, TracebackType
from typing import Final, Self

from natter_emulators import deepgram, elevenlabs, gladia, openai
from natter_emulators.emulator import KEY, Context
from natter_emulators.script import Delays
from natter_emulators.server import HOST, Router, serve

SERVICES: Final = ("deepgram", "gladia", "elevenlabs", "openai")

_NO_PORTS: Final[Mapping[str, int]] = MappingProxyType({})


class Emulators:
    """`async with Emulators() as emulators:` serves all of them on one free port of the running loop.

    Attributes:
        openai: and so on: the services, to be scripted and asked what they saw.
        urls: the address of each service by its name.
    """

    def __init__(
        self,
        *,
        delays: Delays | None = None,
        host: str = HOST,
        port: int = 0,
        ports: Mapping[str, int] = _NO_PORTS,
        key: str = KEY,
        strict: bool = True,
    ) -> None:
        """Nothing is served yet.

        Args:
            delays: how fast the services are.
            host: the address to listen on.
            port: for all services that are not in `ports`; 0 takes a free one.
            ports: ports of their own for services, by name.
            key: the one that is right.
            strict: whether voices refuse words without a mark.

        Raises:
            ValueError: `ports` names no service.
        """
        context = Context(delays or Delays(), key, strict)
        self._host, self._port, self._ports, self._key = host, port, dict(ports), key
        routers: dict[str, Router] = {}
        self.deepgram = deepgram.register(routers.setdefault("deepgram", Router()), context)
        self.gladia = gladia.register(routers.setdefault("gladia", Router()), context)
        self.elevenlabs = elevenlabs.register(routers.setdefault("elevenlabs", Router()), context)
        self.openai = openai.register(routers.setdefault("openai", Router()), context)
        self._routers = routers
        unknown = self._ports.keys() - routers.keys()
        if unknown:
            raise ValueError(f"no service is named {', '.join(sorted(unknown))}; there are {', '.join(routers)}")
        self.urls: dict[str, str] = {}
        self.url = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Serve.

        Raises:
            OSError: a port is taken.
        """
        try:
            shared = Router()
            for name, router in self._routers.items():
                if name not in self._ports:
                    shared.routes += router.routes
            self.url = await self._serve(shared, self._port)
            for name, router in self._routers.items():
                self.urls[name] = await self._serve(router, self._ports[name]) if name in self._ports else self.url
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop all connections."""
        await self._stack.aclose()

    async def _serve(self, router: Router, port: int) -> str:
        bound = await self._stack.enter_async_context(serve(router, host=self._host, port=port))
        return f"http://{self._host}:{bound}"

    def environment(self) -> dict[str, str]:
        """The environment in which Natter's services use the emulators."""
        found: dict[str, str] = {}
        for name, url in self.urls.items():
            found[f"{name.upper()}_API_KEY"] = self._key
            found[f"{name.upper()}_BASE_URL"] = f"{url}/v1" if name == "openai" else url
        return found
