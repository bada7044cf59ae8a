"""What is kept of one session outside of its gateway: its journal and its snapshot, each with a task of its own."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.bots.model import Bot
from natter_gateway.context import ContextState
from natter_gateway.journal.journal import Journal
from natter_gateway.journal.log_store import LogStore
from natter_gateway.journal.notes import Opened
from natter_gateway.journal.seal import Seal, new_key
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.journal.snapshot_keeper import SnapshotKeeper
from natter_gateway.journal.snapshot_store import SnapshotStore, Stored
from natter_gateway.journal.streams import Streams
from natter_gateway.turns.machine import VERSION
from natter_gateway.turns.settings import TurnSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a gateway keeps journals and snapshots."""

    gateway: str
    streams: Streams
    logs: LogStore
    snapshots: SnapshotStore

    @classmethod
    def of(cls, gateway: str, streams: Streams) -> "Stores":
        """Both of them, in these streams."""
        return cls(gateway, streams, LogStore(streams), SnapshotStore(streams, gateway))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a session stands, as its conductor and its microphone know it."""

    turn: int
    context: ContextState
    next_segment_id: int
    mic_sample: int
    words: str
    """In no turn of the context yet."""


class Keeping:
    """Of one session, in one term. Whatever JetStream does, nothing here is ever waited for."""

    def __init__(
        self,
        session: str,
        secret: str,
        bot: Bot,
        settings: TurnSettings,
        stores: Stores,
        metrics: Metrics,
        log: Log,
        *,
        standing: Callable[[], Standing],
        mic_sample: Callable[[], int],
        turn: int = 0,
        taken: Stored | None = None,
    ) -> None:
        """`turn`: the newest one before.

        `taken`: the snapshot with which this gateway took the session over; None for a new session.
        """
        self.on_superseded: Callable[[], None] = lambda: None
        """Called once when another gateway has the session."""
        self._session = session
        self._secret = secret
        self._bot = bot
        self._gateway = stores.gateway
        self._standing = standing
        before = None if taken is None else taken.snapshot
        self._term: Final = 1 if before is None else before.term
        self._started_unix_ms = time.time_ns() // 1_000_000 if before is None else before.started_unix_ms
        opened = Opened(
            bot.id,
            stores.gateway,
            self._term,
            turn,
            bot.record,
            self._started_unix_ms,
            VERSION,
            settings,
        )
        self._journal_key = new_key() if before is None else before.journal_key
        self.journal: Final = Journal(
            session,
            opened,
            stores.logs,
            metrics,
            log,
            mic_sample=mic_sample,
            seal=Seal(self._journal_key),
            last_sequence=0 if before is None else before.journal_sequence,
        )
        self._keeper = SnapshotKeeper(
            session,
            self._term,
            stores.gateway,
            stores.snapshots,
            self._take,
            log,
            revision=0 if taken is None else taken.revision,
        )
        self._superseded = False
        self.journal.on_superseded = self._on_superseded
        self._keeper.on_superseded = self._on_superseded

    def open(self, spawn: Callable[[Coroutine[None, None, None], str], None]) -> None:
        """The session is open: from now on it is kept. `spawn` starts a task that its gateway owns."""
        spawn(self.journal.run(), f"journal-{self._session}")
        spawn(self._keeper.run(), f"snapshot-{self._session}")
        self._keeper.want()

    def turn_border(self) -> None:
        """The context has changed."""
        self._keeper.want()

    async def settle(self, within_s: float) -> None:
        """Return once all that has happened is kept, or the time is over: for a gateway that the session goes to."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.journal.settle()
                await self._keeper.settle()

    def close(self, reason: str) -> None:
        """The session is over: its journal is brought to its end, its snapshot removed."""
        if not self._superseded:
            self.journal.close(reason, self._standing().turn)
            self._keeper.remove()

    def _on_superseded(self) -> None:
        if not self._superseded:
            self._superseded = True
            self.journal.stop()
            self._keeper.stop()
            self.on_superseded()

    def _take(self) -> Snapshot:
        standing = self._standing()
        return Snapshot(
            session=self._session,
            secret=self._secret,
            gateway=self._gateway,
            term=self._term,
            bot=self._bot.id,
            variables=self._bot.chosen,
            started_unix_ms=self._started_unix_ms,
            journal_key=self._journal_key,
            turn=standing.turn,
            context=standing.context,
            next_segment_id=standing.next_segment_id,
            journal_sequence=self.journal.read_from_sequence,
            journal_entry=self.journal.last_entry,
            mic_sample=standing.mic_sample,
            words=standing.words,
        )
