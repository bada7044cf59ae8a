"""One session's connection to a vendor that listens to a stream: opened early, kept, watched, replaced, reopened."""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter

from natter_common.backoff import Backoff
from natter_common.providers import Trouble
from natter_stt.exchange import Message, Step
from natter_stt.provider import Emit, SttError, first_error
from natter_stt.recognition import Recognition

CONNECT_S: Final = 2.0
# Somebody speaks: a new connection has to be there so soon, or another provider takes over.
RECONNECT_S: Final = 0.5
# A message that the vendor's side does not take.
WRITE_S: Final = 1.0
# Replaced at the first quiet moment after so long; the spread keeps sessions out of step.
REPLACE_AFTER_S: Final = 45 * 60.0
_REPLACE_SPREAD: Final = 0.2


class Link(Protocol):
    """An open connection to a vendor, through its SDK. What is said over it is known here, when to say it is not."""

    async def send(self, step: Step) -> None:
        """Send audio or a signal; raises `SttError`."""
        ...

    async def receive(self) -> Message:
        """The next message; raises `SttError`, also when the vendor closes."""
        ...


class OpenLink(Protocol):
    """Opens a connection."""

    def __call__(self) -> AbstractAsyncContextManager[Link]:
        """Entering raises `SttError`; leaving ends the connection within half a second, at once after an error."""
        ...


class Connections:
    """What the streams of one provider share: metrics, and the ends of attempts to connect that took too long."""

    def __init__(self, provider: str, registry: CollectorRegistry) -> None:
        name = provider.replace("-", "_")
        self._events = Counter(
            f"natter_stt_{name}_connections",
            "Connections opened, refused, lost while quiet (idle) or while somebody spoke (busy), replaced by age",
            ("event",),
            registry=registry,
        )
        self._dropped = Counter(
            f"natter_stt_{name}_dropped_samples",
            "Samples that were dropped before there was a connection to send them over",
            registry=registry,
        )
        self._abandoned: set[asyncio.Task[None]] = set()

    def count(self, event: str) -> None:
        """Something happened to a connection."""
        self._events.labels(event).inc()

    def dropped(self, samples: int) -> None:
        """So many samples were dropped."""
        self._dropped.inc(samples)

    async def enter(self, context: AbstractAsyncContextManager[Link], within_s: float, vendor: str) -> Link:
        """Enter `context`; raises `SttError`, also when it takes longer.

        An SDK may go on for many seconds with a cancelled handshake that the other side does not answer: that is not
        waited for here, but in `close`.
        """
        task = asyncio.ensure_future(context.__aenter__())
        try:
            done, _ = await asyncio.wait({task}, timeout=within_s)
        except asyncio.CancelledError:
            self._abandon(task, context)
            raise
        if not done:
            self._abandon(task, context)
            raise SttError(Trouble.UNAVAILABLE, f"{vendor} can't be reached in time.")
        return task.result()

    def _abandon(self, task: asyncio.Task[Link], context: AbstractAsyncContextManager[Link]) -> None:
        ending = asyncio.get_running_loop().create_task(_end(task, context), name="stt-abandoned")
        self._abandoned.add(ending)
        ending.add_done_callback(self._abandoned.discard)

    async def close(self) -> None:
        """Wait for attempts that were given up, 1 s at most."""
        if self._abandoned:
            await asyncio.wait(set(self._abandoned), timeout=1.0)


