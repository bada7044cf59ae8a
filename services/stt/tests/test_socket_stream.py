"""How a stream keeps its connection: age, refusals, idle drops. For real sockets see the providers' tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from natter_common.providers import Trouble
from natter_stt.exchange import Message, Step
from natter_stt.gladia.recognition import GladiaRecognition
from natter_stt.provider import StreamSettings, SttError
from natter_stt.socket_stream import Connections, Link, SocketStream


class Silent:
    """A vendor that takes everything and says nothing, until it is told to fail."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.taken = 0

    async def send(self, step: Step) -> None:
        self.taken += 1

    async def receive(self) -> Message:
        await self.failure
        raise AssertionError


class Vendor:
    """Opens connections, or refuses them with the next of `refusals`."""

    def __init__(self, refusals: list[SttError] | None = None) -> None:
        self.refusals = refusals or []
        self.links: list[Silent] = []
        self.open_links = 0
        self.tries = 0
        self.news = asyncio.Event()
        self.registry = CollectorRegistry()
        self.connections = Connections("test", self.registry)

    def __call__(self) -> AbstractAsyncContextManager[Link]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[Link]:
        self.tries += 1
        self.news.set()
        if self.refusals:
            raise self.refusals.pop(0)
        link = Silent()
        self.links.append(link)
        self.open_links += 1
        try:
            yield link
        finally:
            self.open_links -= 1

    def stream(self, **more: float) -> SocketStream:
        return SocketStream(GladiaRecognition(StreamSettings()), self, lambda _: None, self.connections, **more)

    async def until(self, tries: int) -> None:
        async with asyncio.timeout(5):
            while self.tries < tries:
                self.news.clear()
                await self.news.wait()

    def counted(self, event: str) -> float:
        return self.registry.get_sample_value("natter_stt_test_connections_total", {"event": event}) or 0.0


async def ended(task: asyncio.Task[None]) -> SttError:
    async with asyncio.timeout(5):
        with pytest.raises(SttError) as caught:
            await task
    return caught.value


async def test_an_old_connection_is_replaced_when_all_is_quiet() -> None:
    vendor = Vendor()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(vendor.stream(replace_after_s=0.1).run())
        await vendor.until(2)
        assert vendor.open_links <= 1
        run.cancel()
    await vendor.connections.close()
    assert vendor.open_links == 0
    assert vendor.counted("replaced") >= 1


async def test_a_connection_that_drops_while_quiet_is_opened_again() -> None:
    vendor = Vendor()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(vendor.stream().run())
        await vendor.until(1)
        vendor.links[0].failure.set_exception(SttError(Trouble.CUT_OFF, "cut"))
        await vendor.until(2)
        run.cancel()
    assert vendor.counted("idle") == 1


async def test_a_lasting_refusal_is_told_when_somebody_speaks_and_not_tried_again() -> None:
    vendor = Vendor([SttError(Trouble.UNAUTHORIZED, "no", retryable=False)] * 5)
    stream = vendor.stream()
    run = asyncio.get_running_loop().create_task(stream.run())
    await vendor.until(1)
    stream.feed(0, bytes(640))
    assert not run.done()
    stream.speech(0, speaking=True)
    error = await ended(run)
    assert (error.code, vendor.tries) == (Trouble.UNAUTHORIZED, 1)


async def test_a_passing_refusal_is_tried_again_while_quiet() -> None:
    vendor = Vendor([SttError(Trouble.RATE_LIMITED, "later")])
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(vendor.stream().run())
        await vendor.until(2)
        run.cancel()
    assert vendor.counted("refused") == 1


async def test_speech_tries_a_new_connection_once() -> None:
    vendor = Vendor()
    stream = vendor.stream()
    run = asyncio.get_running_loop().create_task(stream.run())
    await vendor.until(1)
    stream.feed(0, bytes(6_400))
    stream.speech(0, speaking=True)
    vendor.links[0].failure.set_exception(SttError(Trouble.CUT_OFF, "cut"))
    await vendor.until(2)
    async with asyncio.timeout(5):
        while not vendor.links[1].taken:
            await asyncio.sleep(0)
    vendor.links[1].failure.set_exception(SttError(Trouble.CUT_OFF, "cut again"))
    error = await ended(run)
    assert str(error) == "cut again"
    assert vendor.tries == 2
    assert vendor.open_links == 0


async def test_who_cannot_be_reached_in_time_is_given_up() -> None:
    registry = CollectorRegistry()
    connections = Connections("slow", registry)
    left: list[str] = []

    @asynccontextmanager
    async def never() -> AsyncGenerator[Link]:
        try:
            await asyncio.Event().wait()
            yield Silent()
        finally:
            left.append("left")

    with pytest.raises(SttError) as caught:
        await connections.enter(never(), 0.05, "The vendor")
    await connections.close()
    assert caught.value.code == Trouble.UNAVAILABLE
    assert left == ["left"]
