"""The engine's queue and its process, with a child that recognizes nothing, and with the real one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import pytest

from natter_stt.local.engine import MAX_WAITING, Engine, Job
from natter_stt.local.segmenter import JobKind
from natter_stt.provider import SttError

Say = Callable[[str], npt.NDArray[np.int16]]

# Says what it got: how many bytes, and how many jobs before. Dies when it gets one byte.
ECHO = """
import struct, sys, json
print('{"ready": true}', flush=True)
jobs = 0
while head := sys.stdin.buffer.read(8):
    number, count = struct.unpack("<II", head)
    pcm = sys.stdin.buffer.read(count)
    if count == 1:
        sys.exit(3)
    print(json.dumps({"job": number, "text": f"{count} {jobs}"}), flush=True)
    jobs += 1
"""


@asynccontextmanager
async def engine_of(code: str) -> AsyncIterator[Engine]:
    engine = Engine((sys.executable, "-c", code))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def in_order(engine: Engine, *kinds: JobKind) -> list[int]:
    """Ask for jobs of these kinds at once; in which order were they worked on, by their place in `kinds`?"""
    tasks = [asyncio.create_task(engine.transcribe(Job(kind, bytes(2 * n + 2)))) for n, kind in enumerate(kinds)]
    answers = [await task for task in tasks]
    return [int(text.split()[0]) // 2 - 1 for text in sorted(answers, key=lambda text: int(text.split()[1]))]


async def test_finals_go_first_then_dips_then_interims() -> None:
    async with engine_of(ECHO) as engine:
        kinds = (JobKind.INTERIM, JobKind.INTERIM, JobKind.DIP, JobKind.FINAL, JobKind.DIP, JobKind.FINAL)
        # The first finds the engine free and goes at once.
        assert await in_order(engine, *kinds) == [0, 3, 5, 2, 4, 1]


async def test_a_waiting_job_that_becomes_a_final_goes_first() -> None:
    async with engine_of(ECHO) as engine:
        promoted = Job(JobKind.INTERIM, bytes(4))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.transcribe(Job(JobKind.FINAL, bytes(2))))
            dip = tasks.create_task(engine.transcribe(Job(JobKind.DIP, bytes(6))))
            asked = tasks.create_task(engine.transcribe(promoted))
            await asyncio.sleep(0)
            promoted.kind = JobKind.FINAL
        assert (asked.result(), dip.result()) == ("4 1", "6 2")


async def test_cancelled_jobs_leave_the_queue_and_their_answers_reach_nobody() -> None:
    async with engine_of(ECHO) as engine:
        running = asyncio.create_task(engine.transcribe(Job(JobKind.INTERIM, bytes(2))))
        waiting = asyncio.create_task(engine.transcribe(Job(JobKind.INTERIM, bytes(4))))
        last = asyncio.create_task(engine.transcribe(Job(JobKind.INTERIM, bytes(6))))
        await asyncio.sleep(0)
        running.cancel()
        waiting.cancel()
        assert await last == "6 1"
        assert await engine.transcribe(Job(JobKind.FINAL, bytes(8))) == "8 2"


async def test_a_child_that_dies_is_started_again() -> None:
    async with engine_of(ECHO) as engine:
        first = engine.pid
        with pytest.raises(SttError, match="died over"):
            await engine.transcribe(Job(JobKind.FINAL, bytes(1)))
        assert await engine.transcribe(Job(JobKind.FINAL, bytes(2))) == "2 0"
        assert engine.pid != first
        assert engine.restarts == 2


async def test_a_child_that_does_not_start_is_told() -> None:
    with pytest.raises(SttError, match="did not start"):
        async with engine_of("raise SystemExit(1)"):
            pass


async def test_too_many_waiting_fail_loudly() -> None:
    async with engine_of(ECHO) as engine:
        jobs = [asyncio.create_task(engine.transcribe(Job(JobKind.FINAL, bytes(2)))) for _ in range(MAX_WAITING + 2)]
        done = await asyncio.gather(*jobs, return_exceptions=True)
        failed = [error for error in done if isinstance(error, SttError)]
        assert [error.code for error in failed] == ["overloaded"]


async def test_the_real_model_reads_speech(say: Say) -> None:
    engine = Engine()
    await engine.start()
    try:
        text = await engine.transcribe(Job(JobKind.FINAL, say("Please remind me to call my mother.").tobytes()))
        assert text == "Please remind me to call my mother."
        assert await engine.transcribe(Job(JobKind.FINAL, b"")) == ""
    finally:
        await engine.close()
