"""What becomes of a gateway's sessions when one of them fails. The sessions are played."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from natter_gateway import sessions
from natter_gateway.bots.model import Bot
from natter_gateway.leases.board import HeldLease
from natter_gateway.sessions import Sessions
from natter_proto import Stage


@dataclass
class Call:
    """Stands for a session."""

    id: str
    closed: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    over: Callable[[], None] = lambda: None
    on_signal: object = None

    async def open(self) -> None:
        """It has its leases."""

    async def close(self, reason: str, words: str | None) -> None:
        self.closed.append((reason, words))


async def test_a_session_that_fails_ends_in_words_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def new_call(session_id: str, *_parts: Any) -> Call:
        return Call(session_id)

    monkeypatch.setattr(sessions, "Session", new_call)
    bot = Bot.model_validate({"id": "b", "name": "B", "prompt": "Be kind."})
    async with asyncio.TaskGroup() as tasks:

        def spawn(work: Coroutine[None, None, None], name: str) -> None:
            tasks.create_task(work, name=name)

        parts: Any = SimpleNamespace(
            link=SimpleNamespace(up=True), settings=SimpleNamespace(max_sessions=2), spawn=spawn
        )
        kept = Sessions(parts, structlog.get_logger())
        calls: list[Any] = [await kept.open_new(bot), await kept.open_new(bot)]
        kept.on_failed(HeldLease(calls[0].id, Stage.STAGE_STT, 1, 1, "w", "local", "Moonshine"))
    assert calls[0].closed == [("failed", "Something went wrong here. Please call again.")]
    assert calls[1].closed == []
    assert len(kept) == 1
