"""Whether a reply was heard whole, by the marks of its words (an emulated voice is too even to align waveforms)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from natter_bench.measure import HOLE_MS, as_heard
from natter_bench.recording import VOICE_HZ, ReceivedFrame
from natter_emulators.marks import count_words, hear, spoken_words

_MADE_GAP_MS: Final = 80.0
"""Between two words of the emulated voice."""
_RESOLUTION_MS: Final = 15.0
"""Of the ends of a mark."""
_PUNCTUATION: Final = (".", ",", "!", "?", ";", ":", "–")


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """A reply as its words arrived."""

    lost: tuple[str, ...]
    """Of the reply's words, those that were not heard."""
    doubled: tuple[str, ...]
    """Words that were heard more often than they were in the reply, or in pieces."""
    holes_ms: tuple[float, ...]
    """Silences between two words of a clause, less the one that the voice makes there, where they exceed 60 ms."""


def words_heard(
    frames: Sequence[ReceivedFrame], reply: str, *, after_s: float, before_s: float = float("inf")
) -> WordsHeard:
    """Compare what arrived in a window, placed as a listener with a 40 ms buffer hears it, with the reply's text.

    A hole inside a word cuts it in two, so that one is lost or doubled. Pauses after punctuation are not judged.
    """
    heard = hear(as_heard(frames, after_s=after_s, before_s=before_s).pcm, VOICE_HZ)
    counted = count_words(reply, heard)
    words = [
        (word, number == len(spoken) - 1 and token.rstrip("\"')").endswith(_PUNCTUATION))
        for token, spoken in spoken_words(reply)
        for number, word in enumerate(spoken)
    ]
    joined = {(first, second) for (first, pause), (second, _) in pairwise(words) if not pause}
    gaps_ms = [
        (second.from_sample - first.to_sample) * 1000 / VOICE_HZ - _MADE_GAP_MS
        for first, second in pairwise(heard)
        if (first.text, second.text) in joined
    ]
    holes_ms = tuple(gap_ms for gap_ms in gaps_ms if gap_ms > HOLE_MS + _RESOLUTION_MS)
    return WordsHeard(counted.lost, counted.doubled, holes_ms)
