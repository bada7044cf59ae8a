"""Two segments asked for at once: whose voice is whose."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_tts.aligned import AlignedSegment, TimedCharacter
from natter_tts.border import has_letter, is_plain, split_part
from natter_tts.provider import RATE_HZ

CHARACTER_MS = 60
FIRST, SECOND = "I know a few.", "Would you like one?"


def voice(text: str) -> tuple[bytes, list[TimedCharacter]]:
    """Every character takes 60 ms: a tone where it is said, silence where it is a space."""
    samples = CHARACTER_MS * RATE_HZ // 1000
    tone = np.rint(8000 * np.sin(2 * np.pi * 300 * np.arange(samples) / RATE_HZ)).astype("<i2").tobytes()
    pcm = b"".join(bytes(2 * samples) if character.isspace() else tone for character in text)
    times = [TimedCharacter(c, n * CHARACTER_MS, (n + 1) * CHARACTER_MS) for n, c in enumerate(text)]
    return pcm, times


@given(st.lists(st.integers(1, 33), max_size=8))
def test_each_gets_its_own_however_they_are_cut_into_messages(cuts: list[int]) -> None:
    text = f"{FIRST} {SECOND}"
    borders = sorted({0, len(text), *cuts})
    first, second = AlignedSegment(FIRST, FIRST), AlignedSegment(SECOND, SECOND)
    for begin, end in pairwise(borders):
        pcm, characters = voice(text[begin:end])
        if second.received_samples:
            second.feed(pcm, characters)
            continue
        part, rest = split_part(pcm, characters, first.missing)
        assert len(part[0]) + len(rest[0] if rest else b"") == len(pcm)
        first.feed(*part)
        if rest is not None:
            second.feed(*rest)
    for segment, spoken in ((first, FIRST), (second, SECOND)):
        assert segment.sounded_out
        total = segment.finish()[-1].total_samples
        assert abs(total / RATE_HZ - (len(spoken) * CHARACTER_MS + 250) / 1000) < 0.04


def test_what_is_no_letter_has_no_border() -> None:
    pcm, characters = voice(" . ")
    assert split_part(pcm, characters, "") == ((pcm, tuple(characters)), None)
    assert not has_letter(characters)


@pytest.mark.parametrize(
    ("spoken", "plain"), [("Yes, it's “good” — élan!", True), ("It costs 5 dollars.", False), ("A & B", False)]
)
def test_plain_words_are_read_as_they_are_written(spoken: str, plain: bool) -> None:
    assert is_plain(spoken) is plain
