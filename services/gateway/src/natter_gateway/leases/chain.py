"""Which provider of a stage serves a session next: pure, with the time handed in.

A bot names its providers in the order in which it wants them. One that fails is held off for a while, longer each time;
what failed in a way that does not pass by itself is held off for long. When a better one may be tried again, it is.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRST_HOLD_OFF_S: Final = 10.0
LONGEST_HOLD_OFF_S: Final = 120.0
LASTING_HOLD_OFF_S: Final = 60.0
"""For a wrong key, no credit, an unknown voice: somebody has to do something first."""
STEADY_S: Final = 60.0
"""Who served for this long without a fault is trusted as if it had never failed."""
_FREE_FAULTS: Final = 3
_WITHIN_S: Final = 4.0
_PATIENCE_S: Final = 1.0
"""After more than so many faults in so short a time the next try waits for a moment: nobody is asked without end."""


@dataclass(slots=True)
class _Record:
    faults: int = 0
    held_off_until: float = 0.0
    lasting: str | None = None
    """Words of a fault that does not pass by itself."""


class Chain:
    """The providers of one stage of one session."""

    def __init__(self, providers: Sequence[str]) -> None:
        self._records: Final = {name: _Record() for name in providers}
        self._current: str | None = None
        self._since = 0.0
        self._faults_at: deque[float] = deque(maxlen=_FREE_FAULTS + 1)

    def on_leased(self, provider: str, now: float) -> None:
        self._current = provider
        self._since = now

    def on_fault(self, provider: str, words: str, now: float, *, lasting: bool) -> None:
        """`provider` failed while it served, or refused to."""
        record = self._records[provider]
        if provider == self._current and now - self._since > STEADY_S:
            record.faults = 0
        record.faults += 1
        self._faults_at.append(now)
        record.lasting = words if lasting else None
        hold_off_s = min(FIRST_HOLD_OFF_S * 2 ** (record.faults - 1), LONGEST_HOLD_OFF_S)
        record.held_off_until = now + (max(hold_off_s, LASTING_HOLD_OFF_S) if lasting else hold_off_s)
        self._current = None

    def on_lost(self) -> None:
        """The worker is gone, which says nothing of its provider."""
        self._current = None

    def order(self, now: float) -> list[str]:
        """Who to try, in this order: those held off stand behind the others; those that can't serve are left out."""
        free = [name for name, record in self._records.items() if record.held_off_until <= now]
        held_off = [
            name for name, record in self._records.items() if record.held_off_until > now and record.lasting is None
        ]
        return free + sorted(held_off, key=lambda name: self._records[name].held_off_until)

    def pause_s(self, now: float) -> float:
        """How long to wait before the next try."""
        if not self.order(now):
            return min(record.held_off_until for record in self._records.values()) - now
        many = len(self._faults_at) > _FREE_FAULTS and now - self._faults_at[0] < _WITHIN_S
        return _PATIENCE_S if many else 0.0

    def hopeless(self, now: float) -> str | None:
        """Why nobody can serve until somebody does something; None while there is hope."""
        if self.order(now):
            return None
        return next((record.lasting for record in self._records.values() if record.lasting is not None), None)

    def better(self, now: float) -> list[str]:
        """Providers in front of the current one that may be tried again now."""
        if self._current is None:
            return []
        names = list(self._records)
        ahead = names[: names.index(self._current)]
        return [name for name in ahead if self._records[name].held_off_until <= now]

    def put_off(self, names: Sequence[str], now: float) -> None:
        """Those could not be had after all: ask them again later."""
        for name in names:
            record = self._records[name]
            record.held_off_until = max(record.held_off_until, now + FIRST_HOLD_OFF_S)
