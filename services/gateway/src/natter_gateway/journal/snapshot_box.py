"""When a session's snapshot is written, and which: pure. The newest wins; one write is under way.

Each write names the revision that it replaces (compare-and-set), so that of two gateways one notices.
"""

from dataclasses import dataclass
from typing import Final

from natter_common.backoff import Backoff

DEADLINE_MS: Final = 2_000.0
"""For one try to write."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose snapshot is in the bucket."""

    revision: int
    term: int
    gateway: str
    removed: bool = False
    """The session is over: a marker stands where the snapshot was."""


class SnapshotBox:
    """Of one session, in one term, at one gateway."""

    def __init__(self, term: int, gateway: str, revision: int = 0, backoff: Backoff | None = None) -> None:
        """`revision`: of the snapshot that is there; 0 where none is."""
        self._term = term
        self._gateway = gateway
        self._backoff = backoff or Backoff(0.25, 1.0)
        self._wanted = False
        self._under_way = False
        self._not_before_ms = 0.0
        self.revision = revision
        self.superseded = False
        """Another gateway has the session, or it is over elsewhere: nothing is written any more."""

    @property
    def settled(self) -> bool:
        """The newest is written, or never will be."""
        return self.superseded or not (self._wanted or self._under_way)

    @property
    def due_ms(self) -> float | None:
        """When `begin` may want a write; None: not before something happens."""
        return self._not_before_ms if self._wanted and not self._under_way and not self.superseded else None

    def want(self) -> None:
        """There is something new to write."""
        self._wanted = True

    def begin(self, now_ms: float) -> bool:
        """Whether to write now what is newest, over `revision`; one of the `on_` methods is called then."""
        due_ms = self.due_ms
        if due_ms is None or now_ms < due_ms:
            return False
        self._wanted, self._under_way = False, True
        return True

    def on_written(self, revision: int) -> None:
        self._under_way = False
        self.revision = revision
        self._backoff.reset()
        self._not_before_ms = 0.0

    def on_failed(self, now_ms: float) -> None:
        """No answer in time, or none that says what became of it: the newest is written."""
        self._under_way = False
        self._wanted = True
        self._not_before_ms = now_ms + self._backoff.next_s() * 1000

    def on_refused(self, found: Holder | None, now_ms: float) -> None:
        """Not this revision is there, but `found` (None: nothing is)."""
        if found is None:
            self.revision = 0
            self.on_failed(now_ms)
        elif found.removed or found.term > self._term or (found.term == self._term and found.gateway != self._gateway):
            self._under_way = False
            self.superseded = True
        else:
            # Written by this gateway, and its answer was lost.
            self.revision = found.revision
            self.on_failed(now_ms)
