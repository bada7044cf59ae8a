"""The journal of one session, as its conductor writes it.

The live path only appends to a list; a task makes batches of it each 250 ms and has them acknowledged by JetStream.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from natter_common.logs import Log
from natter_common.metrics import Metrics
from natter_gateway.journal.codec import MAX_ENTRY_BYTES, Content, encode, encode_settings, kind_of, without_texts
from natter_gateway.journal.log_outbox import DEADLINE_MS, Batch, LogOutbox
from natter_gateway.journal.log_store import LogStore
from natter_gateway.journal.notes import EntriesLost, Note, Opened, SessionOver
from natter_gateway.journal.seal import Seal
from natter_gateway.journal.streams import SequenceRefusedError, StoreUnavailableError
from natter_gateway.turns import actions as act
from natter_gateway.turns import events as ev
from natter_gateway.turns.machine import VERSION
from natter_proto import Header, LogBatch, LogEntry

BATCH_INTERVAL_S: Final = 0.25
CLOSE_DEADLINE_S: Final = 8.0
"""So long after the end of a session its journal may take to be acknowledged. A stream without a leader takes nothing
for about 5 s."""
_MAX_PENDING: Final = 4_096
"""Entries that no batch was made of yet: over it, new ones are lost, and counted."""
_BATCH_BYTES: Final = 128 * 1024
_STARTS: Final = (act.StartAttempt, act.StartVerbatim, act.AdoptGuess)

_Pending = tuple[int, int, int, Content]


class Journal:
    """One term of one session. `run` has to be running for anything to leave."""

    def __init__(
        self,
        session: str,
        opened: Opened,
        store: LogStore,
        metrics: Metrics,
        log: Log,
        *,
        mic_sample: Callable[[], int],
        seal: Seal,
        last_sequence: int = 0,
    ) -> None:
        """`seal`: for texts of a bot that does not record them.

        `last_sequence`: of the newest batch that an earlier term left in the stream; 0 for a new session."""
        self.on_superseded: Callable[[], None] = lambda: None
        """Called once when another gateway writes this session's journal: nothing more is written."""
        self._session = session
        self._opened = opened
        self._store = store
        self._metrics = metrics
        self._log = log
        self._mic_sample = mic_sample
        self._seal = None if opened.record == "text" else seal
        self._loop = asyncio.get_running_loop()
        self._outbox = LogOutbox(opened.term, opened.gateway, last_sequence)
        self._pending: list[_Pending] = []
        self._number = 0
        self._batches = 0
        self._reply_from_sequence: int | None = None
        self._lost: tuple[int, int] | None = None
        self._noted = asyncio.Event()
        self._closing = asyncio.Event()
        self._work = asyncio.Event()
        self._tried = asyncio.Event()
        self._cut_all = False

    @property
    def last_entry(self) -> int:
        """Number of the newest entry, wherever it is by now."""
        return self._number

    @property
    def sequence(self) -> int:
        """Of the newest batch that is known to be in the stream."""
        return self._outbox.last_sequence

    @property
    def read_from_sequence(self) -> int:
        """Whoever knows all turns that are over finds the rest behind this sequence of the stream."""
        return self.sequence if self._reply_from_sequence is None else self._reply_from_sequence

    # --- The live path

    def begin(self) -> None:
        """The first entry; before anything else is noted. May be called again."""
        if not self._number:
            self.note(self._opened)

    def note_step(self, event: ev.Event, actions: Sequence[act.Action], now_ms: float) -> None:
        """The machine was told something, and decided. `now_ms` as the machine was told it: of whole microseconds."""
        self.note_event(event, now_ms, self._mic_sample())
        if actions:
            self.note_actions(actions, now_ms, self._mic_sample())

    def note_event(self, event: ev.Event, now_ms: float, mic_sample: int) -> None:
        """An input of the turn machine."""
        self._append(event, round(now_ms * 1000), mic_sample)

    def note_actions(self, actions: Sequence[act.Action], now_ms: float, mic_sample: int) -> None:
        """What it decided on that."""
        at_us = round(now_ms * 1000)
        for action in actions:
            if isinstance(action, _STARTS):
                self._reply_from_sequence = self._outbox.last_sequence
            elif isinstance(action, act.EndAttempt):
                self._reply_from_sequence = None
            self._append(action, at_us, mic_sample)

    def note(self, note: Note) -> None:
        """Something beside."""
        self._append(note, int(self._loop.time() * 1e6), self._mic_sample())

    def _append(self, content: Content, at_us: int, mic_sample: int) -> None:
        self._number += 1
        if len(self._pending) < _MAX_PENDING:
            self._pending.append((self._number, at_us, mic_sample, content))
            self._noted.set()
        else:
            first = self._number if self._lost is None else self._lost[0]
            self._lost = (first, self._number)
            self._metrics.drop("log", "too_many_entries")

    def close(self, reason: str, turns: int) -> None:
        """The session is over: `run` returns once all is acknowledged, or a deadline has passed."""
        if not self._closing.is_set():
            opened = self._opened
            self.note(SessionOver(reason, opened.bot, turns, opened.started_unix_ms))
            self.stop()

    def stop(self) -> None:
        """The session is not this gateway's any more: `run` returns once what was noted is acknowledged."""
        self._closing.set()
        self._noted.set()

    async def settle(self) -> None:
        """Return once all that was noted is in the stream, or can't get there. To be called with a deadline."""
        while self._pending:
            self._cut_batch()
        while len(self._outbox) and self._store.ready and not self._outbox.superseded:
            self._tried.clear()
            await self._tried.wait()

    # --- Behind it

    async def run(self) -> None:
        """Make batches and have them acknowledged, until `close` or until another gateway writes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cut(), name=f"journal-cut-{self._session}")
            tasks.create_task(self._send(), name=f"journal-send-{self._session}")

    async def _cut(self) -> None:
        while not (self._closing.is_set() and not self._pending):
            await self._noted.wait()
            self._noted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_INTERVAL_S):
                    await self._closing.wait()
            while self._pending:
                self._cut_batch()
        self._cut_all = True
        self._work.set()

    def _cut_batch(self) -> None:
        for lost in (self._outbox.take_lost(), self._lost):
            if lost is not None:
                self._number += 1
                at_us = int(self._loop.time() * 1e6)
                self._pending.append((self._number, at_us, self._mic_sample(), EntriesLost(*lost)))
        self._lost = None
        entries: list[LogEntry] = []
        settings, size = b"", 0
        for number, at_us, mic_sample, content in self._pending:
            data = self._encode(content)
            if entries and size + len(data) > _BATCH_BYTES:
                break
            size += len(data)
            if isinstance(content, Opened):
                settings = encode_settings(content.settings)
            entries.append(
                LogEntry(number=number, mic_sample=mic_sample, monotonic_us=at_us, kind=kind_of(content), content=data)
            )
        del self._pending[: len(entries)]
        self._batches += 1
        header = Header(
            session=self._session, term=self._opened.term, producer=self._opened.gateway, number=self._batches
        )
        frame = LogBatch(header=header, machine_version=VERSION, settings=settings.decode(), entries=entries)
        batch = Batch(self._batches, entries[0].number, entries[-1].number, frame.SerializeToString())
        lost_entries = self._outbox.put(batch)
        if lost_entries:
            self._metrics.frames_dropped.labels("log", "outbox_full").inc(lost_entries)
        self._work.set()

    def _encode(self, content: Content) -> bytes:
        data = encode(content, self._seal)
        return data if len(data) <= MAX_ENTRY_BYTES else encode(without_texts(content))

    async def _send(self) -> None:
        give_up_at_s = float("inf")
        while not self._outbox.superseded:
            batch = self._outbox.next(self._now_ms())
            if batch is not None:
                await self._publish(batch)
                self._tried.set()
                continue
            if self._cut_all:
                give_up_at_s = min(give_up_at_s, self._loop.time() + CLOSE_DEADLINE_S)
                if not len(self._outbox) or not self._store.ready or self._loop.time() >= give_up_at_s:
                    break
            due_ms = self._outbox.due_ms
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if due_ms is None else due_ms / 1000):
                    await self._work.wait()
            self._work.clear()
        if self._outbox.superseded:
            self._log.warning("another gateway writes this session's journal", term=self._opened.term)
            self.stop()
            self.on_superseded()
        elif len(self._outbox):
            self._log.warning("the end of the journal is lost", batches=len(self._outbox))

    async def _publish(self, batch: Batch) -> None:
        opened = self._opened
        message_id = f"{self._session}-{opened.term}-{opened.gateway}-{batch.number}"
        try:
            sequence = await self._store.append(
                self._session, batch.payload, message_id, self._outbox.last_sequence, DEADLINE_MS / 1000
            )
            self._outbox.on_acknowledged(sequence)
        except SequenceRefusedError:
            await self._look()
        except StoreUnavailableError as error:
            self._log.debug("journal not acknowledged", batch=batch.number, reason=str(error))
            self._outbox.on_failed(self._now_ms())

    async def _look(self) -> None:
        """The sequence was refused: who wrote?"""
        try:
            found = await self._store.newest(self._session)
        except StoreUnavailableError:
            self._outbox.on_failed(self._now_ms())
        else:
            self._outbox.on_refused(found, self._now_ms())

    def _now_ms(self) -> float:
        return self._loop.time() * 1000
