"""Keeps what stages make for a guess until it is adopted or dropped: nothing of it is heard, shown or acted on."""

from collections import deque
from typing import Final

from natter_gateway.conductor.generation import Generation
from natter_gateway.turns.events import AttemptKey
from natter_proto import Reply, Voice

MOST_FRAMES: Final = 1_000
"""A reply of a minute has fewer. What has more is given up."""


class GuessBox:
    """The frames of one guess, in the order in which they came."""

    def __init__(self, generation: Generation) -> None:
        self.generation: Final = generation
        self._frames: deque[Reply | Voice] = deque()

    @property
    def key(self) -> AttemptKey:
        return self.generation.key

    @property
    def voiced_samples(self) -> int:
        """Voice that came, at 24 kHz."""
        return sum(frame.audio.sample_count for frame in self._frames if isinstance(frame, Voice))

    def keep(self, frame: Reply | Voice) -> bool:
        """Keep a frame; False when there are too many."""
        if len(self._frames) >= MOST_FRAMES:
            return False
        self._frames.append(frame)
        return True

    def open(self) -> list[Reply | Voice]:
        """All frames, once the guess is adopted."""
        return list(self._frames)
