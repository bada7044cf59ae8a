"""The leases of one session's stages: taken together at its start, replaced when one fails, taken back later."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from natter_common.link import LinkDownError
from natter_common.logs import Log
from natter_gateway.bots.model import Bot
from natter_gateway.conductor.trouble import StageTrouble
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import LeaseBroker, LeaseRefusedError, NoCapacityError
from natter_gateway.leases.chain import Chain
from natter_gateway.leases.keeper import LeaseKeeper
from natter_gateway.leases.repeats import Repeats, RepeatUser
from natter_proto import Lease, LeaseClass, Stage, stage_name

STAGES: Final = (Stage.STAGE_VAD, Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS)
_GIVE_UP_S: Final = 300.0
"""A stage without a worker is looked for so long; then the call ends in words."""
_TOLD_AFTER_S: Final = 1.5
"""The caller hears of it when nobody was found in this time."""
_WAIT_S: Final = 0.25
_DRAIN_S: Final = 20.0
"""A worker that drains may keep the stage so long, in case nobody falls silent before."""
_LOOK_S: Final = 0.1
_NAMES: Final = {
    Stage.STAGE_VAD: "Speech detection",
    Stage.STAGE_STT: "Speech recognition",
    Stage.STAGE_LLM: "The language model",
    Stage.STAGE_TTS: "The voice",
}


class StageUser(RepeatUser, Protocol):
    """Who works with the stages: the conductor."""

    @property
    def idle(self) -> bool: ...
    def stage_lost(self, stage: Stage) -> None: ...
    def stage_leased(self, lease: HeldLease) -> None: ...
    def stage_hopeless(self, stage: Stage, words: str) -> None: ...


class SessionLeases:
    """`spawn` starts named tasks that the gateway owns.

    `from_sample` says where a stage's new worker begins to read if the last one heard nothing since a time (of the
    loop, in s).
    """

    def __init__(
        self,
        session: str,
        term: int,
        realm: str,
        bot: Bot,
        user: StageUser,
        broker: LeaseBroker,
        keeper: LeaseKeeper,
        log: Log,
        *,
        spawn: Callable[[Coroutine[None, None, None], str], None],
        from_sample: Callable[[Stage, float], int],
        gone: Callable[[str], None],
    ) -> None:
        """`gone` is told in words that a stage can't be had any more."""
        self._session = session
        self._term = term
        self._realm = realm
        self._bot = bot
        self._user = user
        self._broker = broker
        self._keeper = keeper
        self._log = log
        self._spawn = spawn
        self._from_sample = from_sample
        self._gone = gone
        self._epochs: dict[Stage, int] = dict.fromkeys(STAGES, 0)
        self._chains: Final[Mapping[Stage, Chain]] = {stage: Chain(bot.providers(stage)) for stage in STAGES}
        self._replacing: set[Stage] = set()
        self._avoided: dict[Stage, str] = {}
        """The worker that was stuck last: asked again if there is no other."""
        self._unheard_since_s: dict[Stage, float] = {}
        """Of stages that are being replaced: up to when somebody surely heard the caller."""
        self._over = asyncio.Event()
        self._repeats = Repeats(
            session, user, broker, spawn=spawn, serves=self._serves, lost=self._lose_frames, wait=self._wait
        )

    async def take_all(self) -> None:
        """Lease the four stages, all or none.

        Raises `NoCapacityError`, `LeaseRefusedError` or `LinkDownError`; what was taken has to be given back.
        """
        results = await asyncio.gather(*map(self._take_new, STAGES), return_exceptions=True)
        problems = [result for result in results if isinstance(result, BaseException)]
        if problems:
            raise problems[0]
        for lease in list(self._user.leases.values()):
            self._user.stage_leased(lease)

    async def close(self) -> None:
        """The session is over: nothing is leased any more."""
        self._over.set()
        await self.give_back_all()

    async def give_back_all(self) -> None:
        """Hold nothing. A session that found no room may try again."""
        for lease in list(self._user.leases.values()):
            await self._keeper.give_back(lease)
        self._user.leases.clear()

    def on_lost(self, lost: HeldLease, since_s: float) -> None:
        """A worker is gone or forgot the session; it was there up to `since_s`."""
        if not self._serves(lost):
            return
        self._chains[lost.stage].on_lost()
        self._user.stage_lost(lost.stage)
        self._replace(lost.stage, since_s)

    def on_frames_lost(self, lease: HeldLease, since_s: float) -> None:
        """Frames to or from a worker may be missing since then."""
        if self._serves(lease):
            self._repeats.after_lost_link(lease, since_s)

    def on_lacking(self, stage: Stage) -> None:
        """Frames of a stage did not come, though its worker sent them."""
        lease = self._user.leases.get(stage)
        if lease is not None and self._serves(lease):
            self._repeats.on_lacking(lease)

    def _lose_frames(self, lease: HeldLease) -> None:
        """What a worker sent can't be had again: another begins anew where this one was."""
        self._log.warning("frames are missing", stage=stage_name(lease.stage), worker=lease.worker)
        voice, now_s = self._user.leases.get(Stage.STAGE_TTS), asyncio.get_running_loop().time()
        self._renew(lease, now_s)
        if lease.stage == Stage.STAGE_LLM and voice is not None:
            # It may be saying text that did not come here, and that another model writes otherwise.
            self._renew(voice, now_s)

    def _renew(self, lease: HeldLease, since_s: float) -> None:
        self.on_lost(lease, since_s)
        self._spawn(self._keeper.give_back(lease), f"give-back-{stage_name(lease.stage)}-{self._session}")

    def on_stuck(self, stage: Stage, behind_s: float) -> None:
        """A worker does not go on with what is due; its beats say that it lives. It heard nothing for `behind_s`."""
        lease = self._user.leases.get(stage)
        if lease is None or not self._broker.settled or not self._serves(lease):
            return
        self._log.warning("worker is stuck", stage=stage_name(stage), worker=lease.worker)
        self._avoided[stage] = lease.worker
        self._renew(lease, asyncio.get_running_loop().time() - behind_s)

    def on_worker_leaves(self, lease: HeldLease) -> None:
        """A worker drains: another takes over as soon as nobody speaks, or when it can't be waited for any more."""
        if self._serves(lease):
            self._spawn(self._hand_over(lease), f"hand-over-{stage_name(lease.stage)}-{self._session}")

    def on_trouble(self, trouble: StageTrouble) -> None:
        """A stage can't go on with its provider: the next of the chain takes over, or the same again."""
        lease = self._user.leases.get(trouble.stage)
        if lease is None or lease.provider != trouble.provider or not self._serves(lease):
            return
        self._chains[trouble.stage].on_fault(
            trouble.provider, trouble.words, asyncio.get_running_loop().time(), lasting=trouble.lasting
        )
        self._user.stage_lost(trouble.stage)
        self._spawn(self._keeper.give_back(lease), f"give-back-{stage_name(trouble.stage)}-{self._session}")
        self._replace(trouble.stage, asyncio.get_running_loop().time())

    def on_idle(self) -> None:
        """Nobody speaks: a provider that is wanted more and may be well again is taken back now."""
        now = asyncio.get_running_loop().time()
        for stage, chain in self._chains.items():
            better = chain.better(now)
            if better and stage not in self._replacing and not self._over.is_set():
                # At once: the next moment of silence may come before the task begins.
                self._replacing.add(stage)
                attempt = partial(self._take_back, stage, better)
                self._spawn(self._change(stage, attempt), f"take-back-{stage_name(stage)}-{self._session}")

    # --- Taking

    def _serves(self, lease: HeldLease) -> bool:
        return not self._over.is_set() and self._user.leases.get(lease.stage) == lease

    def _order(self, stage: Stage) -> list[str]:
        return self._chains[stage].order(asyncio.get_running_loop().time())

    async def _take_new(self, stage: Stage) -> None:
        # Noted at once: also what was taken before the others failed has to be given back.
        self._user.leases[stage] = await self._take(stage, LeaseClass.LEASE_CLASS_NEW, 0, self._order(stage))

    async def _take(
        self, stage: Stage, lease_class: LeaseClass, from_sample: int, providers: Sequence[str]
    ) -> HeldLease:
        self._epochs[stage] += 1
        lease = Lease(
            realm=self._realm,
            session=self._session,
            stage=stage,
            term=self._term,
            epoch=self._epochs[stage],
            lease_class=lease_class,
            record=self._bot.record,
            from_sample=from_sample,
        )
        try:
            held = await self._broker.take(
                lease,
                providers,
                lambda provider: self._bot.settings(stage, provider),
                avoid=self._avoided.get(stage, ""),
            )
        finally:
            self._epochs[stage] = lease.epoch
        if self._over.is_set():
            await self._broker.release(held)
            raise NoCapacityError(stage, providers, "the session is over")
        self._keeper.keep(held)
        chain, now = self._chains[stage], asyncio.get_running_loop().time()
        # Those who were asked in vain are not asked again at the next border of a turn.
        chain.put_off(providers[: providers.index(held.provider)], now)
        chain.on_leased(held.provider, now)
        return held

    def _replace(self, stage: Stage, since_s: float) -> None:
        self._unheard_since_s[stage] = min(since_s, self._unheard_since_s.get(stage, since_s))
        if stage not in self._replacing:
            self._replacing.add(stage)
            self._spawn(self._find_another(stage), f"replace-{stage_name(stage)}-{self._session}")

    async def _find_another(self, stage: Stage) -> None:
        """Lease a stage that has no worker, however long it takes: as long as there is hope."""
        chain, loop = self._chains[stage], asyncio.get_running_loop()
        begun_s = loop.time()
        told = False
        try:
            while not self._over.is_set() and loop.time() - begun_s < _GIVE_UP_S:
                if (words := chain.hopeless(loop.time())) is not None:
                    self._user.stage_hopeless(stage, words)
                await self._wait(chain.pause_s(loop.time()))
                from_sample = self._from_sample(stage, self._unheard_since_s[stage])
                try:
                    held = await self._take(stage, LeaseClass.LEASE_CLASS_TAKEOVER, from_sample, self._order(stage))
                except LeaseRefusedError as error:
                    self._user.stage_hopeless(stage, str(error))
                except (NoCapacityError, LinkDownError) as error:
                    self._log.warning("no worker to take over yet", stage=stage_name(stage), reason=str(error))
                else:
                    self._log.info("stage taken over", stage=stage_name(stage), provider=held.provider)
                    self._unheard_since_s.pop(stage, None)
                    self._user.stage_leased(held)
                    return
                if not told and loop.time() - begun_s > _TOLD_AFTER_S:
                    told = True
                    self._user.stage_hopeless(stage, self._missing(stage))
                await self._wait(_WAIT_S)
        finally:
            self._replacing.discard(stage)
        if not self._over.is_set():
            self._gone(self._missing(stage))

    def _missing(self, stage: Stage) -> str:
        problem = self._broker.problem(stage, self._bot.providers(stage))
        return problem or f"{_NAMES[stage]} is out of order right now. It goes on as soon as that is back."

    async def _hand_over(self, lease: HeldLease) -> None:
        """Have another worker go on where one leaves, between two turns if there is a border in time."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _DRAIN_S
        while self._serves(lease):
            border = self._user.idle or loop.time() >= until_s
            if border and lease.stage not in self._replacing:
                await self._change(lease.stage, partial(self._try_hand_over, lease))
            await self._wait(_LOOK_S)

    async def _change(self, stage: Stage, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try to have another worker for a stage that has one. Who is lost meanwhile is replaced afterwards."""
        self._replacing.add(stage)
        try:
            await attempt()
        finally:
            self._replacing.discard(stage)
        if stage in self._unheard_since_s and not self._over.is_set():
            self._replace(stage, self._unheard_since_s[stage])

    async def _try_hand_over(self, lease: HeldLease) -> None:
        stage = lease.stage
        try:
            from_sample = self._from_sample(stage, asyncio.get_running_loop().time())
            held = await self._take(stage, LeaseClass.LEASE_CLASS_TAKEOVER, from_sample, [lease.provider])
        except (NoCapacityError, LeaseRefusedError, LinkDownError) as error:
            self._log.info("nobody goes on yet for a worker that leaves", stage=stage_name(stage), reason=str(error))
            return
        if not self._serves(lease):
            # Lost meanwhile: who goes on has to begin where it was heard last, perhaps with another provider.
            await self._keeper.give_back(held)
            return
        self._log.info("stage handed over", stage=stage_name(stage), provider=held.provider)
        self._user.stage_leased(held)
        await self._keeper.give_back(lease)

    async def _wait(self, seconds: float) -> None:
        """Wait, but not beyond the session's end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _take_back(self, stage: Stage, better: Sequence[str]) -> None:
        """Go back to a provider that is wanted more, unless somebody has begun to speak meanwhile."""
        before, chain = self._user.leases.get(stage), self._chains[stage]
        try:
            if before is None or not self._user.idle:
                return
            # Asked again later, whatever comes of it.
            chain.put_off(better, asyncio.get_running_loop().time())
            from_sample = self._from_sample(stage, asyncio.get_running_loop().time())
            held = await self._take(stage, LeaseClass.LEASE_CLASS_TAKEOVER, from_sample, better)
        except (NoCapacityError, LeaseRefusedError, LinkDownError) as error:
            self._log.info("not to be had yet", stage=stage_name(stage), reason=str(error))
            return
        # A worker that served the session already has let go of its older lease: then there is no way back.
        if self._user.leases.get(stage) != before or not (self._user.idle or held.worker == before.worker):
            await self._keeper.give_back(held)
            chain.on_leased(before.provider, asyncio.get_running_loop().time())
            return
        self._log.info("stage taken back", stage=stage_name(stage), provider=held.provider)
        self._user.stage_leased(held)
        await self._keeper.give_back(before)
