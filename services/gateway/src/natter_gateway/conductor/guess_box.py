"""Keeps what stages make for a guess until it is adopted or dropped: nothing of it is heard, shown or acted on."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from natter_gateway.conductor.generation import Generation
from natter_gateway.context import estimate_tokens
from natter_gateway.latency import AttemptMarks, Mark
from natter_gateway.turns.events import AttemptKey
from natter_proto import VOICE_RATE_HZ, Reply, ReplyKind, Voice

MOST_FRAMES: Final = 1_000
"""A reply of a minute has fewer. What has more is given up."""
GRANTED: Final = 2
"""Segments that are voiced ahead: the first may be a few words only."""


@dataclass(frozen=True, slots=True)
class Waste:
    """What was made of a reply that nobody hears. Tokens are estimated from the text."""

    tokens: int
    characters: int
    voice_s: float


class GuessBox:
    """The frames of one guess, in the order in which they came."""

    def __init__(self, generation: Generation) -> None:
        self.generation: Final = generation
        self.marks: Final = AttemptMarks()
        """When the stages worked for it."""
        self._frames: deque[Reply | Voice] = deque()

    @property
    def key(self) -> AttemptKey:
        return self.generation.key

    @property
    def waste(self) -> Waste:
        """What is lost if it is dropped now."""
        replies = [frame for frame in self._frames if isinstance(frame, Reply)]
        text = "".join(frame.text for frame in replies if frame.kind == ReplyKind.REPLY_KIND_DELTA)
        spoken = [frame.spoken for frame in replies if frame.kind == ReplyKind.REPLY_KIND_SEGMENT]
        samples = sum(frame.audio.sample_count for frame in self._frames if isinstance(frame, Voice))
        return Waste(estimate_tokens(text) if text else 0, sum(map(len, spoken[:GRANTED])), samples / VOICE_RATE_HZ)

    def keep(self, frame: Reply | Voice, now_ms: float) -> bool:
        """Keep a frame; False when there are too many."""
        if len(self._frames) >= MOST_FRAMES:
            return False
        self._frames.append(frame)
        if isinstance(frame, Voice):
            self.marks.mark(Mark.VOICE, now_ms)
        elif frame.kind in (ReplyKind.REPLY_KIND_DELTA, ReplyKind.REPLY_KIND_SEGMENT):
            self.marks.mark(Mark.MODEL, now_ms)
            if frame.kind == ReplyKind.REPLY_KIND_SEGMENT:
                self.marks.mark(Mark.TEXT, now_ms)
        return True

    def open(self) -> list[Reply | Voice]:
        """All frames, once the guess is adopted."""
        return list(self._frames)
