"""From the model's text to words with times, and what of it is not to be believed. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from natter_stt.local.loudness import Stretch
from natter_stt.local.ring import BLOCK_SAMPLES
from natter_stt.provider import Word

# What the model makes of a click, a breath or nothing. Said by itself in so short a time it is rather that.
INVENTED: Final = frozenset({"you", "thank you", "thank you very much", "thanks for watching"})
MISTRUST_BELOW_MS: Final = 400


def is_mistrusted(text: str, loud_ms: int) -> bool:
    """A lone "You" or "Thank you." out of a sound shorter than 400 ms is more likely invented than said."""
    bare = "".join(letter for letter in text.casefold() if letter.isalpha() or letter.isspace())
    bare = " ".join(bare.split())
    return not bare or (loud_ms < MISTRUST_BELOW_MS and bare in INVENTED)


def spread(text: str, stretch: Stretch) -> tuple[Word, ...]:
    """Give each word the part of the loud blocks that its letters are of all letters. The times are estimates."""
    texts = text.split()
    if not texts:
        return ()
    loud = np.flatnonzero(stretch.loud)
    if not len(loud):
        loud = np.arange(max(1, len(stretch.loud)))
    weights = np.array([max(1, sum(letter.isalnum() for letter in word)) for word in texts], np.float64)
    ends = np.cumsum(weights) / weights.sum() * len(loud)
    words: list[Word] = []
    place = 0.0
    for word, end in zip(texts, ends.tolist(), strict=True):
        words.append(Word(word, _sample(stretch, loud, place, 0), _sample(stretch, loud, end, 1), estimated=True))
        place = end
    return tuple(words)


def _sample(stretch: Stretch, loud: np.ndarray[tuple[int], np.dtype[np.intp]], place: float, side: int) -> int:
    """The sample at `place`, counted in loud blocks. On a border between them `side` 1 stays in the block before."""
    index = int(place)
    if side and index and place - index < 1e-9:
        index -= 1
    index = min(index, len(loud) - 1)
    within = min(1.0, place - index)
    return round((stretch.first_block + int(loud[index]) + within) * BLOCK_SAMPLES)
