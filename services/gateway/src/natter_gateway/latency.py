"""Latency of a turn as contributions that add up: pure.

t0 is the arrival of the last speech window's last packet, t1 the first audible bot frame given to RTP. A mark is
max(own time, mark before, t0), so differences never overlap and their sum is t1 - t0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Mark(StrEnum):
    """What is waited for, in order; the names are those of the contributions."""

    ENDPOINTING = "endpointing"
    """The silence rule is met."""
    TRANSCRIPTION = "transcription"
    """The turn's text is accepted."""
    MODEL = "model"
    """First token."""
    TEXT = "text"
    """First segment."""
    VOICE = "voice"
    """First audible frame of voice is here."""
    PLAYOUT = "playout"
    """First audible frame is given to RTP."""


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """One answered turn's latency, in milliseconds."""

    turn: int
    total_ms: float
    contributions_ms: Mapping[Mark, float]


class LatencyMarks:
    """Collects the marks of one turn."""

    def __init__(self, turn: int, speech_end_ms: float) -> None:
        self.turn: Final = turn
        self._speech_end_ms = speech_end_ms
        self._marks_ms: dict[Mark, float] = {}

    def mark(self, mark: Mark, at_ms: float) -> None:
        """Note when something happened; only the first time counts."""
        self._marks_ms.setdefault(mark, at_ms)

    def has(self, mark: Mark) -> bool:
        return mark in self._marks_ms

    def result(self) -> TurnLatency | None:
        """The turn's latency, once its voice was heard."""
        if Mark.PLAYOUT not in self._marks_ms:
            return None
        contributions: dict[Mark, float] = {}
        before_ms = self._speech_end_ms
        for mark in Mark:
            at_ms = max(before_ms, self._marks_ms.get(mark, before_ms))
            contributions[mark] = at_ms - before_ms
            before_ms = at_ms
        return TurnLatency(self.turn, before_ms - self._speech_end_ms, contributions)
