"""Segments: what they join to, and where they end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_llm.segmenter import LIMIT_CHARS, Segment, Segmenter

TEXTS = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="ab1 .,!?\n*-_😀“”()[]:;—", max_size=400),
    st.lists(
        st.sampled_from(
            [
                "Hello there,",
                "how are you?",
                "Dr.",
                "Smith",
                "3.5",
                "😀",
                "- item",
                "\n",
                "https://x.org",
                "**so**",
                "no.",
            ]
        ),
        max_size=40,
    ).map(" ".join),
)


def segments_of(deltas: list[str], kept: int = 0) -> list[Segment]:
    segmenter = Segmenter(kept)
    made = [segment for delta in deltas for segment in segmenter.feed(delta)]
    made += segmenter.finish()
    assert segmenter.segments == kept + len(made)
    return made


@given(TEXTS, st.data())
def test_texts_join_to_what_went_in_and_none_is_silent(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    segments = segments_of(deltas)
    assert "".join(segment.text for segment in segments) == text
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    if any(c.isalnum() for c in text):
        assert all(segment.spoken for segment in segments)
    else:
        assert len(segments) <= 1


@given(TEXTS)
def test_how_the_text_was_cut_into_deltas_changes_nothing(text: str) -> None:
    assert segments_of(list(text)) == segments_of(list(text))
    assert "".join(s.text for s in segments_of(list(text))) == "".join(s.text for s in segments_of([text]))


@given(st.lists(st.sampled_from(["word", "another", "and", "more", "thing,"]), min_size=30, max_size=300))
def test_no_segment_is_much_longer_than_the_limit(words: list[str]) -> None:
    for segment in segments_of([word + " " for word in words]):
        assert len(segment.text) <= LIMIT_CHARS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Well, hello there my friend, how are you? I am fine. Thanks.",
            ["Well, hello there my friend, ", "how are you? ", "I am fine. ", "Thanks."],
        ),
        ("Sure. I can do that, and more. Ok?", ["Sure. ", "I can do that, and more. ", "Ok?"]),
        ("Have fun! 😀 Bye.", ["Have fun! 😀 ", "Bye."]),
        ("Have fun! 😀", ["Have fun! 😀"]),
        ("List:\n- one\n- two", ["List:\n", "- one\n", "- two"]),
        ("He said: “Go.” She went.", ["He said: “Go.” ", "She went."]),
        ("Dr. Smith costs 3.5 dollars.", ["Dr. Smith costs 3.5 dollars."]),
        ("😀", ["😀"]),
        ("", []),
    ],
)
def test_segments(text: str, expected: list[str]) -> None:
    assert [segment.text for segment in segments_of(list(text))] == expected


def test_the_first_segment_leaves_as_soon_as_the_next_word_begins() -> None:
    segmenter = Segmenter()
    assert segmenter.feed("Hello my friend,") == []
    (first,) = segmenter.feed(" I")
    assert (first.number, first.text, first.spoken) == (1, "Hello my friend, ", "Hello my friend,")


def test_a_known_border_sets_free_what_was_held() -> None:
    segmenter = Segmenter()
    assert segmenter.feed("Sure. ") == []
    assert [segment.text for segment in segmenter.border()] == ["Sure. "]
    assert segmenter.border() == []
    assert segmenter.feed(" ") == []
    assert segmenter.finish() == []


def test_going_on_behind_segments_that_are_kept() -> None:
    made = segments_of(["and that is that, you see. ", "Bye."], kept=3)
    assert [(segment.number, segment.text) for segment in made] == [(4, "and that is that, you see. "), (5, "Bye.")]


def test_half_a_sentence_behind_a_whole_one_is_left_out_when_a_limit_cut_it() -> None:
    cut = Segmenter()
    made = cut.feed("Paris is the capital of France. It is famous because it actually")
    assert [segment.text.strip() for segment in made + cut.finish(cut_off=True)] == ["Paris is the capital of France."]
    alone = Segmenter()
    made = alone.feed("It is famous because it actually")
    assert "".join(segment.text for segment in made + alone.finish(cut_off=True)) == "It is famous because it actually"
