"""A page can't say more than somebody may type."""

import pytest

from natter_gateway.conductor.page_words import MOST_PUT_A_TURN, MOST_WAITING_CHARACTERS, PageWords, TooMuchTextError


def test_what_waits_is_bounded() -> None:
    words = PageWords()
    words.types("a", "b" * (MOST_WAITING_CHARACTERS - 1))
    with pytest.raises(TooMuchTextError):
        words.types("a", "b" * MOST_WAITING_CHARACTERS)


def test_what_is_put_into_the_bots_mouth_is_bounded_in_each_turn() -> None:
    words = PageWords()
    for turn in (1, 2):
        for _ in range(MOST_PUT_A_TURN):
            words.puts(turn)
    with pytest.raises(TooMuchTextError):
        words.puts(2)
