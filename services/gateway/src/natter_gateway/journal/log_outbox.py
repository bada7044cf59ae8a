"""Which batch of a session's journal goes to JetStream next, and when it is sent again: pure.

One batch is in flight. What was sent stays until it is acknowledged, for it may be in the stream already. A refused
sequence is looked into: the newest batch of the subject says whether another gateway writes there.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from natter_common.backoff import Backoff

MAX_BATCHES: Final = 240
"""A minute of them."""
MAX_BYTES: Final = 4 * 1024 * 1024
DEADLINE_MS: Final = 2_000.0
"""For one try to publish. JetStream without a leader says nothing for some seconds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries `first` to `last`, encoded. Batches of a term are numbered from 1."""

    number: int
    first: int
    last: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """The newest batch that the stream has of a session."""

    sequence: int
    term: int
    producer: str
    number: int


class LogOutbox:
    """Batches of one term of a session, written by one gateway (`producer`)."""

    def __init__(self, term: int, producer: str, last_sequence: int = 0, backoff: Backoff | None = None) -> None:
        """`last_sequence`: of the newest batch that the stream has of this session; 0 where it has none."""
        self._term = term
        self._producer = producer
        self._backoff = backoff or Backoff(0.25, 1.0)
        self._waiting: deque[Batch] = deque()
        self._bytes = 0
        self._tried = False
        """The first in the queue was sent, and may be in the stream."""
        self._in_flight = False
        self._not_before_ms = 0.0
        self._lost: tuple[int, int] | None = None
        self.last_sequence = last_sequence
        """Of the newest batch that is known to be in the stream."""
        self.superseded = False
        """Another gateway writes the session's journal: nothing is sent any more."""

    def __len__(self) -> int:
        """Batches that are not acknowledged."""
        return len(self._waiting)

    @property
    def due_ms(self) -> float | None:
        """When `next` may have something to send; None: not before something happens."""
        return None if self._in_flight or self.superseded or not self._waiting else self._not_before_ms

    def put(self, batch: Batch) -> int:
        """Keep a batch until it is acknowledged; returns how many entries had to go for it, the oldest first."""
        self._waiting.append(batch)
        self._bytes += len(batch.payload)
        lost = 0
        while len(self._waiting) > MAX_BATCHES or self._bytes > MAX_BYTES:
            lost += self._drop_oldest()
        return lost

    def _drop_oldest(self) -> int:
        # Of the one that was sent it is not known whether it is in the stream.
        index = 1 if self._tried and len(self._waiting) > 1 else 0
        batch = self._waiting[index]
        del self._waiting[index]
        self._bytes -= len(batch.payload)
        first = batch.first if self._lost is None else min(self._lost[0], batch.first)
        self._lost = (first, batch.last)
        return batch.last - batch.first + 1

    def take_lost(self) -> tuple[int, int] | None:
        """The first and the last entry that were dropped since this was asked; None: none was."""
        lost, self._lost = self._lost, None
        return lost

    def next(self, now_ms: float) -> Batch | None:
        """The batch to send now, with `last_sequence` as the one expected; one of the `on_` methods is called then."""
        due_ms = self.due_ms
        if due_ms is None or now_ms < due_ms:
            return None
        self._in_flight = self._tried = True
        return self._waiting[0]

    def on_acknowledged(self, sequence: int) -> None:
        """It is in the stream, now or since an earlier try."""
        self._in_flight = self._tried = False
        self._bytes -= len(self._waiting.popleft().payload)
        self.last_sequence = sequence
        self._backoff.reset()
        self._not_before_ms = 0.0

    def on_failed(self, now_ms: float) -> None:
        """No answer in time, or none that says what became of it: it is sent again."""
        self._in_flight = False
        self._not_before_ms = now_ms + self._backoff.next_s() * 1000

    def on_refused(self, found: Found | None, now_ms: float) -> None:
        """The stream's newest batch of this session is not the one expected, but `found` (None: it has none)."""
        if found is None:
            # Purged, or the stream was made anew.
            self.last_sequence = 0
            self.on_failed(now_ms)
        elif found.term > self._term or (found.term == self._term and found.producer != self._producer):
            self._in_flight = False
            self.superseded = True
        elif found.term == self._term and found.number >= self._waiting[0].number:
            # Its acknowledgement was lost, longer ago than the stream remembers message ids.
            self.on_acknowledged(found.sequence)
        else:
            # The gateway before wrote once more after it was superseded.
            self.last_sequence = found.sequence
            self.on_failed(now_ms)
