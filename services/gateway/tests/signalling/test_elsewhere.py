"""Asking the gateway that holds a session: one that works, one that stands still, none at all."""

import asyncio

import pytest
from google.protobuf.message import Message as Frame

from natter_common.link import NoAnswerError
from natter_gateway import elsewhere
from natter_gateway.elsewhere import Asked, Elsewhere, OwnerSilentError
from natter_proto import AskSignal, AskSignalAnswer, RealmSubjects

ANSWERED = AskSignalAnswer(status=200, body="{}")


class Owner:
    """Stands for the link, and for who is behind it."""

    def __init__(self) -> None:
        self.settled = True
        self.listens = True
        self.pinged = asyncio.Event()
        self.pings = 0
        self.done = asyncio.Event()
        self.answer: AskSignalAnswer | None = None
        """None: none comes."""
        self.lives = True

    async def request(self, subject: str, ask: Frame, _answer: type[Frame], timeout_s: float) -> AskSignalAnswer:
        assert subject.endswith(".abc.ask.signal")
        assert isinstance(ask, AskSignal)
        if not self.listens:
            raise NoAnswerError(subject, nobody=True)
        if not ask.secret:
            self.pings += 1
            self.pinged.set()
            if self.lives:
                return AskSignalAnswer()
        elif self.answer is not None:
            return self.answer
        try:
            async with asyncio.timeout(timeout_s):
                await self.done.wait()
        except TimeoutError:
            raise NoAnswerError(subject, nobody=False) from None
        return ANSWERED


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(elsewhere, "_PATIENCE_S", 0.01)
    monkeypatch.setattr(elsewhere, "_PING_S", 0.01)
    return Owner()


async def ask(owner: Owner) -> AskSignalAnswer | None:
    asking = Elsewhere(owner, RealmSubjects("main"))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        return await asking.ask("abc.00ff", Asked.OFFER, "{}")


async def test_whoever_lives_is_waited_for(owner: Owner) -> None:
    asking = asyncio.create_task(ask(owner), name="ask")
    while owner.pings < 3:
        owner.pinged.clear()
        await owner.pinged.wait()
    owner.done.set()
    assert await asking == ANSWERED


async def test_whoever_stands_still_is_not(owner: Owner) -> None:
    owner.lives = False
    with pytest.raises(OwnerSilentError):
        await ask(owner)
    assert owner.pings == 1


async def test_nobody_is_judged_while_ones_own_link_is_silent(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_ANSWER_S", 0.1)
    owner.lives = owner.settled = False
    with pytest.raises(TimeoutError):
        await ask(owner)


async def test_whoever_lives_and_does_not_get_done_is_late(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_ANSWER_S", 0.1)
    with pytest.raises(TimeoutError):
        await ask(owner)


async def test_where_nobody_listens_nobody_holds_it(owner: Owner) -> None:
    owner.listens = False
    assert await ask(owner) is None
    assert owner.pings == 0


async def test_whoever_dies_over_it_holds_it_no_more(owner: Owner) -> None:
    asking = asyncio.create_task(ask(owner), name="ask")
    await owner.pinged.wait()
    owner.listens = False
    assert await asking is None


async def test_an_owner_may_leave_it_to_whoever_asks(owner: Owner) -> None:
    owner.answer = AskSignalAnswer()
    assert await ask(owner) is None
    owner.answer = AskSignalAnswer(status=503, body="{}")
    assert await ask(owner) == owner.answer
