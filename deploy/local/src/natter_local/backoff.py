"""When a process that died is started again: pure, with the times handed in."""

from typing import Final

FIRST_DELAY_S: Final = 0.2
LONGEST_DELAY_S: Final = 5.0
STEADY_S: Final = 30.0
"""Up for this long, a process counts as healthy: its next death is waited for as if it were the first."""
TRIES_BEFORE_READY: Final = 5
"""A process that dies this often and was never ready won't get ready."""


class RestartPolicy:
    """The delays of one process, doubled from death to death."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S
        self._deaths_before_ready = 0
        self._was_ready = False

    def after_death(self, up_s: float, *, was_ready: bool) -> float | None:
        """How long to wait before the next start, in seconds; None when there is no point in another one.

        `up_s`: how long the process lived. `was_ready`: whether it was ready in that time.
        """
        self._was_ready = self._was_ready or was_ready
        if not self._was_ready:
            self._deaths_before_ready += 1
            if self._deaths_before_ready >= TRIES_BEFORE_READY:
                return None
        if up_s >= STEADY_S:
            self._delay_s = FIRST_DELAY_S
        delay_s = self._delay_s
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
        return delay_s
