"""How fast a vendor's voice comes, by what was seen of it. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from natter_tts.provider import RATE_HZ

# Beginnings that count: few, so that a vendor that has become slow is believed soon.
_KEPT: Final = 8
# From the first piece of a segment on; later its pace does not matter.
_BEGINNING_SAMPLES: Final = RATE_HZ // 2


class ArrivalSpeed:
    """How many times faster than it plays the voice at the beginning of segments comes; shared by sessions."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque(maxlen=_KEPT)

    @property
    def least(self) -> float:
        """Of the last segments the slowest; 0 before any was measured."""
        return min(self._seen, default=0.0)

    def measure(self) -> ArrivalMeasure:
        """For one segment."""
        return ArrivalMeasure(self._seen)


class ArrivalMeasure:
    """Measures one segment."""

    def __init__(self, seen: deque[float]) -> None:
        self._seen = seen
        self._began_s = 0.0
        self._first = 0
        self._measured = True

    def note(self, before: int, samples: int, now_s: float) -> None:
        """A piece of ``samples`` has come at ``now_s``, behind ``before`` samples of its segment."""
        if before == 0:
            self._began_s, self._first, self._measured = now_s, samples, False
            return
        came = before + samples
        if self._measured or came < _BEGINNING_SAMPLES:
            return
        self._measured = True
        # What lies in the first piece took no time that could be seen.
        self._seen.append((came - self._first) / RATE_HZ / max(now_s - self._began_s, 0.001))
