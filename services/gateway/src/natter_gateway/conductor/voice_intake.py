"""Takes in the voice of a reply: into playout, its words into the reply. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Final

from natter_gateway.media.playout import Playout
from natter_gateway.reply import Reply, SpokenWord
from natter_proto import Voice

MOST_EARLY: Final = 256
"""Frames; at 200 ms each that is more than is granted ahead."""


class VoiceIntake:
    """Of one session. Voice may overtake the text that it says: then it waits for it."""

    def __init__(self, playout: Playout, dropped: Callable[[], None]) -> None:
        """`dropped` is called for each frame over the bound."""
        self._playout = playout
        self._dropped = dropped
        self._early: deque[Voice] = deque()

    @property
    def waiting(self) -> bool:
        """Whether there is voice whose text has not come."""
        return bool(self._early)

    def admit(self, reply: Reply, frame: Voice) -> bool:
        """Whether the text of a frame is there; else it is kept, over the bound in place of the oldest."""
        if frame.header.segment <= reply.segment_count:
            return True
        if len(self._early) >= MOST_EARLY:
            self._early.popleft()
            self._dropped()
        self._early.append(frame)
        return False

    def set_free(self, reply: Reply) -> list[Voice]:
        """More text has come: the voice that waited for it."""
        free = [frame for frame in self._early if frame.header.segment <= reply.segment_count]
        if free:
            waiting = [frame for frame in self._early if frame.header.segment > reply.segment_count]
            self._early = deque(waiting)
        return free

    def forget(self) -> None:
        """Its text won't come."""
        self._early.clear()

    def take(self, reply: Reply, frame: Voice) -> None:
        """Play a frame, behind what came before. Raises `PlayoutOverflowError`, `PlayoutGapError` or `ValueError`."""
        header, audio = frame.header, frame.audio
        key = (header.turn, header.attempt, header.segment)
        if audio.data:
            # Only what playout took counts: of voice behind a gap nobody may believe that it was there.
            self._playout.push(key, audio.data, reply.place(header.segment, audio.first_sample))
            reply.add_voice(header.segment, audio.first_sample, len(audio.data) // 2)
        if frame.words:
            words = [SpokenWord(word.text, word.from_sample, word.to_sample) for word in frame.words]
            reply.add_words(header.segment, words)
        if audio.end:
            self._playout.end(key, reply.set_total(header.segment, frame.total_samples))
