"""Which attempts are alive, by the newest state: pure. What stages may act on is decided here."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from natter_proto import Attempt, State

ItemT = TypeVar("ItemT")

EARLY_MAX_S: Final = 0.5
"""A frame of an attempt that no state has named yet waits this long for it."""
EARLY_MAX_FRAMES: Final = 512

AttemptKey = tuple[int, int]
"""Turn and attempt; a later one is greater."""


@dataclass(frozen=True, slots=True)
class _Early(Generic[ItemT]):
    key: AttemptKey
    at: float
    item: ItemT


class AttemptGate(Generic[ItemT]):
    """Lets frames of living attempts through, holds back those ahead of their state, drops the rest.

    Over `EARLY_MAX_FRAMES` the oldest that is held back is dropped.
    """

    def __init__(self, dropped: Callable[[str], None]) -> None:
        """`dropped` is told the reason for each frame that is dropped."""
        self._dropped = dropped
        self._number = 0
        self._term = 0
        self._newest: AttemptKey = (0, 0)
        self._living: dict[AttemptKey, Attempt] = {}
        self._early: deque[_Early[ItemT]] = deque()

    def living(self, key: AttemptKey) -> Attempt | None:
        return self._living.get(key)

    def admit(self, key: AttemptKey, item: ItemT, now: float) -> bool:
        """True: act on it now. False: it is held back or dropped."""
        if key in self._living:
            return True
        if key > self._newest:
            self._expire(now)
            if len(self._early) >= EARLY_MAX_FRAMES:
                self._early.popleft()
                self._dropped("too_many_early")
            self._early.append(_Early(key, now, item))
        else:
            self._dropped("dead_attempt")
        return False

    def is_news(self, state: State) -> bool:
        """Whether `state` is newer than what is known."""
        return (state.header.term, state.number) > (self._term, self._number)

    def on_state(self, state: State, now: float) -> list[ItemT]:
        """Take over a newer state; returns the frames that it sets free, in order."""
        if not self.is_news(state):
            return []
        self._term, self._number = state.header.term, state.number
        self._living = {(attempt.turn, attempt.attempt): attempt for attempt in state.attempts}
        self._newest = max([self._newest, *self._living])
        self._expire(now)
        free = [early.item for early in self._early if early.key in self._living]
        waiting = [early for early in self._early if early.key > self._newest]
        for _ in range(len(self._early) - len(free) - len(waiting)):
            self._dropped("dead_attempt")
        self._early = deque(waiting)
        return free

    def _expire(self, now: float) -> None:
        while self._early and now - self._early[0].at > EARLY_MAX_S:
            self._early.popleft()
            self._dropped("no_state")
