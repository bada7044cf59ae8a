"""Leases over several workers: shared, full, lost, and held by who died."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from aiortc import RTCPeerConnection
from google.protobuf.message import Message
from nats.aio.msg import Msg

from natter_bench.caller import Caller
from natter_bench.conversation import exchange, hear_greeting
from natter_bench.errors import RefusedError
from natter_bench.speech import EncodedSpeech
from natter_common.link import Handler, NatsLink, Subscription
from natter_common.metrics import Metrics
from natter_common.service import Service
from natter_common.settings import WorkerSettings
from natter_common.worker import Worker
from natter_local.supervised import Supervised
from natter_local.system import GATEWAY, LocalSystem
from natter_proto import MAX_FRAME_BYTES, RealmSubjects, WorkerAnswer, WorkerRequest, decode, new_id
from natter_testing.emulated_stages import STAGES, definition
from natter_testing.emulated_system import ALL, BRIEF, emulated_system
from natter_testing.eventually import eventually

FREED_WITHIN_S = 20.0


async def health(http: httpx.AsyncClient, process: Supervised) -> dict[str, Any]:
    return (await http.get(f"{process.url}/health")).json()


async def sessions(http: httpx.AsyncClient, processes: Sequence[Supervised]) -> list[int]:
    return [(await health(http, process))["sessions"] for process in processes]


async def call(stack: AsyncExitStack, system: LocalSystem, http: httpx.AsyncClient) -> Caller:
    return await stack.enter_async_context(Caller.connect(system.url, http=http))


async def is_answered(caller: Caller, speech: EncodedSpeech) -> bool:
    window = await exchange(caller, speech)
    return window.began_s < caller.last_audible_s


async def test_two_workers_share_and_a_call_too_many_harms_nobody(
    tmp_path: Path, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    services, room = {GATEWAY: 1, ALL: 2}, {"NATTER_CAPACITY": "2"}
    async with (
        emulated_system(tmp_path, services=services, options=BRIEF, env=room) as system,
        AsyncExitStack() as stack,
    ):
        callers = [await call(stack, system, http) for _ in range(4)]
        for process in system.of(ALL):
            assert (await health(http, process))["emulated"] == dict.fromkeys(STAGES, 2)

        for via_start in (True, False):
            with pytest.raises(RefusedError) as refused:
                async with Caller.connect(system.url, http=http, via_start=via_start):
                    pass
            assert refused.value.status == 503
            assert refused.value.retry_after_s is not None
            assert "busy" in refused.value.detail

        await asyncio.gather(*map(hear_greeting, callers))
        assert await asyncio.gather(*(is_answered(caller, speech) for caller in callers)) == [True] * 4
        assert await sessions(http, system.of(ALL)) == [8, 8], "a refused call leaves nothing held"

        # Room for one again as soon as one has left.
        await callers[0].close()
        await eventually(lambda: sessions(http, system.of(ALL)), lambda seen: sum(seen) == 12, within_s=5.0)
        await call(stack, system, http)


async def test_a_killed_gateway_s_leases_are_freed(tmp_path: Path, http: httpx.AsyncClient) -> None:
    async with emulated_system(tmp_path) as system, AsyncExitStack() as stack:
        for _ in range(10):
            await call(stack, system, http)
        assert await sessions(http, system.of(ALL)) == [40]
        await system.kill(GATEWAY)
        await eventually(lambda: sessions(http, system.of(ALL)), lambda seen: seen == [0], within_s=FREED_WITHIN_S)


async def test_a_killed_worker_s_stage_goes_to_another_and_the_call_goes_on(
    tmp_path: Path, http: httpx.AsyncClient, speech: EncodedSpeech
) -> None:
    services = {GATEWAY: 1, **dict.fromkeys(STAGES, 2)}
    async with (
        emulated_system(tmp_path, services=services, options=BRIEF) as system,
        Caller.connect(system.url, http=http) as caller,
    ):
        await hear_greeting(caller)
        for stage in STAGES:
            held = await sessions(http, system.of(stage))
            assert sorted(held) == [0, 1]
            number = held.index(1) + 1
            spare = system.of(stage)[2 - number]
            await system.kill(stage, number=number)
            await eventually(lambda spare=spare: sessions(http, [spare]), lambda seen: seen == [1], within_s=5.0)
            assert await is_answered(caller, speech), stage
        assert not caller.recording.of_type("error", after_s=0.0)


async def test_a_caller_who_found_no_room_may_come_again_with_the_same_id(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    async with emulated_system(tmp_path, env={"NATTER_CAPACITY": "1"}) as system, AsyncExitStack() as stack:
        peer = RTCPeerConnection()
        stack.push_async_callback(peer.close)
        peer.addTransceiver("audio", direction="sendrecv")
        peer.createDataChannel("chat")
        await peer.setLocalDescription(await peer.createOffer())
        # Both find room when they ask for it, one of them is first.
        started = (await http.post(f"{system.url}/start", json={})).json()
        first = await call(stack, system, http)
        url = f"{system.url}/sessions/{started['sessionId']}/api/offer"
        offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
        assert (await http.post(url, json=offer)).status_code == 503
        await first.close()
        await eventually(lambda: sessions(http, system.of(ALL)), lambda seen: seen == [0], within_s=5.0)
        assert (await http.post(url, json=offer)).status_code == 200


class LosingLink(NatsLink):
    """Loses the answers to lease requests, and releases, while told to."""

    def __init__(self, metrics: Metrics, log: Any) -> None:
        super().__init__(metrics, log)
        self.losing_answers = False
        self.losing_releases = False
        self.lost = 0

    async def respond(self, message: Msg, frame: Message, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        if self.losing_answers and isinstance(frame, WorkerAnswer):
            self.lost += 1
            return
        await super().respond(message, frame, limit_bytes)

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        async def losing(message: Msg) -> None:
            asked = self.losing_releases and ".worker." in message.subject
            if not asked or decode(WorkerRequest, message.data).WhichOneof("request") != "release":
                await handler(message)

        return await super().subscribe(subject, losing)


@asynccontextmanager
async def losing_worker(system: LocalSystem) -> AsyncIterator[tuple[Worker, LosingLink]]:
    """A recognition that is asked before the system's own: bots look for deepgram first."""
    metrics, log = Metrics("losing"), structlog.get_logger("losing")
    link = LosingLink(metrics, log)
    await link.connect([system.nats_url], "losing")
    service = Service("losing", new_id(), "0", RealmSubjects("main"), link, metrics, log, asyncio.Event())
    stage = dataclasses.replace(definition("stt"), providers={"deepgram": "loses its answers"})
    worker = Worker(service, stage, WorkerSettings(drain_s=0))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.serve(), name="losing-worker")
        yield worker, link
        service.stopping.set()
    await link.close()


async def holds(worker: Worker) -> int:
    return worker.sessions


async def test_a_lost_confirm_leaks_no_lease(tmp_path: Path, http: httpx.AsyncClient) -> None:
    async with emulated_system(tmp_path) as system, losing_worker(system) as (worker, link), AsyncExitStack() as stack:
        await call(stack, system, http)
        assert worker.sessions == 1

        link.losing_answers = True
        await call(stack, system, http)
        assert link.lost > 0
        await eventually(lambda: holds(worker), lambda held: held == 1, within_s=2.0)

        # The release gets lost as well: the beats free the lease.
        link.losing_releases = True
        await call(stack, system, http)
        assert worker.sessions == 2
        await eventually(lambda: holds(worker), lambda held: held == 1, within_s=FREED_WITHIN_S)
        assert await sessions(http, system.of(ALL)) == [3 * 3 + 2], "the calls are served by another"
