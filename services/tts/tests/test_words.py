"""Word times of what was read, laid over what is shown."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from natter_tts.words import TimedWord, place_words, share_words, spread_words

WORDS = st.lists(st.sampled_from(["Go", "to", "https://x.org", "😀", "$3.50", "—", "now!", "**so**", "a"]), max_size=12)
SAID = st.lists(st.sampled_from(["go", "to", "the", "link", "three", "dollars", "now", "so", "a"]), max_size=12)


def timed(words: list[str], step: int = 100) -> list[TimedWord]:
    return [TimedWord(word, n * step, n * step + step - 20) for n, word in enumerate(words)]


@given(WORDS, SAID)
def test_every_shown_word_is_placed_once_in_order_without_overlap(shown: list[str], said: list[str]) -> None:
    placed = place_words(" ".join(shown), timed(said))
    assert [word.text for word in placed] == shown
    for before, after in pairwise(placed):
        assert before.from_sample <= before.to_sample <= after.from_sample
    if placed:
        assert placed[-1].to_sample <= 100 * len(said)


def test_equal_words_keep_their_times() -> None:
    placed = place_words("Hello, *there* Bob!", timed(["Hello", "there", "Bob"]))
    assert [(word.from_sample, word.to_sample, word.estimated) for word in placed] == [
        (0, 80, False),
        (100, 180, False),
        (200, 280, False),
    ]


def test_other_readings_are_spread() -> None:
    placed = place_words("It is 5:30 pm now", timed(["It", "is", "five", "thirty", "P.M.", "now"]))
    by_text = {word.text: (word.from_sample, word.to_sample, word.estimated) for word in placed}
    assert by_text["is"] == (100, 180, False)
    assert by_text["5:30"][0] == 200
    assert by_text["5:30"][2]
    assert by_text["now"] == (500, 580, False)


def test_what_is_not_spoken_has_no_length() -> None:
    placed = place_words("Fun 😀 now", timed(["Fun", "now"]))
    assert [(word.from_sample, word.to_sample) for word in placed] == [(0, 80), (80, 80), (100, 180)]


@given(WORDS, st.lists(SAID.filter(bool), min_size=1, max_size=4))
def test_shares_join_to_the_text(shown: list[str], said: list[list[str]]) -> None:
    shares = share_words(" ".join(shown), said)
    assert len(shares) == len(said)
    assert [word for share in shares for word in share.split()] == shown


def test_utterances_get_their_own_words() -> None:
    shares = share_words("One two. 😀 Three $4.", [["One", "two"], ["Three", "four", "dollars"]])
    assert shares == ["One two. 😀", "Three $4."]


def test_words_spread_by_letters() -> None:
    spread = spread_words("a bbbbbb", 0, 900)
    assert [(word.from_sample, word.to_sample) for word in spread] == [(0, 200), (200, 900)]