async def _end(task: asyncio.Task[Link], context: AbstractAsyncContextManager[Link]) -> None:
    """Cancel an attempt to connect. It may have succeeded meanwhile: then the connection is ended."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        await context.__aexit__(None, None, None)


class _AgedError(Exception):
    """The connection is to be replaced."""


class SocketStream:
    """An `SttStream`: carries out what a `Recognition` wants over a `Link`."""

    def __init__(
        self,
        recognition: Recognition,
        open_link: OpenLink,
        emit: Emit,
        connections: Connections,
        *,
        replace_after_s: float = REPLACE_AFTER_S,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        """Nothing is opened before `run`.

        Args:
            recognition: the session's state.
            open_link: opens a connection.
            emit: takes transcripts.
            connections: shared with the provider's other streams.
            replace_after_s: the age at which a connection is replaced when all is quiet.
            reconnect_s: how long opening again may take while somebody speaks.
        """
        self._core = recognition
        self._open_link = open_link
        self._emit = emit
        self._connections = connections
        self._replace_after_s = replace_after_s * random.uniform(1 - _REPLACE_SPREAD, 1)
        self._reconnect_s = reconnect_s
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._dropped = 0

    def feed(self, first_sample: int, pcm: bytes) -> None:
        self._core.feed(first_sample, pcm, self._loop.time())
        self._wake.set()

    def speech(self, from_sample: int, *, speaking: bool) -> None:
        self._core.speech(from_sample, speaking=speaking, now=self._loop.time())
        self._tell()

    def finalize(self, finalize_id: int, through_sample: int) -> None:
        self._core.finalize(finalize_id, through_sample, self._loop.time())
        self._tell()

    async def run(self) -> None:
        """Keep a connection and use it, until cancelled."""
        backoff = Backoff()
        retried_at = -1  # how many answers there were when a connection was opened again in a hurry
        hurry = False
        while True:
            try:
                await self._connect_and_talk(self._reconnect_s if hurry else CONNECT_S, backoff)
                hurry = False
            except SttError as error:
                self._connections.count("refused" if not self._core.connected else "busy" if self._core.due else "idle")
                was_connected = self._core.connected
                self._core.lost()
                if self._core.due:
                    # One try, and only for a connection that was there: whoever can't connect at all is given up.
                    if not error.retryable or not was_connected or retried_at == self._core.answers:
                        raise
                    retried_at, hurry = self._core.answers, True
                    continue
                hurry = False
                await self._rest(None if not error.retryable else backoff.next_s())
                if not error.retryable:
                    raise

    async def _connect_and_talk(self, within_s: float, backoff: Backoff) -> None:
        """Raises `SttError`; returns when the connection is to be replaced."""
        link_context = self._open_link()
        link = await self._connections.enter(link_context, within_s, self._core.vendor)
        try:
            self._connections.count("opened")
            self._core.opened(self._loop.time())
            backoff.reset()
            await self._talk(link)
        except SttError as error:
            await link_context.__aexit__(type(error), error, error.__traceback__)
            raise
        except BaseException:
            await link_context.__aexit__(None, None, None)
            raise
        self._connections.count("replaced")
        self._core.lost()
        await link_context.__aexit__(None, None, None)

    async def _talk(self, link: Link) -> None:
        troubles: list[SttError] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(link), name="stt-read")
                tasks.create_task(self._write(link), name="stt-write")
                tasks.create_task(self._watch(), name="stt-watch")
        except* _AgedError:
            pass
        except* SttError as group:
            troubles.append(first_error(group))
        if troubles:
            raise troubles[0]

    async def _read(self, link: Link) -> None:
        while True:
            message = await link.receive()
            self._core.message(message, self._loop.time())
            self._tell()

    async def _write(self, link: Link) -> None:
        while True:
            step = self._core.next_step(self._loop.time())
            if step is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                async with asyncio.timeout(WRITE_S):
                    await link.send(step)
            except TimeoutError:
                raise SttError(Trouble.STALLED, f"{self._core.vendor} does not take the audio.") from None
            self._core.sent(step, self._loop.time())
            self._tell()

    async def _watch(self) -> None:
        """Let time pass, and end a connection that has grown old."""
        replace_at = self._loop.time() + self._replace_after_s
        while True:
            await asyncio.sleep(self._core.tick_s)
            now = self._loop.time()
            try:
                self._core.tick(now)
            finally:
                self._tell()
            if now >= replace_at and self._core.quiet:
                raise _AgedError

    async def _rest(self, seconds: float | None) -> None:
        """Wait before the next try, or (None) for ever; not longer than until somebody speaks."""
        try:
            async with asyncio.timeout(seconds):
                while not self._core.due:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return

    def _tell(self) -> None:
        for transcript in self._core.take():
            self._emit(transcript)
        if self._core.lost_samples != self._dropped:
            self._connections.dropped(self._core.lost_samples - self._dropped)
            self._dropped = self._core.lost_samples
        self._wake.set()
