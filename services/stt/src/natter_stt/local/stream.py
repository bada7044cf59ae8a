"""One session's stream of the built-in recognizer: the segmenter's wishes carried out."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import Final, Protocol

from natter_stt.local.engine import Job
from natter_stt.local.segmenter import Action, Cancel, JobKind, Promote, Segmenter, Transcribe
from natter_stt.provider import Emit, SttError, Transcript, first_error

# A request to finalize whose audio does not come is answered with what is there; the conductor gives up after 800 ms.
FINALIZE_PATIENCE_S: Final = 0.5


class Transcriber(Protocol):
    """Makes text of audio."""

    async def transcribe(self, job: Job) -> str:
        """The text; sets `job.started` when it can't be called back any more. Raises `SttError`."""
        ...


@dataclass(slots=True)
class _Started:
    job: Job
    task: asyncio.Task[None]


class LocalStream:
    """An `SttStream`. Methods return at once; transcribing happens in `run`."""

    def __init__(self, engine: Transcriber, segmenter: Segmenter, emit: Emit) -> None:
        self._engine = engine
        self._segmenter = segmenter
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        # At most one interim and the finals asked for; `run` empties it in the next step of the loop.
        self._wanted: deque[Transcribe] = deque()
        self._wake = asyncio.Event()
        self._jobs: dict[int, _Started] = {}
        self._patience: asyncio.TimerHandle | None = None

    def feed(self, first_sample: int, pcm: bytes) -> None:
        self._do(self._segmenter.feed(first_sample, pcm))

    def speech(self, from_sample: int, *, speaking: bool) -> None:
        self._do(self._segmenter.speech(from_sample, speaking=speaking))

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        self._do(self._segmenter.finalize(finalize_id, through_sample))
        if self._segmenter.waiting and self._patience is None:
            self._patience = self._loop.call_later(FINALIZE_PATIENCE_S, self._overdue)

    async def run(self) -> None:
        """Transcribe until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    while self._wanted:
                        wish = self._wanted.popleft()
                        job = Job(wish.kind, wish.pcm)
                        task = tasks.create_task(self._transcribe(wish.job, job), name=f"stt-{wish.kind.name.lower()}")
                        self._jobs[wish.job] = _Started(job, task)
        except* SttError as group:
            raise first_error(group) from group
        finally:
            if self._patience is not None:
                self._patience.cancel()

    def _overdue(self) -> None:
        self._patience = None
        self._do(self._segmenter.overdue())

    async def _transcribe(self, number: int, job: Job) -> None:
        began = self._loop.time()
        try:
            text = await self._engine.transcribe(job)
        finally:
            self._jobs.pop(number, None)
        self._do(self._segmenter.result(number, text, (self._loop.time() - began) * 1_000))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Transcript():
                    self._emit(action)
                case Transcribe():
                    self._wanted.append(action)
                    self._wake.set()
                case Promote(job):
                    self._promote(job)
                case Cancel(job):
                    self._cancel(job)
        if self._patience is not None and not self._segmenter.waiting:
            self._patience.cancel()
            self._patience = None

    def _promote(self, number: int) -> None:
        if number in self._jobs:
            self._jobs[number].job.kind = JobKind.FINAL
        self._wanted = deque(replace(wish, kind=JobKind.FINAL) if wish.job == number else wish for wish in self._wanted)

    def _cancel(self, number: int) -> None:
        self._wanted = deque(wish for wish in self._wanted if wish.job != number)
        started = self._jobs.get(number)
        # One that is being worked on can't be called back, and its answer is ignored.
        if started is not None and not started.job.started:
            started.task.cancel()
