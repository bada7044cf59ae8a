"""How many messages a page may send: a token bucket, pure."""

from typing import Final

MESSAGES_PER_S: Final = 50.0
BURST: Final = 200.0


class RateLimit:
    """Admits `MESSAGES_PER_S` on average and `BURST` at once."""

    def __init__(self) -> None:
        self._tokens = BURST
        self._at: float | None = None

    def admit(self, now: float) -> bool:
        """Whether one more message, at `now` seconds, may be served."""
        if self._at is not None:
            self._tokens = min(BURST, self._tokens + (now - self._at) * MESSAGES_PER_S)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
