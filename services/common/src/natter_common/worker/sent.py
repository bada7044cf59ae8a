"""What a lease sent of late, so that it can be sent again to who did not get it: pure, with the time handed in."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 10.0
"""Longer than a link is away before whoever missed something has given up on it."""
KEPT_BYTES: Final = 512 * 1024
"""About ten seconds of voice."""


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A frame as it was published."""

    at_s: float
    kind: str
    """Last token of the subject; numbers count within it."""
    number: int
    subject: str
    payload: bytes


class SentFrames:
    """The newest frames of one lease. Over the bounds the oldest are forgotten."""

    def __init__(self) -> None:
        self._frames: deque[SentFrame] = deque()
        self._bytes = 0
        self._newest: dict[str, int] = {}
        self._forgotten: dict[str, int] = {}

    @property
    def newest(self) -> Mapping[str, int]:
        """The number of the newest frame of each kind."""
        return self._newest

    def next_number(self, kind: str) -> int:
        """The number of the frame that is sent now."""
        number = self._newest[kind] = self._newest.get(kind, 0) + 1
        return number

    def add(self, frame: SentFrame) -> None:
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        while self._bytes > KEPT_BYTES or self._frames[0].at_s < frame.at_s - KEPT_S:
            oldest = self._frames.popleft()
            self._bytes -= len(oldest.payload)
            self._forgotten[oldest.kind] = oldest.number

    def since(self, have: Mapping[str, int]) -> tuple[list[SentFrame], bool]:
        """The frames behind what somebody has of each kind (without an entry: nothing), and whether these are all."""
        missing = [frame for frame in self._frames if frame.number > have.get(frame.kind, 0)]
        return missing, all(number <= have.get(kind, 0) for kind, number in self._forgotten.items())
