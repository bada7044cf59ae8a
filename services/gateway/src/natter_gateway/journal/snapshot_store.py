"""Snapshots in a JetStream key-value bucket: one a session, written by compare-and-set."""

from dataclasses import dataclass, replace
from typing import Final

from nats.js import api

from natter_gateway.journal.log_store import EXPECTED
from natter_gateway.journal.snapshot import BadSnapshotError, Snapshot, decode, encode
from natter_gateway.journal.snapshot_box import DEADLINE_MS, Holder
from natter_gateway.journal.streams import (
    SequenceRefusedError,
    StoreUnavailableError,
    Streams,
    snapshot_stream,
    snapshot_subject,
)

_DEADLINE_S: Final = DEADLINE_MS / 1000
_OPERATION: Final = "KV-Operation"
_PURGE: Final = {_OPERATION: "PURGE", api.Header.ROLLUP.value: "sub"}


class HeldElsewhereError(RuntimeError):
    """Another gateway has the session, or it is over."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A snapshot, and the revision that a write has to name."""

    snapshot: Snapshot
    revision: int


class SnapshotStore:
    """The snapshots of a realm, as one gateway sees them."""

    def __init__(self, streams: Streams, gateway: str) -> None:
        self._streams = streams
        self._gateway = gateway

    @property
    def ready(self) -> bool:
        """Whether there is a bucket to write to."""
        return self._streams.ready

    @property
    def absent(self) -> bool:
        """Whether there is none for sure, and so no snapshot of anybody's."""
        return self._streams.absent

    async def write(self, session: str, data: bytes, revision: int) -> int:
        """Put an encoded snapshot in the place of `revision` (0: of none); returns its revision.

        Raises `SequenceRefusedError`, `StoreUnavailableError`.
        """
        return await self._streams.append(self._subject(session), data, {EXPECTED: str(revision)}, _DEADLINE_S)

    async def read(self, session: str) -> Stored | None:
        """The snapshot of a session that goes on. Raises `StoreUnavailableError`, `BadSnapshotError`."""
        message = await self._message(session)
        if message is None or _removed(message):
            return None
        return Stored(decode(message.data or b""), message.seq or 0)

    async def holder(self, session: str) -> Holder | None:
        """Whose snapshot is there. Raises `StoreUnavailableError`, also where what is there can't be read."""
        message = await self._message(session)
        if message is None:
            return None
        if _removed(message):
            return Holder(message.seq or 0, 0, "", removed=True)
        try:
            snapshot = decode(message.data or b"")
        except BadSnapshotError as error:
            raise StoreUnavailableError(str(error)) from error
        return Holder(message.seq or 0, snapshot.term, snapshot.gateway)

    async def take_over(self, stored: Stored) -> Stored:
        """Make this gateway the holder of a session, with the next term: of all that have read the same, one succeeds.

        Raises `HeldElsewhereError` where another gateway did, or the session is over by now; `StoreUnavailableError`:
        then it may have succeeded, and who reads again sees which gateway has it.
        """
        taken = replace(stored.snapshot, term=stored.snapshot.term + 1, gateway=self._gateway)
        session = taken.session
        try:
            return Stored(taken, await self.write(session, encode(taken), stored.revision))
        except SequenceRefusedError:
            raise HeldElsewhereError(f"session {session} was taken over by another gateway, or is over") from None

    async def remove(self, session: str, revision: int) -> None:
        """The session is over: a marker takes the place of the snapshot, until the bucket's time limit.

        Raises `SequenceRefusedError`, `StoreUnavailableError`.
        """
        headers = {**_PURGE, EXPECTED: str(revision)}
        await self._streams.append(self._subject(session), b"", headers, _DEADLINE_S)

    async def _message(self, session: str) -> api.RawStreamMsg | None:
        return await self._streams.last(snapshot_stream(self._streams.subjects.realm), self._subject(session))

    def _subject(self, session: str) -> str:
        return snapshot_subject(self._streams.subjects.realm, session)


def _removed(message: api.RawStreamMsg) -> bool:
    """What stands for a key that was deleted, by this or by another client of the bucket."""
    return _OPERATION in (message.headers or {}) or not message.data
