"""What all emulated services have in common: scripts, a log of what was asked, and counts of connections."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from natter_emulators.marks import HeardWord
from natter_emulators.script import Delays, Part, Script, Scripts
from natter_emulators.server import Connection, Exchange, HttpHandler, Peer, Request, Router, WebSocketHandler

KEY: Final = "emulator-key"
"""The key that is right; any other is answered with 401."""
_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """What every emulator is given at the start."""

    delays: Delays = field(default_factory=Delays)
    key: str = KEY
    strict: bool = True
    """Whether a voice refuses words that have no mark (tests), or speaks them unmarked (for people)."""


class Emulator:
    """One vendor's service. A module has `register(router, context)` that makes its own and adds its routes."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.requests: deque[Request] = deque(maxlen=_KEPT)
        """The last 1,000 requests and handshakes, with those that were refused."""
        self.streams: deque[list[HeardWord]] = deque(maxlen=_KEPT)
        """What was heard, in a list for each stream or file, in the order of their beginnings."""
        self.open_connections = 0
        """WebSockets, and HTTP requests under way."""
        self.max_connections = 0
        self._scripts = Scripts()

    @property
    def delays(self) -> Delays:
        """How fast it is."""
        return self.context.delays

    def script(self, name: str, script: Script) -> None:
        """From now on the model (or voice) `name` behaves like this; counting starts anew."""
        self._scripts.set(name, script)

    def script_default(self, script: Script) -> None:
        """How models and voices behave that have no script. Its `times` cannot be counted: leave it None."""
        self._scripts.default = script

    @property
    def script_names(self) -> tuple[str, ...]:
        """The models and voices that have a script."""
        return self._scripts.names

    def heard(self, stream: int = -1) -> tuple[HeardWord, ...]:
        """The words heard in one of the streams, by default the one that began last; none without such a stream."""
        try:
            return tuple(self.streams[stream])
        except IndexError:
            return ()

    def heard_all(self) -> tuple[HeardWord, ...]:
        """The words of all streams, one stream after the other."""
        return tuple(word for words in self.streams for word in words)

    def new_stream(self) -> list[HeardWord]:
        """The list for what a stream hears that begins now."""
        words: list[HeardWord] = []
        self.streams.append(words)
        return words

    def play(self, name: str | None) -> Part:
        """What is to happen to the connection or request that has just named this model or voice."""
        return self._scripts.play(name)

    def http(self, router: Router, method: str, path: str, handler: HttpHandler) -> None:
        """Serve requests, logged and counted."""

        async def counted(exchange: Exchange) -> None:
            self._enter(exchange)
            try:
                await handler(exchange)
            finally:
                self.open_connections -= 1

        router.http(method, path, counted)

    def websocket(self, router: Router, path: str, handler: WebSocketHandler) -> None:
        """Serve WebSockets, logged and counted."""

        async def counted(connection: Connection) -> None:
            self._enter(connection)
            try:
                await handler(connection)
            finally:
                self.open_connections -= 1

        router.websocket(path, counted)

    def _enter(self, peer: Peer) -> None:
        self.requests.append(peer.request)
        self.open_connections += 1
        self.max_connections = max(self.max_connections, self.open_connections)
