"""What a page is told by a gateway that does not hold its session: what may pass is 503, and the session stays."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from fastapi import HTTPException

from natter_gateway.bots import Bot, Bots
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.elsewhere import Elsewhere, OwnerSilentError
from natter_gateway.journal import snapshot_keeper
from natter_gateway.journal.keeping import Keeping, Stores
from natter_gateway.journal.streams import Streams
from natter_gateway.leases.broker import LeaseBroker
from natter_gateway.leases.keeper import LeaseKeeper
from natter_gateway.leases.session_leases import SessionLeases
from natter_gateway.outbox import Outbox
from natter_gateway.session import GatewayParts
from natter_gateway.sessions import BotOf, Sessions
from natter_gateway.settings import GatewaySettings
from natter_gateway.signalling import Offer, Signalling
from natter_proto import AskSignalAnswer
from natter_testing.services import open_service

BOT = Bot.model_validate({"id": "b", "name": "B", "prompt": "p"})
SDP = "".join(
    f"{line}\r\n"
    for line in (
        "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=audio 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0", "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:96 opus/48000/2", "a=setup:actpass",
        "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gateway:
    """All of it but HTTP; there are no workers."""

    sessions: Sessions
    signalling: Signalling
    streams: Streams


@asynccontextmanager
async def gateway(nats_url: str, realm: str) -> AsyncIterator[Gateway]:
    async with open_service("gateway", nats_url, realm) as service, asyncio.TaskGroup() as tasks:
        link, subjects, me, log = service.link, service.subjects, service.process_id, service.log
        broker = LeaseBroker(link, subjects, me, log)
        streams = Streams(link, subjects, log, max_age_days=1, max_bytes=16 * 1024 * 1024)
        # Nothing runs that would find a stream.
        streams.absent = True

        def spawn(work: Coroutine[None, None, None], name: str) -> None:
            tasks.create_task(work, name=name)

        parts = GatewayParts(
            gateway=me,
            version="0",
            settings=GatewaySettings(),
            link=link,
            subjects=subjects,
            outbox=Outbox(link, service.metrics),
            broker=broker,
            keeper=LeaseKeeper(link, subjects, broker, me, service.metrics, log, lambda: sessions),
            stores=Stores.of(me, streams),
            metrics=service.metrics,
            spawn=spawn,
        )
        sessions = Sessions(parts, log)
        signalling = Signalling(sessions, BotCatalogue(Bots([BOT]), broker), Elsewhere(link, subjects))
        sessions.on_signal = signalling.answer
        yield Gateway(sessions, signalling, streams)


@asynccontextmanager
async def two_gateways(nats_url: str, realm: str) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with gateway(nats_url, realm) as first, gateway(nats_url, realm) as second:
        yield first, second


async def refusal(at: Gateway, public_id: str) -> HTTPException:
    with pytest.raises(HTTPException) as refused:
        await at.signalling.offer(Offer(sdp=SDP, type="offer"), public_id)
    return refused.value


async def test_a_session_without_room_is_to_be_asked_for_again(nats_url: str, realm: str) -> None:
    async with two_gateways(nats_url, realm) as (first, second):
        public_id = (await first.sessions.reserve(BOT)).public_id
        for asked in (second, first, second):
            refused = await refusal(asked, public_id)
            assert (refused.status_code, refused.headers) == (503, {"Retry-After": "2"})
            assert "All lines are busy" in refused.detail
            assert first.sessions.reserved == 1


async def test_a_session_of_a_gateway_that_leaves_is_to_be_asked_for_again(nats_url: str, realm: str) -> None:
    async with two_gateways(nats_url, realm) as (first, second):
        public_id = (await first.sessions.reserve(BOT)).public_id
        first.sessions.draining = True
        refused = await refusal(second, public_id)
        assert (refused.status_code, refused.detail) == (503, "this gateway is leaving")
        assert first.sessions.reserved == 1


async def test_a_session_that_nobody_has_is_final(nats_url: str, realm: str) -> None:
    async with two_gateways(nats_url, realm) as (first, second):
        public_id = (await first.sessions.reserve(BOT)).public_id
        wrong = f"{public_id[:-1]}{'0' if public_id[-1] != '0' else '1'}"
        assert (await refusal(second, wrong)).status_code == 404
        assert (await refusal(second, "nobody.secret")).status_code == 404


async def test_before_it_is_known_what_is_kept_nothing_is_final(nats_url: str, realm: str) -> None:
    async with gateway(nats_url, realm) as asked:
        asked.streams.absent = False
        assert (await refusal(asked, "nobody.secret")).status_code == 503


async def test_a_session_whose_gateway_stands_still_may_come_back(
    nats_url: str, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_self: Elsewhere, _public_id: str, _method: str, _body: str) -> AskSignalAnswer | None:
        raise OwnerSilentError("no answer in time")

    monkeypatch.setattr(Elsewhere, "ask", silent)
    async with gateway(nats_url, realm) as asked:
        refused = await refusal(asked, "abc.00ff")
        assert (refused.status_code, refused.headers) == (503, {"Retry-After": "2"})
        with pytest.raises(HTTPException) as unread:
            await asked.signalling.transcript("abc.00ff")
        assert unread.value.status_code == 503


async def test_a_gateway_that_leaves_gives_a_session_up_once_it_is_kept(
    nats_url: str, realm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    async def settle(_self: Keeping, _within_s: float) -> None:
        await asyncio.sleep(0)
        happened.append("kept")

    async def resume(_self: Sessions, _public_id: str, _bot_of: BotOf) -> None:
        happened.append("taken over")

    async def take_all(_self: SessionLeases) -> None:
        """There is room."""

    monkeypatch.setattr(Keeping, "settle", settle)
    monkeypatch.setattr(Sessions, "resume", resume)
    monkeypatch.setattr(SessionLeases, "take_all", take_all)
    monkeypatch.setattr(snapshot_keeper, "REMOVE_DEADLINE_S", 0.01)
    async with two_gateways(nats_url, realm) as (first, second):
        session = await first.sessions.open_new(BOT)
        first.sessions.draining = True
        assert (await refusal(second, session.public_id)).status_code == 404
        assert happened == ["kept", "taken over"]
        await first.sessions.close_all("gateway_left", "Good bye.")
