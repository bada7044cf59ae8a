"""The worker process: offers, leases, beats, drain."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nats.aio.msg import Msg

from natter_common.http import Health, serve, service_app
from natter_common.link import Subscription
from natter_common.memory import keep_for_good
from natter_common.provider_watch import ProviderWatch
from natter_common.providers import NoProviderError
from natter_common.service import STOP_GRACE_S, Service, run_service
from natter_common.settings import WorkerSettings
from natter_common.worker.definition import BadLeaseError, StageDefinition
from natter_common.worker.leases import LeaseBook, LeaseKey, TakeResult, key_of
from natter_common.worker.outlet import Outlet
from natter_common.worker.runner import SessionRunner
from natter_common.worker.session import StageSession
from natter_common.worker.slowness import Slowness
from natter_proto import (
    Beat,
    Header,
    Held,
    Lease,
    Offer,
    OfferAnswer,
    Release,
    Repeat,
    Summarize,
    WorkerAnswer,
    WorkerRequest,
    decode,
    stage_name,
    token,
)

BEAT_INTERVAL_S: Final = 0.25
_OFFER_SPREAD_S: Final = 0.01
_REFUSALS: Final = {
    TakeResult.FULL: "this worker is full",
    TakeResult.DRAINING: "this worker is leaving",
    TakeResult.STALE: "a newer lease of this session is held",
}
_NOT_HELD: Final = WorkerAnswer(ok=False, code="not_held", words="this worker does not hold that lease")


@dataclass(slots=True)
class _Running:
    runner: SessionRunner
    outlet: Outlet
    task: asyncio.Task[None]


class Worker:
    """Serves one stage on one link until told to stop."""

    def __init__(self, service: Service, definition: StageDefinition, settings: WorkerSettings) -> None:
        self._service = service
        self._definition = definition
        self._settings = settings
        self._book = LeaseBook(settings.capacity, definition.shares)
        self._running: dict[LeaseKey, _Running] = {}
        stage = stage_name(definition.stage)
        self._watch = ProviderWatch(stage, definition.watched, service.metrics, service.log)
        self._slowness = Slowness()
        self._offers: list[Subscription] = []
        self._listens = False
        self._beats_sent = 0
        self._was_settled = True
        self._wake_drain = asyncio.Event()

    @property
    def sessions(self) -> int:
        return len(self._book)

    @property
    def _load(self) -> float:
        """How busy this worker is: full, or slow."""
        return max(self._book.load, self._slowness.now(asyncio.get_running_loop().time()))

    def health(self) -> Health:
        reasons: list[str] = []
        if not self._service.link.up:
            reasons.append("NATS is not connected")
        if not self._listens:
            # Whoever waits for this worker before another one leaves must not find it deaf.
            reasons.append("starting")
        if self._book.draining:
            reasons.append("draining")
        return Health(
            self._service.version,
            len(self._book),
            self._book.capacity,
            tuple(reasons),
            {
                "stage": stage_name(self._definition.stage),
                "providers": dict(self._definition.providers),
                "problems": dict(self._watch.problems()),
            },
        )

    async def serve(self) -> None:
        """Listen, take leases, and leave in order once `service.stopping` is set."""
        service = self._service
        own = service.subjects.worker(service.process_id)
        requests = await service.link.subscribe(own, self._on_request)
        beats = await service.link.subscribe(service.subjects.beat(service.process_id), self._on_gateway_beat)
        for provider in self._definition.providers:
            subject = service.subjects.offer(self._definition.stage, provider)
            self._offers.append(await service.link.subscribe(subject, self._on_offer))
        await service.link.barrier()
        self._listens = True
        service.log.info(
            "worker ready", stage=stage_name(self._definition.stage), providers=dict(self._definition.providers)
        )
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            beating = tasks.create_task(self._beat(), name="beats")
            watching = tasks.create_task(self._watch.run(), name="provider-watch")
            await service.stopping.wait()
            await self._drain()
            beating.cancel()
            watching.cancel()
            for running in list(self._running.values()):
                running.task.cancel()
        for subscription in (requests, beats):
            await service.link.unsubscribe(subscription)

    async def _drain(self) -> None:
        """Take nothing new, let sessions in progress end by themselves for a while."""
        self._book.draining = True
        for subscription in self._offers:
            await self._service.link.unsubscribe(subscription)
        if self._book:
            self._service.log.info("draining", sessions=len(self._book))
            try:
                async with asyncio.timeout(min(self._settings.drain_s, STOP_GRACE_S)):
                    while self._book:
                        self._wake_drain.clear()
                        await self._wake_drain.wait()
            except TimeoutError:
                self._service.log.warning(
                    "sessions still in progress at the end of the drain", sessions=len(self._book)
                )

    async def _on_offer(self, message: Msg) -> None:
        offer = decode(Offer, message.data)
        if self._book.draining:
            return
        problem = self._watch.problem(offer.provider)
        room = problem is None and self._book.has_room(offer.lease_class, offer.provider)
        # Being full is said at once, so that the conductor need not wait for its deadline.
        if room:
            await asyncio.sleep(min(1.0, self._load) * _OFFER_SPREAD_S)
        answer = OfferAnswer(
            worker=self._service.process_id,
            load=self._load,
            room=room,
            detail=self._definition.providers.get(offer.provider, ""),
            words=problem or "",
        )
        await self._service.link.respond(message, answer)

    async def _on_request(self, message: Msg) -> None:
        request = decode(WorkerRequest, message.data)
        match request.WhichOneof("request"):
            case "lease":
                answer = await self._take(request.lease)
            case "release":
                answer = WorkerAnswer(ok=self._release(request.release))
            case "ping":
                answer = WorkerAnswer(ok=True)
            case "tool":
                session = self._session_of(request.tool.header)
                answer = _NOT_HELD if session is None else session.on_tool(request.tool)
            case "cancel_tool":
                session = self._session_of(request.cancel_tool.header)
                answer = _NOT_HELD if session is None else session.on_cancel_tool(request.cancel_tool)
            case "repeat":
                answer = await self._repeat(request.repeat)
            case "summarize":
                # It takes seconds, and other requests wait for this handler's end.
                self._tasks.create_task(self._summarize(message, request.summarize), name="summarize")
                return
            case _:
                answer = WorkerAnswer(ok=False, code="unsupported", words="this worker does not know that request")
        await self._service.link.respond(message, answer)

    def _session_of(self, header: Header) -> StageSession | None:
        running = self._running.get(LeaseKey(header.session, header.term, header.epoch))
        return None if running is None else running.runner.session

    async def _repeat(self, request: Repeat) -> WorkerAnswer:
        """Publish again what somebody did not get."""
        running = self._running.get(LeaseKey(request.header.session, request.header.term, request.header.epoch))
        if running is None:
            return _NOT_HELD
        if await running.outlet.repeat(request.have):
            return WorkerAnswer(ok=True)
        return WorkerAnswer(ok=False, code="too_old", words="frames that are so old are not kept")

    async def _summarize(self, message: Msg, request: Summarize) -> None:
        session = self._session_of(request.header)
        answer = _NOT_HELD if session is None else await session.summarize(request)
        await self._service.link.respond(message, answer)

    async def _take(self, lease: Lease) -> WorkerAnswer:
        token(lease.session)
        token(lease.gateway)
        detail = self._definition.providers.get(lease.provider)
        if lease.stage != self._definition.stage or detail is None:
            return WorkerAnswer(ok=False, code="wrong_stage", words=f"no provider {lease.provider!r} here")
        result, older = self._book.take(lease, asyncio.get_running_loop().time())
        taken = WorkerAnswer(ok=True, detail=detail, recognizer=self._definition.recognizers.get(lease.provider))
        if result is TakeResult.AGAIN:
            return taken
        if result is not TakeResult.TAKEN:
            return WorkerAnswer(ok=False, code=result.value, words=_REFUSALS[result])
        if older is not None:
            self._stop_running(older, "replaced")
        try:
            await self._start(lease)
        except BadLeaseError as error:
            self._end(key_of(lease), "refused")
            return WorkerAnswer(ok=False, code=error.code, words=str(error))
        return taken

    async def _start(self, lease: Lease) -> None:
        service = self._service
        key = key_of(lease)
        log = service.log.bind(session=lease.session, epoch=lease.epoch)
        subjects = service.subjects.session(lease.session)
        outlet = Outlet(
            service.link,
            service.subjects,
            lease,
            service.process_id,
            service.metrics,
            log,
            self._watch.on_fault,
            self._slowness,
        )
        runner = SessionRunner(
            service.link, subjects, lease, self._definition.inputs, self._definition.open_session(lease, outlet), outlet
        )
        try:
            await runner.listen()
        except BaseException:
            self._end(key, "failed")
            await runner.close()
            raise
        task = self._tasks.create_task(runner.run(self._definition.stage), name=f"session-{lease.session}")
        # Cancelled before its first step it would free nothing.
        await asyncio.sleep(0)
        self._running[key] = _Running(runner, outlet, task)
        task.add_done_callback(lambda _task: self._end(key, "over"))
        log.info("lease taken", provider=lease.provider)

    def _release(self, release: Release) -> bool:
        return self._end(LeaseKey(release.session, release.term, release.epoch), "released")

    def _end(self, key: LeaseKey, reason: str) -> bool:
        """Forget a lease and stop its session; harmless when it is gone already."""
        self._stop_running(key, reason)
        ended = self._book.end(key)
        if not self._book:
            self._wake_drain.set()
        return ended

    def _stop_running(self, key: LeaseKey, reason: str) -> None:
        running = self._running.pop(key, None)
        if running is not None:
            running.task.cancel()
            self._service.metrics.leases_ended.labels(reason).inc()
            self._service.log.info("lease ended", session=key.session, epoch=key.epoch, reason=reason)

    async def _on_gateway_beat(self, message: Msg) -> None:
        beat = decode(Beat, message.data)
        listed = {LeaseKey(held.session, held.term, held.epoch) for held in beat.held}
        for key in self._book.on_gateway_beat(beat.sender, listed, asyncio.get_running_loop().time()):
            self._end(key, "unknown_to_gateway")
        if not listed <= self._running.keys():
            # It counts on leases that are not held here. A worker that holds none of its would never say so.
            await self._send_beat(token(beat.sender), [key for key in listed if key in self._running])

    async def _beat(self) -> None:
        """Tell each gateway what is held for it; notice gateways that fell silent."""
        loop = asyncio.get_running_loop()
        link = self._service.link
        due = loop.time()
        while True:
            for gateway, keys in self._book.gateways().items():
                await self._send_beat(gateway, keys)
            if not link.settled:
                self._was_settled = False
            elif not self._was_settled:
                self._was_settled = True
                self._book.on_link_back(loop.time())
            else:
                for key in self._book.silent(loop.time()):
                    self._end(key, "gateway_silent")
            due = max(due + BEAT_INTERVAL_S, loop.time())
            # Whoever missed something asks for it as soon as it hears of it.
            await link.back_within(due - loop.time())

    async def _send_beat(self, gateway: str, keys: Sequence[LeaseKey]) -> None:
        self._beats_sent += 1
        beat = Beat(
            sender=self._service.process_id,
            number=self._beats_sent,
            held=[self._held(key) for key in keys if key in self._running],
            draining=self._book.draining,
            load=self._load,
            link_losses=self._service.link.losses,
        )
        await self._service.link.publish_audio(self._service.subjects.beat(gateway), beat)

    def _held(self, key: LeaseKey) -> Held:
        running = self._running[key]
        reached = running.runner.session.reached()
        return Held(
            session=key.session,
            stage=self._definition.stage,
            term=key.term,
            epoch=key.epoch,
            sample=reached.sample,
            turn=reached.turn,
            attempt=reached.attempt,
            segment=reached.segment,
            sent=running.outlet.sent,
        )


LoadStage = Callable[[Service], Awaitable[StageDefinition]]


def run_worker(stage: str, settings_type: type[WorkerSettings], load: LoadStage, description: str) -> None:
    """Console script of a stage: load the models, then serve. `/ready` answers 503 until they are loaded."""

    async def body(service: Service, settings: WorkerSettings) -> None:
        worker: Worker | None = None

        def probe() -> Health:
            if worker is None:
                return Health(service.version, 0, settings.capacity, ("loading models",), {"stage": stage})
            return worker.health()

        async with serve(service_app(service.metrics, probe), settings.http_host, settings.http_port, service.log):
            try:
                definition = await load(service)
            except NoProviderError as error:
                raise SystemExit(f"natter-{stage}: {error}") from error
            keep_for_good()
            worker = Worker(service, definition, settings)
            try:
                await worker.serve()
            finally:
                await definition.close()

    run_service(stage, settings_type, body, description)
