"""What a realm's sessions came to: those that a gateway has go on, those that nobody has do not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from nats.aio.msg import Msg

from natter_common.link import NatsLink
from natter_common.metrics import Metrics
from natter_gateway.cli import archive
from natter_gateway.journal.journal import Journal
from natter_gateway.journal.keeping import Stores
from natter_gateway.journal.notes import Opened
from natter_gateway.journal.seal import Seal, new_key
from natter_gateway.journal.snapshot import Snapshot, encode
from natter_gateway.journal.streams import Streams
from natter_gateway.journal.takeover import take_over
from natter_gateway.turns.machine import VERSION
from natter_gateway.turns.settings import TurnSettings
from natter_proto import Ask, AskSignalAnswer, RealmSubjects, new_id
from natter_testing.eventually import eventually
from natter_testing.services import open_service


@asynccontextmanager
async def stores(nats_url: str, realm: str) -> AsyncIterator[tuple[NatsLink, Stores]]:
    """A gateway's side of JetStream, ready."""
    async with open_service("gateway", nats_url, realm) as service:
        streams = Streams(service.link, service.subjects, service.log, max_age_days=1, max_bytes=16 * 1024 * 1024)
        making = asyncio.create_task(streams.run(), name="streams")

        async def ready() -> bool:
            return streams.ready

        try:
            await eventually(ready, bool, within_s=20)
            yield service.link, Stores.of("gateway-a", streams)
        finally:
            making.cancel()


async def leave_snapshot(found: Stores, session: str) -> None:
    await found.snapshots.write(
        session, encode(Snapshot(session, "00ff", "gateway-a", 1, "friend", {}, 1, "5f" * 32, turn=3)), 0
    )


async def leave_end(found: Stores, session: str) -> None:
    """The journal of a session that is over."""
    opened = Opened("friend", "gateway-a", 1, 0, "text", 1, VERSION, TurnSettings())
    log, seal = structlog.get_logger(), Seal(new_key())
    made = Journal(session, opened, found.logs, Metrics("gateway"), log, mic_sample=lambda: 0, seal=seal)
    made.begin()
    made.close("client_left", 3)
    await made.run()


async def states(nats_url: str, realm: str) -> dict[str, tuple[str, int | None]]:
    async with archive.open_archive([nats_url], realm) as opened:
        return {one.session: (one.state, one.turns) for one in await opened.sessions()}


async def test_a_session_goes_on_where_a_gateway_has_it(
    nats_url: str, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_OWNER_S", 0.1)
    held, frozen, left, over = (new_id() for _ in range(4))
    async with stores(nats_url, realm) as (link, found):
        for session in (held, frozen, left, over):
            await leave_snapshot(found, session)
        await leave_end(found, over)

        async def answer(message: Msg) -> None:
            await link.respond(message, AskSignalAnswer())

        async def say_nothing(_message: Msg) -> None:
            """As who stands still."""

        subjects = RealmSubjects(realm)
        await link.subscribe(subjects.session(held).ask(Ask.SIGNAL), answer)
        await link.subscribe(subjects.session(frozen).ask(Ask.SIGNAL), say_nothing)
        await link.barrier()
        assert await states(nats_url, realm) == {
            held: ("going on", 3),
            frozen: ("going on", 3),
            left: ("broken off", 3),
            over: ("over", 3),
        }
        async with archive.open_archive([nats_url], realm) as opened:
            assert await opened.purge(held)
            assert not await opened.purge(left)


async def test_a_session_that_is_over_leaves_no_snapshot_to_whoever_asks_for_it(nats_url: str, realm: str) -> None:
    session = new_id()
    async with stores(nats_url, realm) as (_, found):
        await leave_snapshot(found, session)
        await leave_end(found, session)
        assert await take_over(found, session, lambda _: True) is None
        assert await found.snapshots.read(session) is None
