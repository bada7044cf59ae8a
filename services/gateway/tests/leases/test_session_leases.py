"""One session's leases while workers die, leave, hang and lose frames. The workers are played; time is the loop's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from natter_gateway.bots.model import Bot
from natter_gateway.leases import session_leases
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import NoCapacityError
from natter_gateway.leases.session_leases import SessionLeases
from natter_proto import Lease, LeaseClass, Stage

LLM = Stage.STAGE_LLM


@dataclass
class Workers:
    """Stands for broker and keeper: who has room, and what was given back."""

    free: list[str] = field(default_factory=lambda: ["w1"])
    connected: bool = True
    taken: list[tuple[str, Lease, str]] = field(default_factory=list[tuple[str, Lease, str]])
    given_back: list[HeldLease] = field(default_factory=list[HeldLease])
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(
        self, lease: Lease, providers: Sequence[str], settings: Callable[[str], str], *, avoid: str = ""
    ) -> HeldLease:
        settings(providers[0])
        worker = next((name for name in self.free if name != avoid), next(iter(self.free), None))
        if worker is None:
            raise NoCapacityError(lease.stage, providers, None)
        kept = Lease()
        kept.CopyFrom(lease)
        self.taken.append((worker, kept, avoid))
        self.changed.set()
        return HeldLease(lease.session, lease.stage, lease.term, lease.epoch, worker, providers[0], "x")

    async def release(self, held: HeldLease) -> None:
        self.given_back.append(held)

    async def give_back(self, held: HeldLease) -> None:
        self.given_back.append(held)
        self.changed.set()

    def keep(self, held: HeldLease) -> None:
        """The keeper has it."""

    def problem(self, _stage: Stage, _providers: Sequence[str]) -> str | None:
        return None


@dataclass
class User:
    """Stands for the conductor."""

    leases: dict[Stage, HeldLease] = field(default_factory=dict[Stage, HeldLease])
    idle: bool = True
    busy: bool = True
    told: list[Any] = field(default_factory=list[Any])
    leased: asyncio.Event = field(default_factory=asyncio.Event)

    def works(self, _stage: Stage) -> bool:
        return self.busy

    def frames_suspected(self, stage: Stage) -> None:
        self.told.append(("suspected", stage))

    def frames_lost(self, stage: Stage) -> None:
        self.told.append(("frames lost", stage))

    def stage_lost(self, stage: Stage) -> None:
        self.leases.pop(stage)
        self.leased.clear()

    def stage_leased(self, lease: HeldLease) -> None:
        self.leases[lease.stage] = lease
        self.leased.set()

    def stage_hopeless(self, stage: Stage, words: str) -> None:
        self.told.append((stage, words))


class Setting:
    """A session that has its leases."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.workers, self.user = Workers(), User()
        self.since_s: list[float] = []
        self.gone: list[str] = []
        bot = Bot.model_validate({"id": "b", "name": "B", "prompt": "Be kind."})

        def spawn(work: Coroutine[None, None, None], name: str) -> None:
            tasks.create_task(work, name=name)

        def from_sample(since_s: float) -> int:
            self.since_s.append(since_s)
            return 7

        self.leases = SessionLeases(
            "abc",
            1,
            "main",
            bot,
            self.user,
            self.workers,  # type: ignore[arg-type]
            self.workers,  # type: ignore[arg-type]
            structlog.get_logger(),
            spawn=spawn,
            from_sample=from_sample,
            gone=self.gone.append,
        )

    @property
    def llm(self) -> HeldLease:
        return self.user.leases[LLM]

    async def another(self) -> HeldLease:
        async with asyncio.timeout(5):
            await self.user.leased.wait()
        return self.llm


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with asyncio.TaskGroup() as tasks:
        made = Setting(tasks)
        await made.leases.take_all()
        yield made
        await made.leases.close()


async def test_a_lost_worker_is_replaced_from_where_it_was_heard_last(setting: Setting) -> None:
    setting.leases.on_lost(setting.llm, 12.5)
    held = await setting.another()
    assert held.epoch == 2
    assert setting.since_s == [12.5]
    assert setting.workers.taken[-1][1].lease_class == LeaseClass.LEASE_CLASS_TAKEOVER
    assert setting.workers.taken[-1][1].from_sample == 7


async def test_a_detector_whose_frames_may_be_missing_is_replaced(setting: Setting) -> None:
    first = setting.user.leases[Stage.STAGE_VAD]
    setting.leases.on_frames_lost(first, 3.0)
    assert Stage.STAGE_VAD not in setting.user.leases
    await setting.another()
    assert setting.since_s == [3.0]
    assert first in setting.workers.given_back


async def test_others_are_suspected_until_it_shows(setting: Setting) -> None:
    first = setting.llm
    setting.leases.on_frames_lost(first, 3.0)
    assert setting.llm is first
    assert setting.user.told == [("suspected", LLM)]


async def test_a_stage_at_work_whose_frames_are_missing_is_replaced(setting: Setting) -> None:
    first = setting.llm
    setting.leases.on_missing(LLM)
    assert (await setting.another()).epoch == 2
    assert first in setting.workers.given_back


async def test_text_that_is_missing_here_may_be_spoken_there(setting: Setting) -> None:
    voice = setting.user.leases[Stage.STAGE_TTS]
    setting.leases.on_missing(LLM)
    assert Stage.STAGE_TTS not in setting.user.leases
    await setting.another()
    assert voice in setting.workers.given_back


async def test_a_stage_that_has_nothing_to_do_keeps_its_worker(setting: Setting) -> None:
    setting.user.busy = False
    setting.leases.on_missing(LLM)
    assert setting.llm.epoch == 1
    assert setting.user.told == [("frames lost", LLM)]


async def test_a_stuck_worker_is_asked_behind_all_others(setting: Setting) -> None:
    setting.workers.free = ["w1", "w2"]
    setting.leases.on_stuck(LLM)
    assert (await setting.another()).worker == "w2"


async def test_nobody_is_stuck_for_who_is_cut_off(setting: Setting) -> None:
    setting.workers.connected = False
    setting.leases.on_stuck(LLM)
    assert setting.llm.epoch == 1


async def test_a_worker_that_leaves_hands_over_when_nobody_speaks(setting: Setting) -> None:
    setting.user.idle = False
    first = setting.llm
    setting.user.leased.clear()
    setting.leases.on_worker_leaves(first)
    assert setting.llm is first
    setting.user.idle = True
    assert (await setting.another()).epoch == 2
    async with asyncio.timeout(5):
        while first not in setting.workers.given_back:
            setting.workers.changed.clear()
            await setting.workers.changed.wait()


async def test_a_worker_that_leaves_does_not_wait_for_ever(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_leases, "_DRAIN_S", 0.05)
    setting.user.idle = False
    setting.user.leased.clear()
    setting.leases.on_worker_leaves(setting.llm)
    assert (await setting.another()).epoch == 2


async def test_the_caller_hears_that_nobody_serves_and_that_it_goes_on_after_all(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_leases, "_TOLD_AFTER_S", 0.0)
    monkeypatch.setattr(session_leases, "_WAIT_S", 0.001)
    setting.workers.free = []
    setting.leases.on_lost(setting.llm, 0.0)
    async with asyncio.timeout(5):
        while not setting.user.told:
            await asyncio.sleep(0)
    assert setting.user.told == [
        (LLM, "The language model is out of order right now. It goes on as soon as that is back.")
    ]
    setting.workers.free = ["w9"]
    assert (await setting.another()).worker == "w9"
    assert setting.gone == []
