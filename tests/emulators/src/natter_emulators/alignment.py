"""Times of a text's characters in its speech, as ElevenLabs tells them: per message, from the message's start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from natter_emulators.marks import MarkedSpeech


@dataclass(frozen=True, slots=True)
class TimedChar:
    """A character of the text and where it sounds, in samples."""

    char: str
    from_sample: int
    to_sample: int


def timed_chars(text: str, speech: MarkedSpeech) -> list[TimedChar]:
    """Every character of `text`, whose speech is given: a word's over the word, spaces over the gap before the next."""
    timed: list[TimedChar] = []
    at = 0
    sample = 0
    for word in speech.words:
        start = end = at
        for piece in word.text.split():
            found = text.index(piece, end)
            start = found if end == at else start
            end = found + len(piece)
        timed += _spread(text[at:start], sample, word.from_sample)
        timed += _spread(text[start:end], word.from_sample, word.to_sample)
        at, sample = end, word.to_sample
    return timed + _spread(text[at:], sample, len(speech.pcm))


def _spread(chars: str, from_sample: int, to_sample: int) -> list[TimedChar]:
    edges = (
        [from_sample + (to_sample - from_sample) * index // len(chars) for index in range(len(chars))] if chars else []
    )
    return [
        TimedChar(char, start, end) for char, start, end in zip(chars, edges, [*edges[1:], to_sample], strict=False)
    ]


def alignment(chars: Iterable[TimedChar], from_sample: int, to_sample: int, rate_hz: int) -> dict[str, Any] | None:
    """The wire's alignment of those characters that begin within a piece of the audio; None when none does.

    Returns:
        `chars`, `charStartTimesMs` (from the piece's start) and `charDurationsMs`, of one length.
    """
    within = [char for char in chars if from_sample <= char.from_sample < to_sample]
    if not within:
        return None
    return {
        "chars": [char.char for char in within],
        "charStartTimesMs": [(char.from_sample - from_sample) * 1000 // rate_hz for char in within],
        "charDurationsMs": [(char.to_sample - char.from_sample) * 1000 // rate_hz for char in within],
    }
