"""Where a phrase ends inside a clause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_llm.phrases import phrase_end


def phrase(text: str, *, last: bool = False) -> str | None:
    end = phrase_end(text, last=last)
    return None if end is None else text[:end].rstrip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of France is", "The capital of France"),
        ("My favorite book is", "My favorite book"),
        ("I think the weather will", "I think the weather"),
        ("You can find the", "You can find"),
        ("It costs about twenty five dollars and", "It costs about twenty five dollars"),
        ("I'm sorry to", "I'm sorry"),
        ("It's blue because", "It's blue"),
        ("On Sunday the", "On Sunday"),
        ("In London it", "In London"),
        ("There may be a", "There may be"),
        ("Thank you for", "Thank you"),
        ("He said he would come back later tonight", "He said he would come"),
    ],
)
def test_a_phrase_ends_before_a_word_that_begins_another(text: str, expected: str) -> None:
    assert phrase(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I think",
        "I am not",
        "The",
        "The very old one of",
        "You will need to",
        "There was a long winding",
        "That was her very old house",
        "He listens to",
        "I sleep on the",
        "He lives with his",
        "Meet me in New York",
        "Please call Albert Maria Einstein",
        "The number is forty five thousand",
        "The room number is 12",
        "It is about 25 kilometers",
        "Wonderful people say it's",
        "Small towns e.g. the",
        "I hear that",
        "- first item of the",
        "1. wash the tomatoes with",
        "Look **here my friend** and",
        "Read https://example.org about the",
    ],
)
def test_no_phrase_ends_there(text: str) -> None:
    assert phrase(text) is None


def test_the_last_place_takes_along_all_that_may_go() -> None:
    text = "over the lazy dog near the river in the"
    assert phrase(text) == "over the lazy dog"
    assert phrase(text, last=True) == "over the lazy dog near the river"


WORDS = st.lists(
    st.sampled_from(
        ["the", "of", "to", "red", "house", "walks", "12", "Dr.", "I", "can", "that", "New", "York", "it's", "and"]
    )
)


@given(WORDS, st.booleans())
def test_a_phrase_ends_between_two_words_and_never_behind_one_that_leans_on_the_next(
    words: list[str], last: bool
) -> None:
    text = " ".join(words)
    end = phrase_end(text, last=last)
    if end is not None:
        assert text[end - 1] == " "
        assert text[end:][:1].isalpha()
        assert text[:end].split()[-1] not in {"the", "of", "to", "12", "Dr.", "I", "can", "that", "New", "it's", "and"}
