"""The link over a real nats-server: requests, drops that are reported, coming back."""

import asyncio
from pathlib import Path

import pytest
import structlog
from nats.aio.msg import Msg

from natter_common.link import LinkDownError, NatsLink, NoAnswerError
from natter_common.metrics import Metrics
from natter_local.broker import Broker
from natter_proto import BadFrameError, Mic, WorkerAnswer, WorkerRequest, decode, pcm_audio
from natter_testing.services import open_service

PING = WorkerRequest(ping={})


async def test_a_request_that_nobody_listens_to_is_known_at_once(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as service:
        with pytest.raises(NoAnswerError) as error:
            await service.link.request(service.subjects.worker("nobody"), PING, WorkerAnswer, 30.0)
        assert error.value.nobody


async def test_a_request_that_is_not_answered_ends_at_its_deadline(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as service:

        async def mute(_message: Msg) -> None:
            return

        await service.link.subscribe(service.subjects.worker("mute"), mute)
        await service.link.barrier()
        with pytest.raises(NoAnswerError) as error:
            await service.link.request(service.subjects.worker("mute"), PING, WorkerAnswer, 0.05)
        assert not error.value.nobody


async def test_a_node_that_takes_connections_and_says_nothing_is_left_soon() -> None:
    loop = asyncio.get_running_loop()
    connected: asyncio.Queue[float] = asyncio.Queue(10)

    def accept(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connected.put_nowait(loop.time())

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    link = NatsLink(Metrics("a"), structlog.get_logger("a"))
    async with asyncio.timeout(10), server:
        connecting = asyncio.create_task(link.connect([f"127.0.0.1:{server.sockets[0].getsockname()[1]}"], "a"))
        first, second = await connected.get(), await connected.get()
        while not connecting.done():
            # Python before 3.12 loses one that comes in the moment in which a connection is made.
            connecting.cancel()
            await asyncio.wait({connecting}, timeout=0.1)
    # Silence is noticed after a second, and both together are to be less than 1.5 s.
    assert second - first < 1.0


async def test_a_subscription_made_before_the_barrier_misses_nothing(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as one, open_service("b", nats_url, realm) as other:
        for number in range(20):
            subject = one.subjects.worker(f"w{number}")

            async def answer(message: Msg) -> None:
                await one.link.respond(message, WorkerAnswer(ok=True))

            await one.link.subscribe(subject, answer)
            await one.link.barrier()
            assert (await other.link.request(subject, PING, WorkerAnswer, 5.0)).ok


async def test_bad_frames_and_failing_handlers_do_not_end_a_subscription(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as service:
        seen: asyncio.Queue[bytes] = asyncio.Queue(10)

        async def picky(message: Msg) -> None:
            if message.data == b"bad":
                raise BadFrameError("bad on purpose")
            if message.data == b"bug":
                raise RuntimeError("bug on purpose")
            seen.put_nowait(message.data)

        subject = service.subjects.worker("picky")
        await service.link.subscribe(subject, picky)
        for payload in (b"bad", b"bug", b"good"):
            await service.link.publish_raw(subject, payload)
        assert await asyncio.wait_for(seen.get(), 5) == b"good"
        assert 'kind="worker",reason="bad_frame"' in service.metrics.exposition()[0].decode()


async def test_what_overflows_a_subscription_is_counted(nats_url: str, realm: str) -> None:
    async with open_service("a", nats_url, realm) as one, open_service("b", nats_url, realm) as other:
        release = asyncio.Event()
        seen = 0

        async def stuck(message: Msg) -> None:
            nonlocal seen
            seen += 1
            await release.wait()

        subject = one.subjects.session("s").mic
        await one.link.subscribe(subject, stuck)
        await one.link.barrier()
        frame = Mic(audio=pcm_audio(bytes(640), 16_000, 0))
        for _ in range(6_000):
            await other.link.publish_audio(subject, frame)
        await other.link.barrier(10.0)
        async with asyncio.timeout(10):
            while 'kind="mic",reason="slow_consumer"' not in one.metrics.exposition()[0].decode():
                await one.link.barrier()
        release.set()
        assert 0 < seen < 6_000


async def test_the_link_comes_back_and_text_that_waited_is_sent(tmp_path: Path, realm: str) -> None:
    broker = Broker(tmp_path)
    await broker.start()
    async with open_service("a", broker.url, realm) as service:
        seen: asyncio.Queue[WorkerAnswer] = asyncio.Queue(10)

        async def keep(message: Msg) -> None:
            seen.put_nowait(decode(WorkerAnswer, message.data))

        subject = service.subjects.worker("w")
        await service.link.subscribe(subject, keep)
        await service.link.barrier()
        await broker.stop()
        async with asyncio.timeout(10):
            while service.link.up:
                await asyncio.sleep(0)
        await service.link.publish(subject, WorkerAnswer(detail="waited"))
        await service.link.publish_audio(subject, Mic())
        with pytest.raises(LinkDownError):
            await service.link.request(subject, PING, WorkerAnswer, 1.0)
        assert not service.link.settled
        again = Broker(tmp_path, broker.port)
        await again.start()
        assert (await asyncio.wait_for(seen.get(), 10)).detail == "waited"
        page = service.metrics.exposition()[0].decode()
        assert "natter_link_reconnects_total 1.0" in page
        assert 'reason="link_down"} 1.0' in page
    await again.stop()
