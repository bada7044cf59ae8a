"""Keeps the leases of all sessions of a gateway: beats both ways, and says which can't be counted on any more."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from nats.aio.msg import Msg

from natter_common.link import NatsLink
from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.leases.board import GONE_S, HeldLease, LeaseBoard
from natter_gateway.leases.broker import LeaseBroker
from natter_proto import Beat, Held, RealmSubjects, decode, stage_name, token

_BEAT_INTERVAL_S: Final = 1.0
_WATCH_INTERVAL_S: Final = 0.1
_PING_S: Final = 0.4


class LeaseHolders(Protocol):
    """The sessions whose leases are kept. Times are the loop's, in seconds."""

    def on_lease_lost(self, lease: HeldLease, since_s: float) -> None:
        """It ended without being given back; up to `since_s` its worker worked, as far as is known. Called once."""
        ...

    def on_frames_lost(self, lease: HeldLease, since_s: float) -> None:
        """Frames to or from its worker may be missing since then."""
        ...

    def on_worker_leaves(self, lease: HeldLease) -> None:
        """Its worker drains: the stage has to go elsewhere, soon."""
        ...

    def on_progress(self, lease: HeldLease, held: Held) -> None:
        """How far its worker is."""
        ...

    def on_failed(self, lease: HeldLease) -> None:
        """Its session could not cope with what it was told of it: only that session ends."""
        ...


class LeaseKeeper:
    """One per gateway."""

    def __init__(
        self,
        link: NatsLink,
        subjects: RealmSubjects,
        broker: LeaseBroker,
        gateway: str,
        metrics: Metrics,
        log: Log,
        holders: Callable[[], LeaseHolders],
    ) -> None:
        """`holders` is asked when something happens: they are made after the keeper."""
        self._link = link
        self._subjects = subjects
        self._broker = broker
        self._gateway = gateway
        self._metrics = metrics
        self._log = log
        self._holders = holders
        self._board = LeaseBoard()
        self._beats_sent = 0
        self._pinging: set[str] = set()

    def __len__(self) -> int:
        return len(self._board)

    def keep(self, lease: HeldLease) -> None:
        self._board.add(lease, asyncio.get_running_loop().time())

    async def give_back(self, lease: HeldLease) -> None:
        self._board.remove(lease)
        await self._broker.release(lease)

    async def run(self) -> None:
        """Beat and watch until cancelled."""
        subscription = await self._link.subscribe(self._subjects.beat(self._gateway), self._on_worker_beat)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(), name="gateway-beats")
                await self._watch(tasks)
        finally:
            await self._link.unsubscribe(subscription)

    async def _beat(self) -> None:
        while True:
            for worker, leases in self._board.beats().items():
                self._beats_sent += 1
                held = [
                    Held(session=lease.session, stage=lease.stage, term=lease.term, epoch=lease.epoch)
                    for lease in leases
                ]
                beat = Beat(sender=self._gateway, number=self._beats_sent, held=held)
                await self._link.publish_audio(self._subjects.beat(worker), beat)
            await asyncio.sleep(_BEAT_INTERVAL_S)

    async def _watch(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if await self._link.back_within(_WATCH_INTERVAL_S):
                self._frames_lost(self._board.leases(), self._link.good_until)
            now = loop.time()
            for worker in self._board.late(now):
                if not self._link.settled:
                    # Whoever is cut off judges nobody.
                    self._board.on_alive(worker, now)
                elif worker not in self._pinging:
                    self._pinging.add(worker)
                    tasks.create_task(self._ask(worker), name=f"ping-{worker}")

    async def _ask(self, worker: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            alive = await self._broker.ping(worker, _PING_S)
        finally:
            self._pinging.discard(worker)
        if not self._link.settled:
            return
        if alive:
            self._board.on_alive(worker, loop.time())
        elif alive is False or self._board.silence_s(worker, loop.time()) > GONE_S:
            self._log.warning("worker is gone", worker=worker, dead=alive is False)
            for lease in self._board.leases_of(worker):
                self._lose(lease, "worker_gone")

    async def _on_worker_beat(self, message: Msg) -> None:
        beat = decode(Beat, message.data)
        now = asyncio.get_running_loop().time()
        heard_at = self._board.heard_at(token(beat.sender))
        news = self._board.on_worker_beat(beat, now)
        for lease in news.unknown:
            self._lose(lease, "unknown_to_worker")
        if heard_at is not None:
            self._frames_lost([lease for lease in news.unsure if lease not in news.unknown], heard_at)
        for lease in news.leaving:
            self._tell(lease, partial(self._holders().on_worker_leaves, lease))
        leases = {(lease.session, lease.epoch): lease for lease in self._board.leases_of(beat.sender)}
        for held in beat.held:
            lease = leases.get((held.session, held.epoch))
            if lease is not None:
                self._tell(lease, partial(self._holders().on_progress, lease, held))

    def _frames_lost(self, leases: Sequence[HeldLease], since_s: float) -> None:
        for lease in leases:
            self._log.warning(
                "frames may be missing", session=lease.session, stage=stage_name(lease.stage), worker=lease.worker
            )
            self._tell(lease, partial(self._holders().on_frames_lost, lease, since_s))

    def _lose(self, lease: HeldLease, reason: str) -> None:
        heard_at = self._board.heard_at(lease.worker)
        self._board.remove(lease)
        self._metrics.leases_ended.labels(reason).inc()
        self._log.warning(
            "lease lost", session=lease.session, stage=stage_name(lease.stage), worker=lease.worker, reason=reason
        )
        since_s = asyncio.get_running_loop().time() if heard_at is None else heard_at
        self._tell(lease, partial(self._holders().on_lease_lost, lease, since_s))

    def _tell(self, lease: HeldLease, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:  # noqa: BLE001 - logged whole
            # One session's failure, whatever it is, must not end the others.
            self._log.exception("session failed", session=lease.session, stage=stage_name(lease.stage))
            self._holders().on_failed(lease)
