"""Where the words of a transcription lie: by the server's times, or else spread over the loud parts. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from natter_stt.local.loudness import Stretch
from natter_stt.local.ring import BLOCK_SAMPLES
from natter_stt.local.words import spread
from natter_stt.provider import SAMPLE_RATE_HZ, Word

# An answer is placed when it comes, or when the final that it serves is given out: the next few at most.
_KEPT: Final = 8


class Placing:
    """Keeps the words' times of the last answers of one session, by their text."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, tuple[tuple[float, float], ...]] = OrderedDict()

    def note(self, text: str, words: Sequence[tuple[str, float, float]]) -> None:
        """An answer came: its text, and its words with times in seconds of the audio that was sent."""
        self._times.pop(text, None)
        # Servers leave punctuation out of their words: only as many words as the text has are the text's words.
        if len(words) == len(text.split()):
            self._times[text] = tuple((begin, end) for _, begin, end in words)
        while len(self._times) > _KEPT:
            self._times.popitem(last=False)

    def place(self, text: str, stretch: Stretch) -> tuple[Word, ...]:
        """The words of a text by samples of the session. The audio that was sent begins where `stretch` does."""
        times = self._times.get(text)
        if times is None:
            return spread(text, stretch)
        first = stretch.first_block * BLOCK_SAMPLES
        words: list[Word] = []
        for word, (begin, end) in zip(text.split(), times, strict=True):
            from_sample = first + round(begin * SAMPLE_RATE_HZ)
            words.append(Word(word, from_sample, max(from_sample + 1, first + round(end * SAMPLE_RATE_HZ))))
        return tuple(words)
