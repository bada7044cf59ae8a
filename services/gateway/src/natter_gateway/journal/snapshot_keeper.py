"""Writes one session's snapshot behind the live path: at turn borders, the newest, by compare-and-set."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from natter_common.backoff import Backoff
from natter_common.logs import Log
from natter_gateway.journal.snapshot import Snapshot, encode
from natter_gateway.journal.snapshot_box import SnapshotBox
from natter_gateway.journal.snapshot_store import SnapshotStore
from natter_gateway.journal.streams import SequenceRefusedError, StoreUnavailableError

REMOVE_DEADLINE_S: Final = 8.0
"""A stream without a leader takes nothing for about 5 s."""


class SnapshotKeeper:
    """Of one session, in one term. `run` has to be running for anything to be written."""

    def __init__(
        self,
        session: str,
        term: int,
        gateway: str,
        store: SnapshotStore,
        take: Callable[[], Snapshot],
        log: Log,
        *,
        revision: int = 0,
    ) -> None:
        """`take` says where the session stands now; `revision` is of the snapshot that is there already."""
        self.on_superseded: Callable[[], None] = lambda: None
        """Called once when another gateway has the session: nothing more is written."""
        self._session = session
        self._term = term
        self._store = store
        self._take = take
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._box = SnapshotBox(term, gateway, revision)
        self._work = asyncio.Event()
        self._wrote = asyncio.Event()
        self._tried = revision > 0
        self._removing = False
        self._stopping = False

    def want(self) -> None:
        """A turn began or ended. Never waits."""
        self._box.want()
        self._work.set()

    def remove(self) -> None:
        """The session is over: `run` takes its snapshot away and returns."""
        self._removing = self._stopping = True
        self._work.set()

    def stop(self) -> None:
        """The session is not this gateway's any more: `run` returns and leaves the snapshot."""
        self._stopping = True
        self._work.set()

    async def settle(self) -> None:
        """Return once the newest is written, or can't be. To be called with a deadline."""
        while self._store.ready and not self._box.settled:
            self._wrote.clear()
            await self._wrote.wait()

    async def run(self) -> None:
        """Write until told to stop."""
        while not self._stopping and not self._box.superseded:
            if self._box.begin(self._now_ms()):
                await self._write()
                self._wrote.set()
                continue
            due_ms = self._box.due_ms
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if due_ms is None else due_ms / 1000):
                    await self._work.wait()
            self._work.clear()
        if self._box.superseded:
            self._log.warning("another gateway has this session", term=self._term)
            self.on_superseded()
        elif self._removing and self._tried:
            await self._remove()

    async def _write(self) -> None:
        self._tried = True
        try:
            self._box.on_written(await self._store.write(self._session, encode(self._take()), self._box.revision))
        except SequenceRefusedError:
            await self._look()
        except StoreUnavailableError as error:
            self._log.debug("snapshot not written", reason=str(error))
            self._box.on_failed(self._now_ms())

    async def _look(self) -> None:
        """The revision was refused: who wrote?"""
        try:
            found = await self._store.holder(self._session)
        except StoreUnavailableError:
            self._box.on_failed(self._now_ms())
        else:
            self._box.on_refused(found, self._now_ms())

    async def _remove(self) -> None:
        backoff = Backoff(0.25, 1.0)
        try:
            async with asyncio.timeout(REMOVE_DEADLINE_S):
                removed = await self._is_removed()
                while not removed:
                    await asyncio.sleep(backoff.next_s())
                    removed = await self._is_removed()
        except TimeoutError:
            self._log.warning("the snapshot stays until its time limit: JetStream did not answer")

    async def _is_removed(self) -> bool:
        """Whether nothing of this gateway's is there any more."""
        try:
            try:
                await self._store.remove(self._session, self._box.revision)
            except SequenceRefusedError:
                found = await self._store.holder(self._session)
                if found is not None and not found.removed:
                    self._box.on_refused(found, self._now_ms())
                    return self._box.superseded
        except StoreUnavailableError:
            return False
        return True

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
