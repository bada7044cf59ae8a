"""When recognition has to have answered the last finalize request: pure."""


class FinalDue:
    """At most one request is waited for: the newest."""

    def __init__(self) -> None:
        self._asked: tuple[int, float] | None = None
        self._newest = 0

    @property
    def due_ms(self) -> float | None:
        return None if self._asked is None else self._asked[1]

    def asked(self, finalize_id: int, due_ms: float) -> None:
        self._asked = (finalize_id, due_ms)
        self._newest = finalize_id

    def answered(self, finalize_id: int) -> bool:
        """A final came for a request; whether it is the newest one."""
        if finalize_id != self._newest or finalize_id == 0:
            return False
        self._asked = None
        return True

    def forget(self) -> None:
        """Nothing is waited for any more."""
        self._asked = None

    def overdue(self, now_ms: float) -> bool:
        """Whether the answer did not come in time; said once a request."""
        if self._asked is None or now_ms < self._asked[1]:
            return False
        self._asked = None
        return True
