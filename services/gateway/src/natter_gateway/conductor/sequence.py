"""Frames of one lease in the order in which they were sent: numbered from 1 on each subject. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

ItemT = TypeVar("ItemT")

MOST_HELD: Final = 512
"""Frames behind one that is missing. Those over the bound count as missing too: they are sent again as well."""


class _Line(Generic[ItemT]):
    """Of one subject."""

    def __init__(self) -> None:
        self.last = 0
        """All up to here came."""
        self.sent = 0
        """So many were sent, as far as is known."""
        self.held: dict[int, ItemT] = {}


class FrameSequence(Generic[ItemT]):
    """Of all subjects of one lease. What follows a missing frame is held until that is sent again."""

    def __init__(self, dropped: Callable[[str], None]) -> None:
        """`dropped` is told the subject of each frame over the bound."""
        self._dropped = dropped
        self._lines: dict[str, _Line[ItemT]] = {}

    @property
    def lacks(self) -> bool:
        """Whether frames are missing, as far as is known."""
        return any(line.sent > line.last for line in self._lines.values())

    @property
    def have(self) -> Mapping[str, int]:
        """The number up to which all came, on each subject."""
        return {kind: line.last for kind, line in self._lines.items()}

    def told(self, sent: Mapping[str, int]) -> None:
        """How far the worker says that it has sent."""
        for kind, number in sent.items():
            line = self._line(kind)
            line.sent = max(line.sent, number)

    def take(self, kind: str, number: int, item: ItemT) -> Sequence[ItemT]:
        """A frame came; returns those whose turn it is. One that came before already is not among them."""
        line = self._line(kind)
        line.sent = max(line.sent, number)
        if number <= line.last:
            return ()
        if number > line.last + 1:
            if len(line.held) < MOST_HELD:
                line.held[number] = item
            elif number not in line.held:
                self._dropped(kind)
            return ()
        free = [item]
        while (following := line.held.pop(number + len(free), None)) is not None:
            free.append(following)
        line.last = number + len(free) - 1
        return free

    def _line(self, kind: str) -> _Line[ItemT]:
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line()
        return line
