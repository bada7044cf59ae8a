"""The worker's one recognizer, shared by all its sessions: a child process, and who is next."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from natter_stt.local.segmenter import JobKind
from natter_stt.moonshine import HEADER, SINGLE_THREAD_VARIABLE
from natter_stt.provider import SttError

START_TIMEOUT_S: Final = 60.0
ANSWER_TIMEOUT_S: Final = 10.0  # 8 s of audio take 0.35 s; the child is stuck
MAX_WAITING: Final = 256  # bounded by sessions, as a session asks for one interim at a time; over it a job fails
_TRIES: Final = 2


@dataclass(slots=True, eq=False)
class Job:
    """A piece of audio to be transcribed. `kind` may change while it waits."""

    kind: JobKind
    pcm: bytes
    started: bool = False


class _ChildGoneError(Exception):
    """The process ended or does not answer."""


class Engine:
    """Transcribes one job at a time: finals first, then dips, then interims, each in the order they came."""

    def __init__(self, command: tuple[str, ...] | None = None) -> None:
        """Make an engine; `start` starts its process.

        Args:
            command: what to run as the child; the real one by default.
        """
        self._command = command or (sys.executable, "-m", "natter_stt.moonshine")
        self._child: asyncio.subprocess.Process | None = None
        self._busy = False
        self._waiting: list[tuple[Job, asyncio.Future[None]]] = []
        self._numbers = 0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The process that holds the model."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Start the process and wait until its model is loaded.

        Raises:
            SttError: it does not come up.
        """
        # In a session of its own, Ctrl-C and a signal to the worker's group leave it alone: it ends with its stdin.
        self._child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, SINGLE_THREAD_VARIABLE: "1"},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._read_line(self._child)
        except (TimeoutError, _ChildGoneError) as error:
            await self._kill()
            raise SttError("recognizer_unavailable", "the recognizer did not start", retryable=True) from error

    async def close(self) -> None:
        """End the process."""
        await self._kill()

    async def transcribe(self, job: Job) -> str:
        """Have a job transcribed when its turn comes.

        Raises:
            SttError: too many wait, or the process died twice over this job.
        """
        async with self._turn(job):
            job.started = True
            for _ in range(_TRIES):
                try:
                    return await self._ask(job.pcm)
                except _ChildGoneError:
                    self.restarts += 1
                    await self._kill()
                    await self.start()
        raise SttError("recognizer_died", "the recognizer died over a piece of audio", retryable=True)

    @asynccontextmanager
    async def _turn(self, job: Job) -> AsyncGenerator[None]:
        if self._busy:
            if len(self._waiting) >= MAX_WAITING:
                raise SttError("overloaded", "too much speech at once for this worker", retryable=True)
            entry = (job, asyncio.get_running_loop().create_future())
            self._waiting.append(entry)
            try:
                await entry[1]
            except asyncio.CancelledError:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                else:
                    self._next()
                raise
        self._busy = True
        try:
            yield
        finally:
            self._next()

    def _next(self) -> None:
        """Let the most urgent job in, the oldest of its kind; those of cancelled tasks are passed over."""
        while self._waiting:
            entry = min(self._waiting, key=lambda waiting: waiting[0].kind)
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)
                return
        self._busy = False

    async def _ask(self, pcm: bytes) -> str:
        child = self._child
        if child is None or child.stdin is None:
            raise _ChildGoneError
        self._numbers += 1
        number = self._numbers
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                child.stdin.write(HEADER.pack(number, len(pcm)) + pcm)
                await child.stdin.drain()
                while True:
                    answer = await self._read_line(child)
                    # An older number is the answer to a job whose session ended while it was worked on.
                    if answer.get("job") == number:
                        return str(answer.get("text", ""))
        except (TimeoutError, ConnectionError) as error:
            raise _ChildGoneError from error

    @staticmethod
    async def _read_line(child: asyncio.subprocess.Process) -> dict[str, Any]:
        if child.stdout is None:
            raise _ChildGoneError
        try:
            line = await child.stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise _ChildGoneError from error
        return cast("dict[str, Any]", json.loads(line))

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        await child.wait()
