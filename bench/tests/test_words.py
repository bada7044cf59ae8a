import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_bench.words import letter_error_rate, normalise, number_words, word_error_rate


def test_one_form():
    assert normalise("It's 10 o’clock, DON'T you think?") == ["its", "ten", "oclock", "dont", "you", "think"]
    assert normalise("1,234 ﬁne") == ["one", "thousand", "two", "hundred", "thirty", "four", "fine"]
    assert normalise("...") == []


@pytest.mark.parametrize(
    ("value", "words"), [(0, "zero"), (19, "nineteen"), (40, "forty"), (115, "one hundred fifteen")]
)
def test_numbers(value, words):
    assert " ".join(number_words(value)) == words


def test_error_rate():
    assert word_error_rate("what is the capital of france", "What is the capital of France?") == 0
    assert word_error_rate("one two three four", "one three four five") == 0.5
    assert word_error_rate("", "you") == 1
    assert word_error_rate("", "") == 0


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8), st.lists(st.sampled_from("abcd"), max_size=8))
def test_as_others_count(wanted, got):
    assert word_error_rate(" ".join(wanted), " ".join(got)) == pytest.approx(jiwer.wer(" ".join(wanted), " ".join(got)))


def test_letters_are_counted_where_words_would_be_too_coarse() -> None:
    assert letter_error_rate("Aw, shucks!", "Ah, shucks.") == 1 / 8
    assert letter_error_rate("", "") == 0.0
    assert letter_error_rate("", "so") == 1.0
