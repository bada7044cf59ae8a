from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from natter_vad.estimator import WAITS_AT_MOST_S, Estimator


class SlowModel:
    """Works until told; answers the length of its audio as a probability in percent."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.threads: set[int] = set()
        self.started = threading.Event()
        self.go_on = threading.Event()

    def complete(self, pcm: bytes, quiet_samples: int) -> float:
        self.begun.append(len(pcm))
        self.threads.add(threading.get_ident())
        self.started.set()
        assert self.go_on.wait(10)
        if quiet_samples < 0:
            raise ValueError("no such quiet")
        return len(pcm) / 100


class Meter:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def asked(self) -> None:
        self.counts["asked"] += 1

    def answered(self, took_s: float) -> None:
        assert took_s >= 0
        self.counts["answered"] += 1

    def dropped(self, reason: str) -> None:
        self.counts[reason] += 1


class Clock:
    """The loop's time, plus what a test adds to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.added_s = 0.0
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + self.added_s)


class Case:
    def __init__(self, model: SlowModel, meter: Meter, estimator: Estimator) -> None:
        self.model = model
        self.meter = meter
        self.estimator = estimator
        self.answers: list[tuple[str, float]] = []
        self._news = asyncio.Event()

    def answer(self, name: str) -> Callable[[float], None]:
        def take(probability: float) -> None:
            self.answers.append((name, probability))
            self._news.set()

        return take

    async def working(self) -> None:
        assert await asyncio.to_thread(self.model.started.wait, 10)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.answers) < count:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    model, meter = SlowModel(), Meter()
    estimator = Estimator(model, meter)
    yield Case(model, meter, estimator)
    model.go_on.set()
    await estimator.close()


async def test_the_model_works_on_one_other_thread_and_the_loop_goes_on(case: Case) -> None:
    for number in range(3):
        case.estimator.open().ask(bytes(10 * number), 0, case.answer(str(number)))
    await case.working()  # the loop runs while the model stands
    case.model.go_on.set()
    await case.until(3)
    assert case.answers == [("0", 0.0), ("1", 0.1), ("2", 0.2)]
    assert len(case.model.threads) == 1
    assert threading.get_ident() not in case.model.threads
    assert case.meter.counts == {"asked": 3, "answered": 3}


async def test_the_newest_question_of_a_session_wins_and_keeps_its_place(case: Case) -> None:
    first, second, third = (case.estimator.open() for _ in range(3))
    first.ask(bytes(1), 0, case.answer("first"))
    await case.working()
    second.ask(bytes(2), 0, case.answer("old"))
    third.ask(bytes(3), 0, case.answer("third"))
    second.ask(bytes(4), 0, case.answer("new"))
    assert case.estimator.waiting == 2
    case.model.go_on.set()
    await case.until(3)
    assert [name for name, _ in case.answers] == ["first", "new", "third"]
    assert case.meter.counts["replaced"] == 1


async def test_a_question_that_waited_too_long_is_dropped(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    one, two = case.estimator.open(), case.estimator.open()
    one.ask(bytes(1), 0, case.answer("one"))
    await case.working()
    two.ask(bytes(2), 0, case.answer("two"))
    clock.added_s = WAITS_AT_MOST_S + 0.001
    case.model.go_on.set()
    await case.until(1)
    two.ask(bytes(3), 0, case.answer("later"))
    await case.until(2)
    assert [name for name, _ in case.answers] == ["one", "later"]
    assert case.model.begun == [1, 3]
    assert case.meter.counts["late"] == 1


async def test_nothing_comes_after_a_session_is_closed(case: Case) -> None:
    working, waiting, other = (case.estimator.open() for _ in range(3))
    working.ask(bytes(1), 0, case.answer("working"))
    await case.working()
    waiting.ask(bytes(2), 0, case.answer("waiting"))
    other.ask(bytes(3), 0, case.answer("other"))
    working.close()
    waiting.close()
    waiting.ask(bytes(4), 0, case.answer("closed"))
    case.model.go_on.set()
    await case.until(1)
    assert case.answers == [("other", 0.03)]
    assert case.model.begun == [1, 3]


async def test_a_question_that_is_withdrawn_is_not_worked_on(case: Case) -> None:
    one, two = case.estimator.open(), case.estimator.open()
    one.ask(bytes(1), 0, case.answer("one"))
    await case.working()
    two.ask(bytes(2), 0, case.answer("two"))
    two.withdraw()
    two.withdraw()
    assert case.estimator.waiting == 0
    assert case.meter.counts["over"] == 1


async def test_a_model_that_fails_is_counted_and_asked_again(case: Case) -> None:
    desk = case.estimator.open()
    case.model.go_on.set()
    desk.ask(bytes(1), -1, case.answer("bad"))
    case.estimator.open().ask(bytes(2), 0, case.answer("good"))
    await case.until(1)
    assert case.answers == [("good", 0.02)]
    assert case.meter.counts["failed"] == 1


async def test_a_closed_estimator_takes_nothing() -> None:
    estimator = Estimator(SlowModel(), Meter())
    desk = estimator.open()
    await estimator.close()
    desk.ask(bytes(1), 0, lambda _: None)
    assert estimator.waiting == 0
