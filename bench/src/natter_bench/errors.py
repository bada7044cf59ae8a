"""What can go wrong for a caller, in words for the person at the terminal."""

from __future__ import annotations


class CallError(Exception):
    """A call could not be made, or ended unexpectedly."""


class NothingAnswersError(CallError):
    """No server at the address."""


class RefusedError(CallError):
    """The server refused: its HTTP status and `detail`. 503 means no capacity; `retry_after_s` as it said."""

    def __init__(self, status: int, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s


class NotReadyError(CallError):
    """The connection or the bot did not come up in time, or the bot reported a fatal error."""
