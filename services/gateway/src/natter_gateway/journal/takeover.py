"""Takes a session over whose gateway is gone: its snapshot, and what the journal has behind it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from natter_gateway.journal.keeping import Stores
from natter_gateway.journal.recording import of_batches, with_texts
from natter_gateway.journal.recovery import Recovered, recovered
from natter_gateway.journal.seal import Seal
from natter_gateway.journal.snapshot import Snapshot
from natter_gateway.journal.snapshot_store import Stored
from natter_gateway.journal.streams import SequenceRefusedError


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A session that is this gateway's from now on."""

    stored: Stored
    """The snapshot as it is in the bucket, with this gateway's term."""
    recovered: Recovered
    """The session as its last gateway left it."""


async def take_over(stores: Stores, session: str, knows: Callable[[Snapshot], bool]) -> TakenOver | None:
    """Take a session over; None where there is none, or `knows` refuses who asks.

    Raises `HeldElsewhereError` (another gateway was faster), `StoreUnavailableError` (ask again), `BadSnapshotError`,
    `BadFrameError`.
    """
    if stores.snapshots.absent:
        # Without JetStream nothing is kept, and nothing can come back.
        return None
    before = await stores.snapshots.read(session)
    if before is None or not knows(before.snapshot):
        return None
    stored = await stores.snapshots.take_over(before)
    batches = await stores.logs.read(session, stored.snapshot.journal_sequence)
    recording = with_texts(of_batches(session, batches), Seal(stored.snapshot.journal_key))
    found = recovered(stored.snapshot, recording)
    if not found.over:
        return TakenOver(stored, found)
    # Its gateway died between the journal's end and this.
    with suppress(SequenceRefusedError):
        await stores.snapshots.remove(session, stored.revision)
    return None
