"""Going on behind a reply that was begun by another worker."""

import pytest

from natter_llm.continuation import RepeatCutter


def cut(said: str, text: str, size: int = 3) -> str:
    cutter = RepeatCutter(said)
    return "".join(cutter.feed(text[i : i + size]) for i in range(0, len(text), size)) + cutter.finish()


@pytest.mark.parametrize(
    ("said", "text", "expected"),
    [
        ("", " Hello", " Hello"),
        ("Paris is big. ", "It has a tower.", "It has a tower."),
        ("Paris is big. ", " It has a tower.", "It has a tower."),
        ("Paris is big. ", "Paris is big. It has a tower.", "It has a tower."),
        ("Paris is big. ", "paris is BIG! It has", "It has"),
        ("First one. Paris is big. ", "Paris is big. It has", "It has"),
        ("I like the city. ", "City life is good.", "City life is good."),
        ("Paris is big. ", "Paris is small.", "Paris is small."),
        ("Paris is big. ", "Paris is big.", ""),
        ("Paris is big. ", "Paris is", "Paris is"),
        ("Paris is big.", " It has", " It has"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_repetition_is_cut(said: str, text: str, expected: str, size: int) -> None:
    assert cut(said, text, size) == expected


def test_text_that_cannot_be_a_repetition_is_not_held() -> None:
    cutter = RepeatCutter("Paris is big. ")
    assert cutter.feed("London ") == "London "
    assert cutter.feed("is") == "is"
