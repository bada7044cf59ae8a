"""The way to the caller: connections that replace each other, and what is kept for the one that comes back."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest
import structlog

from natter_common.metrics import Metrics
from natter_gateway.line import Line, OnChannel, OnState
from natter_gateway.media.sdp import OfferError
from natter_gateway.missed import MAX_MISSED
from natter_gateway.peer import Peer
from natter_gateway.rtvi import outgoing


class FakePeer:
    """A peer connection whose events the test makes."""

    def __init__(self, on_state: OnState, on_channel: OnChannel) -> None:
        self._on_state = on_state
        self._on_channel = on_channel
        self.state = "new"
        self.round_trip_ms: float | None = None
        self.open = False
        self.closed: bool | None = None
        """Whether it said goodbye, once it is closed."""
        self.sent: list[str] = []
        self.undelivered = 0
        self.packets_received = 0
        self.candidates: list[str] = []

    def become(self, state: str) -> None:
        self.state = state
        self._on_state(cast("Peer", self), state)

    def connect(self) -> None:
        """Connected, and the data channel is open."""
        self.become("connected")
        self.open = True
        self._on_channel(cast("Peer", self))

    def send(self, text: str) -> bool:
        if self.open:
            self.sent.append(text)
        return self.open

    async def add_candidate(self, candidate: str, _mid: str | None, _index: int | None) -> None:
        self.candidates.append(candidate)

    async def close(self, *, say: bool = True) -> None:
        self.closed = say
        self.open = False


class Fixture:
    """A line with its peers in the order in which they were made."""

    def __init__(self, *, resumed: bool = False) -> None:
        self.metrics = Metrics("gateway")
        self.peers: list[FakePeer] = []
        self.changes = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.line = Line(
            self._new_peer,
            on_changed=self._changed,
            spawn=self._spawn,
            metrics=self.metrics,
            log=structlog.get_logger(),
            resumed=resumed,
        )

    def _new_peer(self, on_state: OnState, on_channel: OnChannel) -> Peer:
        self.peers.append(FakePeer(on_state, on_channel))
        return cast("Peer", self.peers[-1])

    def _changed(self) -> None:
        self.changes += 1

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def offer(self, *, new_client: bool = False) -> FakePeer:
        async def answer(_peer: Peer) -> str:
            return "sdp"

        assert await self.line.connect(answer, new_client=new_client) == "sdp"
        return self.peers[-1]

    async def settle(self) -> None:
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def fixture() -> Fixture:
    return Fixture()


async def test_the_connection_in_use_goes_on_until_the_next_is_connected(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    second = await fixture.offer()
    fixture.line.tell("meanwhile")
    assert (first.sent, first.closed, fixture.line.lost_at) == (["meanwhile"], None, None)
    second.connect()
    await fixture.settle()
    assert first.closed is False, "closed without a goodbye"
    fixture.line.tell("after")
    assert second.sent == ["after"]
    assert fixture.changes == 2
    first.become("closed")
    assert fixture.line.lost_at is None


async def test_one_that_does_not_get_through_changes_nothing(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    second = await fixture.offer()
    second.become("failed")
    third = await fixture.offer()
    fourth = await fixture.offer()
    await fixture.settle()
    assert [first.closed, second.closed, third.closed, fourth.closed] == [None, False, False, None]
    third.connect()
    fixture.line.tell("still here")
    assert first.sent == ["still here"]


async def test_a_line_is_lost_until_another_is_connected(fixture: Fixture) -> None:
    first = await fixture.offer()
    assert fixture.line.lost_at is not None
    first.connect()
    assert fixture.line.lost_at is None
    first.become("disconnected")
    lost_at = fixture.line.lost_at
    second = await fixture.offer()
    assert fixture.line.lost_at == lost_at is not None
    second.connect()
    assert fixture.line.lost_at is None


async def test_the_same_client_gets_what_it_missed(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    first.open = False
    for number in range(3):
        fixture.line.tell(str(number))
    second = await fixture.offer()
    second.connect()
    assert second.sent == ["0", "1", "2"]


def finals(count: int) -> list[str]:
    return [outgoing.text_message("user-llm-text", str(number)) for number in range(count)]


async def test_of_what_is_missed_the_progress_goes_first_and_then_the_oldest(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    words = [outgoing.text_message("bot-llm-text", str(number)) for number in range(10)]
    for text in [*finals(5), *words]:
        fixture.line.tell(text)
    first.undelivered = 15
    first.open = False
    for text in finals(MAX_MISSED)[5:]:
        fixture.line.tell(text)
    second = await fixture.offer()
    second.connect()
    assert second.sent == finals(MAX_MISSED)
    second.open = False
    for text in finals(MAX_MISSED + 1):
        fixture.line.tell(text)
    third = await fixture.offer()
    third.connect()
    assert third.sent == finals(MAX_MISSED + 1)[1:]
    assert fixture.metrics.frames_dropped.labels("rtvi", "client_away")._value.get() == 11
    await fixture.settle()


async def test_what_was_delivered_is_not_kept(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    for text in finals(5_000):
        fixture.line.tell(text)
    first.undelivered = 2
    second = await fixture.offer()
    second.connect()
    assert second.sent == finals(5_000)[-2:]
    await fixture.settle()


async def test_a_conversation_from_another_gateway_may_begin_with_a_new_client() -> None:
    fixture = Fixture(resumed=True)
    first = await fixture.offer(new_client=True)
    first.connect()
    fixture.line.tell("it is told of this again")
    fixture.line.ready()
    fixture.line.tell("now")
    assert first.sent == ["now"]


async def test_a_new_client_runs_the_tools_that_no_page_was_told_to_run(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    told, lost, late = (outgoing.tool_order(each, "color", {}) for each in ("told", "lost", "late"))
    for text in (told, "more", lost):
        fixture.line.tell(text)
    first.undelivered = 2
    second = await fixture.offer(new_client=True)
    second.connect()
    fixture.line.tell(late)
    assert second.sent == []
    fixture.line.ready()
    assert second.sent == [lost, late]
    await fixture.settle()


async def test_a_new_client_is_told_nothing_before_it_is_ready(fixture: Fixture) -> None:
    first = await fixture.offer(new_client=True)
    first.connect()
    fixture.line.tell("the first client hears everything")
    assert len(first.sent) == 1
    first.open = False
    fixture.line.tell("missed")
    second = await fixture.offer(new_client=True)
    second.connect()
    fixture.line.tell("too early")
    fixture.line.send("an answer")
    fixture.line.ready()
    fixture.line.tell("now")
    assert second.sent == ["an answer", "now"]


async def test_candidates_go_to_the_newest(fixture: Fixture) -> None:
    await fixture.line.add_candidate("nobody's", None, None)
    first = await fixture.offer()
    await fixture.line.add_candidate("a", None, None)
    first.connect()
    second = await fixture.offer()
    await fixture.line.add_candidate("b", None, None)
    assert (first.candidates, second.candidates) == (["a"], ["b"])


async def test_an_offer_that_cannot_be_answered(fixture: Fixture) -> None:
    async def refuse(_peer: Peer) -> str:
        raise OfferError("no audio")

    with pytest.raises(OfferError):
        await fixture.line.connect(refuse, new_client=True)
    assert (fixture.peers[0].closed, fixture.line.began) == (False, False)


async def test_closing_says_goodbye(fixture: Fixture) -> None:
    first = await fixture.offer()
    first.connect()
    second = await fixture.offer()
    await fixture.line.close()
    await fixture.settle()
    goodbyes: list[Any] = [first.closed, second.closed]
    assert goodbyes == [True, False]


async def test_what_the_old_connection_did_not_deliver_goes_over_the_new_one() -> None:
    fixture = Fixture()
    first = await fixture.offer()
    first.connect()
    for text in ("one", "two", "three"):
        fixture.line.send(text)
    first.undelivered = 2
    second = await fixture.offer()
    second.connect()
    fixture.line.send("four")
    assert second.sent == ["two", "three", "four"]
    await fixture.settle()


async def test_a_new_client_is_sent_nothing_of_what_another_missed() -> None:
    fixture = Fixture()
    first = await fixture.offer()
    first.connect()
    fixture.line.send("one")
    first.undelivered = 1
    second = await fixture.offer(new_client=True)
    second.connect()
    assert second.sent == []
    await fixture.settle()


async def test_a_caller_of_whom_nothing_comes_is_not_heard(fixture: Fixture) -> None:
    peer = await fixture.offer()
    peer.connect()
    for now_s, packets, heard in (
        (100.0, 10, True),
        (102.4, 10, True),
        (102.5, 10, False),
        (110.0, 11, True),
        (110.5, 11, True),
    ):
        peer.packets_received = packets
        assert fixture.line.is_heard(now_s) is heard, now_s
    peer.become("disconnected")
    assert not fixture.line.is_heard(111.0)
    peer.become("connected")
    assert fixture.line.is_heard(112.0)
