"""Asks the model for the end of turns on behalf of all sessions, on a thread of its own.

One question takes some 40 ms of a core, outside the interpreter's lock, so the event loop goes on. There is one thread:
the model gains nothing from batches, and a worker that needs more than a core for this is better two workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

WAITS_AT_MOST_S: Final = 0.3
"""An answer that comes later than this is worth nothing: by then the silence speaks for itself."""


class EndModel(Protocol):
    """What the estimator needs of a model (see `SmartTurnModel.complete`). Called on another thread."""

    def complete(self, pcm: bytes, quiet_samples: int) -> float: ...


class EstimatorMeter(Protocol):
    """Is told what became of questions, on the event loop."""

    def asked(self) -> None: ...

    def answered(self, took_s: float) -> None:
        """The model has answered, this long after it was asked."""
        ...

    def dropped(self, reason: str) -> None:
        """Why there is no answer.

        `replaced` by a newer question of the session, `over`: speech went on or the session ended before its turn came,
        `late`: it had waited for too long, `failed`: the model could not judge it.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    pcm: bytes
    quiet_samples: int
    answer: Callable[[float], None]
    asked_at: float


class Desk:
    """One session's place at the estimator. Made by `Estimator.open`."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator
        self.closed = False

    def ask(self, pcm: bytes, quiet_samples: int, answer: Callable[[float], None]) -> None:
        """Ask; a question of this session that still waits is dropped for it.

        Args:
            pcm: see `SmartTurnModel.complete`.
            quiet_samples: the same.
            answer: called on the event loop with the probability; never when the question was dropped or the desk
                closed. Must be quick and must not raise.
        """
        self._estimator.ask(self, pcm, quiet_samples, answer)

    def withdraw(self) -> None:
        """Nobody needs the answer any more: a question that still waits goes."""
        self._estimator.withdraw(self)

    def close(self) -> None:
        """The session is over. No answer comes after this."""
        self.closed = True
        self._estimator.withdraw(self)


class Estimator:
    """The queue before the model: at most one question a session waits, in the order in which sessions asked."""

    def __init__(self, model: EndModel, meter: EstimatorMeter) -> None:
        """Make an estimator for the running event loop."""
        self._model = model
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="end-of-turn")
        self._waiting: dict[Desk, _Job] = {}
        self._busy = False
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many questions wait for the model."""
        return len(self._waiting)

    def open(self) -> Desk:
        """A place for one session."""
        return Desk(self)

    def ask(self, desk: Desk, pcm: bytes, quiet_samples: int, answer: Callable[[float], None]) -> None:
        """See `Desk.ask`."""
        if desk.closed or self._closed:
            return
        self._meter.asked()
        if desk in self._waiting:
            self._meter.dropped("replaced")
        self._waiting[desk] = _Job(pcm, quiet_samples, answer, self._loop.time())
        self._next()

    def withdraw(self, desk: Desk) -> None:
        """See `Desk.withdraw`."""
        if self._waiting.pop(desk, None) is not None:
            self._meter.dropped("over")

    async def close(self) -> None:
        """Take no more questions, and end the thread; what it works on is waited for, 40 ms or so."""
        self._closed = True
        self._waiting.clear()
        await asyncio.to_thread(self._thread.shutdown)

    def _next(self) -> None:
        while self._waiting and not self._busy:
            desk = next(iter(self._waiting))
            job = self._waiting.pop(desk)
            if self._loop.time() - job.asked_at > WAITS_AT_MOST_S:
                self._meter.dropped("late")
                continue
            self._busy = True
            judging = self._loop.run_in_executor(self._thread, self._model.complete, job.pcm, job.quiet_samples)
            judging.add_done_callback(lambda done, desk=desk, job=job: self._judged(desk, job, done))

    def _judged(self, desk: Desk, job: _Job, judging: asyncio.Future[float]) -> None:
        self._busy = False
        if judging.cancelled() or judging.exception() is not None:
            # The silence limit decides such a turn; a model that fails each time shows in the count.
            self._meter.dropped("failed")
        else:
            self._meter.answered(self._loop.time() - job.asked_at)
            if not desk.closed:
                job.answer(judging.result())
        self._next()
