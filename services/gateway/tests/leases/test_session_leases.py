"""One session's leases while workers die, leave, hang and lose frames. The workers are played; time is the loop's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from natter_gateway.bots.model import Bot
from natter_gateway.leases import chain, repeats, session_leases
from natter_gateway.leases.board import HeldLease
from natter_gateway.leases.broker import NoCapacityError
from natter_gateway.leases.session_leases import SessionLeases
from natter_proto import Lease, LeaseClass, Stage

LLM = Stage.STAGE_LLM


@dataclass
class Workers:
    """Stands for broker and keeper: who has room, and what was given back."""

    free: list[str] = field(default_factory=lambda: ["w1"])
    without: str = ""
    """A provider that nobody can be had for."""
    settled: bool = True
    repeats: bool | None = True
    """What whoever is asked for frames again answers."""
    asked: asyncio.Queue[tuple[Stage, Mapping[str, int]]] = field(default_factory=lambda: asyncio.Queue(100))
    repeated: Callable[[], None] = lambda: None
    taken: list[tuple[str, Lease, str]] = field(default_factory=list[tuple[str, Lease, str]])
    given_back: list[HeldLease] = field(default_factory=list[HeldLease])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    offered: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, whoever is offered a stage leaves it without an answer."""

    def __post_init__(self) -> None:
        self.answering.set()

    async def take(
        self, lease: Lease, providers: Sequence[str], settings: Callable[[str], str], *, avoid: str = ""
    ) -> HeldLease:
        settings(providers[0])
        self.offered.set()
        await self.answering.wait()
        provider = next(name for name in providers if name != self.without)
        worker = next((name for name in self.free if name != avoid), next(iter(self.free), None))
        if worker is None:
            raise NoCapacityError(lease.stage, providers, None)
        kept = Lease()
        kept.CopyFrom(lease)
        self.taken.append((worker, kept, avoid))
        self.changed.set()
        return HeldLease(lease.session, lease.stage, lease.term, lease.epoch, worker, provider, "x")

    async def repeat(self, held: HeldLease, have: Mapping[str, int], _timeout_s: float) -> bool | None:
        self.asked.put_nowait((held.stage, dict(have)))
        self.repeated()
        await asyncio.sleep(0)
        return self.repeats

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
    lacking: set[Stage] = field(default_factory=set[Stage])
    caught_up: list[Stage] = field(default_factory=list[Stage])
    told_again: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Any] = field(default_factory=list[Any])
    leased: asyncio.Event = field(default_factory=asyncio.Event)

    def lacks(self, lease: HeldLease) -> bool:
        return lease.stage in self.lacking

    def have(self, _lease: HeldLease) -> Mapping[str, int]:
        return {"reply": 7}

    def catches_up(self, stage: Stage) -> None:
        self.caught_up.append(stage)

    def tell_again(self, since_s: float) -> None:
        self.told.append(("again", since_s))
        self.told_again.set()

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

        def from_sample(_stage: Stage, since_s: float) -> int:
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


async def test_after_a_lost_link_all_is_sent_again_either_way(setting: Setting) -> None:
    voice = setting.user.leases[Stage.STAGE_TTS]
    setting.leases.on_frames_lost(voice, 3.0)
    setting.leases.on_frames_lost(setting.user.leases[Stage.STAGE_VAD], 2.0)
    async with asyncio.timeout(5):
        asked = [await setting.workers.asked.get() for _ in range(3)]
        await setting.user.told_again.wait()
    assert (Stage.STAGE_TTS, {"reply": 7}) in asked
    assert (LLM, {}) in asked, "what is to be spoken came from there"
    assert (Stage.STAGE_VAD, {"reply": 7}) in asked
    assert setting.user.caught_up == [Stage.STAGE_TTS, Stage.STAGE_VAD], "nobody is judged by what did not come"
    assert setting.user.told == [("again", 2.0 - repeats.UNDER_WAY_S)], "once, from the earlier time"
    assert setting.user.leases[Stage.STAGE_TTS] is voice


async def test_frames_that_are_missing_are_asked_for_once(setting: Setting) -> None:
    setting.user.lacking = {LLM}
    setting.workers.repeated = setting.user.lacking.clear
    setting.leases.on_lacking(LLM)
    setting.leases.on_lacking(LLM)
    async with asyncio.timeout(5):
        assert await setting.workers.asked.get() == (LLM, {"reply": 7})
    assert setting.llm.epoch == 1
    assert setting.workers.asked.empty()


