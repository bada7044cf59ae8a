"""Latency of a turn as contributions that add up: pure.

t0 is the arrival of the last speech window's last packet, t1 the first audible bot frame given to RTP. A mark is
max(own time, mark before, t0), so differences never overlap and their sum is t1 - t0. What a stage worked beyond its
difference was hidden: something else was waited for meanwhile, or the caller was still speaking.
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


_WORK_FOLLOWS: Final = {Mark.TEXT: Mark.MODEL, Mark.VOICE: Mark.TEXT}
"""Work that begins with another's mark, unless somebody knows better. That voice waits to be played is no work."""


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """One answered turn's latency, in milliseconds."""

    turn: int
    total_ms: float
    contributions_ms: Mapping[Mark, float]
    """Of every mark; their sum is `total_ms`."""
    hidden_ms: Mapping[Mark, float]
    """Of the marks whose work has a known beginning: how long it went on while something else was waited for."""


class AttemptMarks:
    """When the stages worked for one attempt. A guess has its own before anybody knows whether its turn is over."""

    def __init__(self) -> None:
        self._began_ms: dict[Mark, float] = {}
        self._met_ms: dict[Mark, float] = {}

    def began(self, mark: Mark, at_ms: float) -> None:
        """Note when the work for a mark began; only the first time counts."""
        self._began_ms.setdefault(mark, at_ms)

    def mark(self, mark: Mark, at_ms: float) -> None:
        """Note when something happened; only the first time counts."""
        self._met_ms.setdefault(mark, at_ms)

    def has(self, mark: Mark) -> bool:
        return mark in self._met_ms

    def met_ms(self, mark: Mark) -> float | None:
        """When it happened."""
        return self._met_ms.get(mark)

    def worked_ms(self, mark: Mark) -> float | None:
        """How long the work for a mark took; None while its beginning or its end is unknown."""
        met_ms = self._met_ms.get(mark)
        began_ms = self._began_ms.get(mark)
        if began_ms is None and mark in _WORK_FOLLOWS:
            began_ms = self._met_ms.get(_WORK_FOLLOWS[mark])
        return None if met_ms is None or began_ms is None else max(0.0, met_ms - began_ms)


class LatencyMarks:
    """Collects the marks of one turn."""

    def __init__(self, turn: int, speech_end_ms: float, marks: AttemptMarks | None = None) -> None:
        """`marks`: what was noted already for the attempt that answers; it is written on."""
        self.turn: Final = turn
        self._speech_end_ms = speech_end_ms
        self._marks = marks if marks is not None else AttemptMarks()

    def began(self, mark: Mark, at_ms: float) -> None:
        """Note when the work for a mark began; only the first time counts."""
        self._marks.began(mark, at_ms)

    def mark(self, mark: Mark, at_ms: float) -> None:
        """Note when something happened; only the first time counts."""
        self._marks.mark(mark, at_ms)

    def has(self, mark: Mark) -> bool:
        return self._marks.has(mark)

    def result(self) -> TurnLatency | None:
        """The turn's latency, once its voice was heard."""
        if not self._marks.has(Mark.PLAYOUT):
            return None
        contributions: dict[Mark, float] = {}
        hidden: dict[Mark, float] = {}
        before_ms = self._speech_end_ms
        for mark in Mark:
            met_ms = self._marks.met_ms(mark)
            at_ms = before_ms if met_ms is None else max(before_ms, met_ms)
            contributions[mark] = at_ms - before_ms
            worked_ms = self._marks.worked_ms(mark)
            if worked_ms is not None:
                hidden[mark] = max(0.0, worked_ms - contributions[mark])
            before_ms = at_ms
        return TurnLatency(self.turn, before_ms - self._speech_end_ms, contributions, hidden)
