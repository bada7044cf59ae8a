"""A request to finalize, as recognizers that listen to a stream keep it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Ask:
    """A request to finalize.

    Attributes:
        through: as asked.
        until: what is waited for: less, when the audio up to `through` does not come.
        ready_at: when all of it was with the vendor; None while it is not.
        signalled: the vendor was asked on this connection.
        answered: the vendor says that it has answered.
    """

    id: int
    through: int
    until: int
    asked_at: float
    ready_at: float | None = None
    signalled: bool = False
    answered: bool = False