async def test_frames_that_have_come_meanwhile_are_not_asked_for(setting: Setting) -> None:
    setting.user.lacking = {LLM}
    setting.leases.on_lacking(LLM)
    setting.user.lacking.clear()
    setting.leases.on_frames_lost(setting.user.leases[Stage.STAGE_VAD], 2.0)
    async with asyncio.timeout(5):
        assert (await setting.workers.asked.get())[0] == Stage.STAGE_VAD
    assert setting.workers.asked.empty()


async def test_frames_that_nobody_has_cost_the_stage_its_lease(setting: Setting) -> None:
    first, voice = setting.llm, setting.user.leases[Stage.STAGE_TTS]
    setting.user.lacking = {LLM}
    setting.workers.repeats = False
    setting.leases.on_lacking(LLM)
    async with asyncio.timeout(5):
        while {first, voice} - set(setting.workers.given_back):
            setting.workers.changed.clear()
            await setting.workers.changed.wait()
    assert (await setting.another()).epoch == 2, "and the voice too: it may be saying what did not come here"


async def test_who_does_not_answer_is_asked_until_it_is_in_vain(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "_REPEAT_WITHIN_S", 0.1)
    first = setting.llm
    setting.user.lacking = {LLM}
    setting.workers.repeats = None
    setting.leases.on_lacking(LLM)
    async with asyncio.timeout(5):
        while first not in setting.workers.given_back:
            setting.workers.changed.clear()
            await setting.workers.changed.wait()
    assert setting.workers.asked.qsize() > 1


async def test_a_stuck_worker_is_asked_behind_all_others(setting: Setting) -> None:
    setting.workers.free = ["w1", "w2"]
    setting.leases.on_stuck(LLM, 0.0)
    assert (await setting.another()).worker == "w2"


async def test_what_a_stuck_worker_did_not_hear_the_next_one_hears(setting: Setting) -> None:
    now_s = asyncio.get_running_loop().time()
    setting.leases.on_stuck(LLM, 2.5)
    await setting.another()
    assert setting.since_s == [pytest.approx(now_s - 2.5, abs=0.5)]


async def test_nobody_is_stuck_for_who_is_cut_off(setting: Setting) -> None:
    setting.workers.settled = False
    setting.leases.on_stuck(LLM, 0.0)
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


async def lose_while_another_is_asked(setting: Setting, lost: HeldLease, others: list[str]) -> None:
    async with asyncio.timeout(5):
        await setting.workers.offered.wait()
    setting.leases.on_lost(lost, 12.5)
    setting.workers.free = others
    setting.workers.answering.set()


@pytest.mark.parametrize("others", [["w2"], []])
async def test_a_worker_that_is_lost_while_it_hands_over_is_replaced(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    monkeypatch.setattr(session_leases, "_WAIT_S", 0.001)
    first, workers = setting.llm, setting.workers
    workers.offered.clear()
    workers.answering.clear()
    setting.leases.on_worker_leaves(first)
    await lose_while_another_is_asked(setting, first, others)
    async with asyncio.timeout(5):
        while len(setting.since_s) < 2:
            await asyncio.sleep(0)
    workers.free = ["w2"]
    held = await setting.another()
    assert held.worker == "w2"
    assert setting.since_s[1] == 12.5, "who goes on begins where the lost one was heard last"
    assert [lease.epoch for lease in workers.given_back] == ([2] if others else [])


@pytest.mark.parametrize("others", [["w2"], []])
async def test_a_worker_that_is_lost_while_a_better_one_is_asked_is_replaced(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    monkeypatch.setattr(session_leases, "_WAIT_S", 0.001)
    monkeypatch.setattr(chain, "FIRST_HOLD_OFF_S", 0.0)
    workers = setting.workers
    workers.without = "openai"
    setting.leases.on_lost(setting.llm, 3.0)
    local = await setting.another()
    assert local.provider == "local"
    workers.without = ""
    workers.offered.clear()
    workers.answering.clear()
    setting.leases.on_idle()
    await lose_while_another_is_asked(setting, local, others)
    async with asyncio.timeout(5):
        while len(setting.since_s) < 3:
            await asyncio.sleep(0)
    workers.free = ["w2"]
    assert (await setting.another()).worker == "w2"
    assert setting.since_s[2] == 12.5


async def test_a_worker_that_is_lost_before_a_better_one_is_asked_is_replaced(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "FIRST_HOLD_OFF_S", 0.0)
    setting.workers.without = "openai"
    setting.leases.on_lost(setting.llm, 3.0)
    local = await setting.another()
    setting.leases.on_idle()
    setting.leases.on_lost(local, 12.5)
    assert (await setting.another()).epoch > local.epoch


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
