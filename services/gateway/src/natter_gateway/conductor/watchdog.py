"""Notices a caller who has spoken and gets neither voice nor text nor an error: pure.

The turn machine has a deadline for each thing that it waits for. This one waits for what the caller waits for, and so
finds what nobody thought of.
"""

from collections import deque
from enum import Enum
from typing import Final

DEADLINE_MS: Final = 15_000.0
"""Longer than any chain of deadlines that ends in an answer or in words: a recognizer's 5 s and a model's 8 s."""
_REMEMBERED: Final = 60


class Waiting(Enum):
    """What the caller waits for."""

    NOTHING = "nothing"
    TURN_END = "turn end"
    """Speech has stopped, or should have been heard to stop: nothing came of it yet."""
    ANSWER = "answer"
    """The turn is over."""


class Watchdog:
    """One session's. `timeline` holds what happened last, for the log of an incident."""

    def __init__(self) -> None:
        self._waiting = Waiting.NOTHING
        self._since_ms = 0.0
        self._patience_ms = DEADLINE_MS
        self._timeline: deque[tuple[float, str]] = deque(maxlen=_REMEMBERED)

    @property
    def due_ms(self) -> float | None:
        """When to ask `overdue`."""
        return None if self._waiting is Waiting.NOTHING else self._since_ms + self._patience_ms

    def note(self, what: str, now_ms: float) -> None:
        """Something happened: its name, never anybody's words."""
        self._timeline.append((now_ms, what))

    def waits(self, waiting: Waiting, now_ms: float, patience_ms: float = DEADLINE_MS) -> None:
        """The caller waits for something else now; for the same as before, the clock goes on."""
        if waiting is not self._waiting:
            self._waiting, self._since_ms = waiting, now_ms
        self._patience_ms = patience_ms

    def goes_on(self, at_ms: float) -> None:
        """It takes its time, and that was known then: tools run, or text comes."""
        self._since_ms = max(self._since_ms, at_ms)

    def overdue(self, now_ms: float) -> Waiting:
        """What the caller has waited for too long; said once."""
        if self._waiting is Waiting.NOTHING or now_ms < self._since_ms + self._patience_ms:
            return Waiting.NOTHING
        missed, self._waiting = self._waiting, Waiting.NOTHING
        return missed

    def timeline(self, now_ms: float) -> list[str]:
        """What happened last, oldest first, with how long ago."""
        return [f"-{now_ms - at_ms:.0f} ms {what}" for at_ms, what in self._timeline]
