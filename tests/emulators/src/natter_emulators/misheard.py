"""What recognition takes back: in some utterances the newest word of an interim is not the one of the final."""

from __future__ import annotations

from collections.abc import Sequence

from natter_emulators.marks.lexicon import LEXICON, place_of


def misheard(words: Sequence[str], utterance: int, every: int) -> list[str]:
    """An interim's words as they are told: in every `every`-th utterance (counted from 1) the last one is another.

    The last, because that is what recognition knows least of, and because then the last interim differs from its final
    wherever finals cut the utterance into pieces. Words are the lexicon's; the other word is the next of the lexicon.
    """
    told = list(words)
    if told and every > 0 and utterance % every == 0:
        told[-1] = LEXICON[(place_of(told[-1]) + 1) % len(LEXICON)]
    return told
