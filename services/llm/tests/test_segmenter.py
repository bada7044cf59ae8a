"""Segments: what they join to, and where they end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_llm.segmenter import LIMIT_CHARS, FirstSegment, Segment, Segmenter

FIRSTS: list[FirstSegment] = ["phrase", "clause", "sentence"]

TEXTS = st.one_of(
    st.text(max_size=400),
    st.text(alphabet="ab1 .,!?\n*-_😀“”()[]:;—", max_size=400),
    st.lists(
        st.sampled_from(
            [
                "Hello there,",
                "how are you?",
                "I think that the",
                "of it",
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


def segments_of(
    deltas: list[str], kept: int = 0, first: FirstSegment = "phrase", interval_s: float = 0.0
) -> list[Segment]:
    """Of deltas that come one ``interval_s`` after the other."""
    segmenter = Segmenter(kept, first)
    made = [segment for n, delta in enumerate(deltas) for segment in segmenter.feed(delta, n * interval_s)]
    made += segmenter.finish()
    assert segmenter.segments == kept + len(made)
    return made


def texts_of(text: str, first: FirstSegment = "phrase", tokens_per_s: float = 60.0) -> list[str]:
    """Segments of a text that comes word by word."""
    words = re.findall(r"\s*\S+|\s+$", text)
    return [segment.text for segment in segments_of(words, first=first, interval_s=1 / tokens_per_s)]


@given(TEXTS, st.data(), st.sampled_from(FIRSTS), st.sampled_from([0.0, 0.02, 0.5]))
def test_texts_join_to_what_went_in_and_none_is_silent(
    text: str, data: st.DataObject, first: FirstSegment, interval_s: float
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    segments = segments_of(deltas, first=first, interval_s=interval_s)
    assert "".join(segment.text for segment in segments).rstrip() == text.rstrip()
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    if any(c.isalnum() for c in text):
        assert all(segment.spoken for segment in segments[:-1])
        # But for an emoji behind a first segment that did not wait for it.
        assert segments[-1].spoken or (len(segments) > 1 and not any(c.isalnum() for c in segments[-1].text))
    else:
        assert len(segments) <= 1


@given(TEXTS)
def test_how_the_text_was_cut_into_deltas_changes_nothing(text: str) -> None:
    assert segments_of(list(text)) == segments_of(list(text))
    one, another = segments_of(list(text)), segments_of([text])
    assert "".join(s.text for s in one).rstrip() == "".join(s.text for s in another).rstrip()


@given(st.lists(st.sampled_from(["word", "another", "and", "more", "thing,"]), min_size=30, max_size=300))
def test_no_segment_is_much_longer_than_the_limit(words: list[str]) -> None:
    for segment in segments_of([word + " " for word in words]):
        assert len(segment.text) <= LIMIT_CHARS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Well, hello there my friend, how are you? I am fine. Thanks.",
            ["Well,", " hello there my friend, ", "how are you? ", "I am fine. ", "Thanks."],
        ),
        ("Sure. I can do that, and more. Ok?", ["Sure.", " I can do that, and more. ", "Ok?"]),
        ("Have fun! 😀 Bye.", ["Have fun!", " 😀 Bye."]),
        ("Have fun! 😀", ["Have fun!", " 😀"]),
        ("It is 3.5, no less. Ok?", ["It is 3.5, ", "no less. ", "Ok?"]),
        ("Look at Node.js, it is fast. Ok?", ["Look at Node.js, ", "it is fast. ", "Ok?"]),
        ("“Sure,” he said, and left.", ["“Sure,” ", "he said, and left."]),
        ("No. 5 is red, as you see.", ["No. 5 is red, ", "as you see."]),
        ("List:\n- one\n- two", ["List:\n", "- one\n", "- two"]),
        ("He said: “Go.” She went.", ["He said: ", "“Go.” ", "She went."]),
        ("Dr. Smith costs 3.5 dollars.", ["Dr. Smith costs 3.5 dollars."]),
        ("😀", ["😀"]),
        ("", []),
    ],
)
def test_segments(text: str, expected: list[str]) -> None:
    assert [segment.text for segment in segments_of(list(text))] == expected


@pytest.mark.parametrize("text", ["Hello my friend,", "Good!", "Yes.", "I know a few.", "Isn't it?"])
def test_the_first_segment_leaves_with_the_mark_that_surely_ends_it(text: str) -> None:
    segmenter = Segmenter()
    assert segmenter.feed(text[:-1], 0.0) == []
    (first,) = segmenter.feed(text[-1], 0.0)
    assert (first.number, first.text, first.spoken) == (1, text, text)
    assert segmenter.finish() == []


@pytest.mark.parametrize(
    "text", ["No.", "Dr.", "It is on Jan.", "At 5.", "It costs 1,", "“Hello,", "**Sure,", "Tea etc."]
)
def test_other_marks_need_what_follows(text: str) -> None:
    assert Segmenter().feed(text, 0.0) == []


def test_a_known_border_sets_free_what_was_held() -> None:
    segmenter = Segmenter()
    assert [segment.text for segment in segmenter.feed("Sure. ", 0.0, border=True)] == ["Sure. "]
    assert segmenter.feed(" ", 0.0, border=True) == []
    assert segmenter.finish() == []


def test_going_on_behind_segments_that_are_kept() -> None:
    made = segments_of(["and that is that, you see. ", "Bye."], kept=3)
    assert [(segment.number, segment.text) for segment in made] == [(4, "and that is that, you see. "), (5, "Bye.")]


def test_half_a_sentence_behind_a_whole_one_is_left_out_when_a_limit_cut_it() -> None:
    cut = Segmenter()
    made = cut.feed("Paris is the capital of France. It is famous because it actually", 0.0)
    assert [segment.text.strip() for segment in made + cut.finish(cut_off=True)] == ["Paris is the capital of France."]
    alone = Segmenter()
    made = alone.feed("It is famous because it actually", 0.0)
    assert "".join(segment.text for segment in made + alone.finish(cut_off=True)) == "It is famous because it actually"


@pytest.mark.parametrize(
    ("text", "first", "expected"),
    [
        ("The capital of France is Paris. Nice.", "phrase", ["The capital of France ", "is Paris. ", "Nice."]),
        ("The capital of France is Paris. Nice.", "clause", ["The capital of France is Paris. ", "Nice."]),
        ("Yes, of course. Bye.", "clause", ["Yes,", " of course. ", "Bye."]),
        ("Yes, of course. Bye.", "sentence", ["Yes, of course. ", "Bye."]),
        ("I'm sorry to hear that. What now?", "phrase", ["I'm sorry ", "to hear that. ", "What now?"]),
        ("It starts on Monday at 3.30 with Dr. Smith.", "phrase", ["It starts on Monday ", "at 3.30 with Dr. Smith."]),
    ],
)
def test_how_short_the_first_segment_may_be(text: str, first: FirstSegment, expected: list[str]) -> None:
    assert texts_of(text, first) == expected


SLOW = "Okay, the old house by the river was sold to a man from the city who wants to live there with all his dogs."


def test_a_sentence_is_parted_only_as_often_as_the_voice_would_run_dry() -> None:
    quick, slow = texts_of(SLOW, tokens_per_s=60.0), texts_of(SLOW, tokens_per_s=8.0)
    assert "".join(quick) == "".join(slow) == SLOW
    assert len(quick) == 3
    assert len(slow) > 3
    assert len(texts_of(SLOW, "clause", 8.0)) == 2
    assert texts_of(SLOW, "sentence", 8.0) == [SLOW]


def test_behind_very_little_a_long_sentence_ends_at_a_comma() -> None:
    sentence = "I can tell you all about it, but it is a long story with many people in it. "
    assert texts_of("Sure, " + sentence + "Ok?") == [
        "Sure,",
        " I can tell you all about it, ",
        "but it is a long story with many people in it. ",
        "Ok?",
    ]
    assert texts_of("That is a good question indeed. " + sentence + "Ok?")[-2:] == [f" {sentence}", "Ok?"]
