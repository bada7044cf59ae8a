"""A web server whose webhooks check their signatures, count their runs, and answer when the test lets them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from natter_emulators.server import Exchange, Router, serve

SECRET_VARIABLE: Final = "HOOK_SECRET"
SECRET: Final = "correct horse"
_OLDEST_S: Final = 300


@dataclass(slots=True)
class Run:
    """One time that a webhook was called."""

    key: str
    """Its Idempotency-Key."""
    arguments: dict[str, Any]
    over: bool = False
    """It was answered."""
    left: bool = False
    """Natter left before it was."""


@dataclass(slots=True)
class Hook:
    """One webhook.

    Attributes:
        answer: what it answers, with the arguments filled in: `{city}`.
        held: it answers only once `release` is set.
        began: it was called.
        left: one that called it has left without the answer.
    """

    answer: str
    held: bool = False
    runs: list[Run] = field(default_factory=list[Run])
    began: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, run: Run) -> str:
        self.runs.append(run)
        self.began.set()
        try:
            if self.held:
                await self.release.wait()
        except asyncio.CancelledError:
            run.left = True
            self.left.set()
            raise
        run.over = True
        return self.answer.format(**run.arguments)


class Webhooks:
    """All webhooks of a test, by name. What is not signed as docs/tools.md says is refused, and counted as no run."""

    def __init__(self) -> None:
        self.hooks: dict[str, Hook] = {}
        self.refused = 0
        self._url = ""

    def add(self, name: str, answer: str, *, held: bool = False) -> Hook:
        """A webhook that is there from now on."""
        return self.hooks.setdefault(name, Hook(answer, held))

    def section(self, name: str) -> dict[str, str]:
        """The `http` section of a tool that calls it."""
        return {"url": f"{self._url}/{name}", "secret": SECRET_VARIABLE}

    @classmethod
    @asynccontextmanager
    async def serve(cls) -> AsyncGenerator[Webhooks]:
        """Serve on a free port of the running loop."""
        webhooks = cls()
        router = Router()
        router.http("POST", "/{name}", webhooks._on_request)
        async with serve(router) as port:
            webhooks._url = f"http://127.0.0.1:{port}"
            yield webhooks

    async def _on_request(self, exchange: Exchange) -> None:
        request = exchange.request
        hook = self.hooks.get(request.params["name"])
        if hook is None:
            await exchange.respond(404, "no such webhook")
        elif not _is_signed(request.headers, request.body):
            self.refused += 1
            await exchange.respond(401, "wrong signature")
        else:
            run = Run(request.headers.get("idempotency-key", ""), request.json()["arguments"])
            await exchange.respond(200, await hook.run(run))


def _is_signed(headers: Any, body: bytes) -> bool:
    timestamp: str = headers.get("x-natter-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > _OLDEST_S:
        return False
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={expected}", headers.get("x-natter-signature", ""))
