"""What is left of a text for the voice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_llm.spoken import spoken_form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there.", "Hello there."),
        ("**Bold** and *slanted* and `code`.", "Bold and slanted and code."),
        ("## A heading", "A heading"),
        ("- an item", "an item"),
        ("1. First thing", "1, First thing"),
        ("See [the docs](https://x.org/a,b) now.", "See the docs now."),
        ("Go to https://example.com/x?y=1, please.", "Go to the link, please."),
        ("Great! 😀👍🏽 Fun 🇩🇪", "Great! Fun"),
        ("It costs $3.50 & 20% more.", "It costs $3.50 & 20% more."),
        ("2 * 3 = 6 and 5*4", "2 * 3 = 6 and 5*4"),
        ("snake_case stays", "snake_case stays"),
        ("**Hello, ", "Hello,"),
        ("world** again", "world again"),
        ("Line<br>break", "Line break"),
        ("~~gone~~ here ---", "gone here"),
        ("😀", ""),
        ("---", ""),
        ("```python\nprint(1)\n```", "print(1)"),
    ],
)
def test_spoken(text: str, expected: str) -> None:
    # A lone asterisk between numbers may be left out or kept: the voice decides.
    assert spoken_form(text).replace("2 3", "2 * 3") == expected


@given(st.text(alphabet="ab1 .,*_`#[]()<>|~-😀\n:/htps", max_size=60))
def test_whatever_has_a_letter_or_digit_is_spoken(text: str) -> None:
    said = spoken_form(text)
    assert bool(said) == any(c.isalnum() for c in text)
    assert said == " ".join(said.split())
    assert "😀" not in said
    assert "**" not in said
