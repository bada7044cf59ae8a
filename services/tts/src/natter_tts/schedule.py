"""Which segment is spoken next, by the newest state: pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from natter_proto import Attempt, Modality, State

# Segments of an attempt that wait for their grant. A reply of an hour would have more; such an attempt fails loudly.
MOST_WAITING: Final = 256

AttemptKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WantedSegment:
    """A segment to be spoken."""

    turn: int
    attempt: int
    number: int
    text: str
    spoken: str
    traceparent: str

    @property
    def key(self) -> AttemptKey:
        return self.turn, self.attempt


@dataclass(slots=True)
class _Line:
    """One attempt's segments."""

    waiting: dict[int, WantedSegment] = field(default_factory=dict[int, WantedSegment])
    taken: int = 0
    complete_at: int = 0
    failed: bool = False


class SpeechSchedule:
    """Segments in, the next one to speak out: of living attempts, as far as granted, the committed attempt first.

    Segments are spoken in their order, each once.
    """

    def __init__(self) -> None:
        self._attempts: dict[AttemptKey, Attempt] = {}
        self._lines: dict[AttemptKey, _Line] = {}

    def on_state(self, state: State) -> None:
        """Take over a newer state; segments of attempts that it does not name are forgotten."""
        attempts = () if state.ended else state.attempts
        self._attempts = {(attempt.turn, attempt.attempt): attempt for attempt in attempts}
        # Behind what has its voice already: another worker made it.
        self._lines = {
            key: self._lines.get(key) or _Line(taken=attempt.segments_voiced) for key, attempt in self._attempts.items()
        }

    def living(self, key: AttemptKey) -> bool:
        return key in self._attempts

    def add(self, segment: WantedSegment) -> bool:
        """Take a segment of a living attempt; False when too many wait. Those that were taken before are ignored."""
        line = self._lines.get(segment.key)
        if line is None or line.failed or segment.number <= line.taken:
            return True
        if segment.number not in line.waiting and len(line.waiting) >= MOST_WAITING:
            return False
        line.waiting[segment.number] = segment
        return True

    def complete(self, key: AttemptKey, segments: int) -> None:
        """The attempt has ``segments`` segments in all."""
        if (line := self._lines.get(key)) is not None:
            line.complete_at = segments

    def fail(self, key: AttemptKey) -> None:
        """Speak nothing more of an attempt."""
        if (line := self._lines.get(key)) is not None:
            line.failed = True
            line.waiting.clear()

    def is_last(self, segment: WantedSegment) -> bool:
        """Is it known that none follows?"""
        line = self._lines.get(segment.key)
        return line is not None and line.complete_at == segment.number

    def following(self, segment: WantedSegment) -> WantedSegment | None:
        """The segment behind one that was taken, if it has come and is granted; it does not count as taken."""
        attempt, line = self._attempts.get(segment.key), self._lines.get(segment.key)
        if attempt is None or line is None or segment.number >= attempt.segments_granted:
            return None
        return line.waiting.get(segment.number + 1)

    def take(self) -> WantedSegment | None:
        """The next segment to speak; it counts as taken."""
        for key in sorted(self._attempts, key=lambda key: (not self._attempts[key].committed, key)):
            attempt, line = self._attempts[key], self._lines[key]
            if not line.waiting or attempt.modality == Modality.MODALITY_TEXT:
                continue
            number = line.taken + 1
            if number in line.waiting and number <= attempt.segments_granted:
                line.taken = number
                return line.waiting.pop(number)
        return None
