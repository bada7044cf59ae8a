"""How slow a worker's work is: pure, with the time handed in. A worker with room may be slow all the same."""

from typing import Final

_FORGOTTEN_S: Final = 10.0
"""Work that took too long says less and less of now."""
_NEW: Final = 0.4
"""Weight of the newest measurement: one slow answer is no slow worker."""


class Slowness:
    """Of one worker, over all its sessions: 0 fast, 1 as slow as may be."""

    def __init__(self) -> None:
        self._value = 0.0
        self._at_s = 0.0

    def note(self, took_s: float, limit_s: float, now_s: float) -> None:
        """A piece of work took so long; at `limit_s` callers notice."""
        self._value = (1 - _NEW) * self.now(now_s) + _NEW * took_s / limit_s
        self._at_s = now_s

    def now(self, now_s: float) -> float:
        """What it is now, if nothing was measured since the last time."""
        return self._value * max(0.0, 1 - (now_s - self._at_s) / _FORGOTTEN_S)
