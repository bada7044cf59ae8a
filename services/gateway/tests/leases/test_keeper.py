"""What the keeper says to workers and to the sessions. Link, broker and sessions are played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import structlog

from natter_common.metrics import Metrics
from natter_gateway.leases import board, keeper
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.keeper import LeaseKeeper
from natter_proto import Beat, Held, RealmSubjects, Stage

Handler = Callable[[SimpleNamespace], Awaitable[None]]


def lease(session: str, epoch: int = 1, worker: str = "w") -> HeldLease:
    return HeldLease(session, Stage.STAGE_STT, 1, epoch, worker, "local", "Moonshine")


def beat(*leases: HeldLease) -> SimpleNamespace:
    held = [Held(session=item.session, stage=item.stage, term=item.term, epoch=item.epoch) for item in leases]
    return SimpleNamespace(data=Beat(sender="w", number=1, held=held, draining=True).SerializeToString())


@dataclass
class Link:
    """Stands for the link, and for a broker whose workers are all gone."""

    good_until: float = 5.0
    settled: bool = True
    came_back: asyncio.Event = field(default_factory=asyncio.Event)
    handler: asyncio.Queue[Handler] = field(default_factory=lambda: asyncio.Queue(1))
    sent: asyncio.Queue[tuple[str, Beat]] = field(default_factory=lambda: asyncio.Queue(100))

    async def subscribe(self, _subject: str, handler: Handler) -> None:
        self.handler.put_nowait(handler)

    async def unsubscribe(self, _subscription: None) -> None:
        """Nobody listens any more."""

    async def publish_audio(self, subject: str, frame: Beat) -> None:
        await self.sent.put((subject, frame))

    async def back_within(self, _seconds: float) -> bool:
        await asyncio.sleep(0)
        was_lost = self.came_back.is_set()
        self.came_back.clear()
        return was_lost

    async def ping(self, _worker: str, _timeout_s: float) -> bool:
        return False


@dataclass
class Holders:
    """Stands for the sessions: `a` can't cope with anything."""

    told: asyncio.Queue[tuple[str, str]] = field(default_factory=lambda: asyncio.Queue(100))

    def _note(self, what: str, held: HeldLease) -> None:
        if held.session == "a":
            raise RuntimeError("broken on purpose")
        self.told.put_nowait((what, held.session))

    def on_lease_lost(self, lease: HeldLease, _since_s: float) -> None:
        self._note("lost", lease)

    def on_frames_lost(self, lease: HeldLease, _since_s: float) -> None:
        self._note("frames", lease)

    def on_worker_leaves(self, lease: HeldLease) -> None:
        self._note("leaves", lease)

    def on_progress(self, lease: HeldLease, _held: Held) -> None:
        self._note("progress", lease)

    def on_failed(self, lease: HeldLease) -> None:
        self.told.put_nowait(("failed", lease.session))

    async def next(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(5):
            return [await self.told.get() for _ in range(count)]


class Setting:
    """A keeper that runs."""

    def __init__(self) -> None:
        self.link, self.holders = Link(), Holders()
        self.keeper = LeaseKeeper(
            self.link,  # type: ignore[arg-type]
            RealmSubjects("main"),
            self.link,  # type: ignore[arg-type]
            "g",
            Metrics("gateway"),
            structlog.get_logger(),
            lambda: self.holders,
        )


@pytest.fixture
async def setting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    monkeypatch.setattr(keeper, "_BEAT_INTERVAL_S", 0.001)
    made = Setting()
    running = asyncio.create_task(made.keeper.run(), name="lease-keeper")
    yield made
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_a_worker_that_was_given_up_is_told_that_nothing_is_held_there(setting: Setting) -> None:
    on_beat = await setting.link.handler.get()
    await on_beat(beat(lease("a")))
    async with asyncio.timeout(5):
        subject, answer = await setting.link.sent.get()
    assert subject == RealmSubjects("main").beat("w")
    assert (answer.sender, list(answer.held)) == ("g", [])


async def test_a_session_that_fails_at_the_loss_of_its_lease_ends_alone(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.keeper.keep(lease("a"))
    setting.keeper.keep(lease("b"))
    monkeypatch.setattr(board, "LATE_S", -1.0)
    assert await setting.holders.next(2) == [("failed", "a"), ("lost", "b")]


async def test_a_session_that_fails_at_the_loss_of_frames_ends_alone(setting: Setting) -> None:
    setting.keeper.keep(lease("a"))
    setting.keeper.keep(lease("b"))
    setting.link.came_back.set()
    assert await setting.holders.next(2) == [("failed", "a"), ("frames", "b")]


async def test_a_session_that_fails_at_a_beat_ends_alone(setting: Setting) -> None:
    on_beat = await setting.link.handler.get()
    setting.keeper.keep(lease("a"))
    setting.keeper.keep(lease("b"))
    await on_beat(beat(lease("a"), lease("b")))
    assert await setting.holders.next(4) == [("failed", "a"), ("leaves", "b"), ("failed", "a"), ("progress", "b")]
