"""What words say about a turn."""

import pytest

from natter_gateway.turns.ending import Ending, ending_of
from natter_gateway.turns.wording import Meaning, meaning_of, same_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hello there", "Hello, there!"),
        ("Um, I'm twenty one.", "I’m 21"),
        ("two hundred and five", "200 and 5"),
        ("three thousand four hundred", "3400"),
        ("the café", "the cafe\u0301"),
        ("twenty-two", "22"),
        ("one two", "1 2"),
    ],
)
def test_the_same_words_in_other_forms(one: str, other: str) -> None:
    assert same_words(one, other)


@pytest.mark.parametrize(("one", "other"), [("hello there", "hello"), ("twenty one", "20 1"), ("one two", "12")])
def test_other_words(one: str, other: str) -> None:
    assert not same_words(one, other)


@pytest.mark.parametrize("said", ["", "mhm", "Mm-hmm.", "yeah, okay", "I see", "Oh, I see.", "uh huh right"])
def test_backchannels_do_not_interrupt(said: str) -> None:
    assert meaning_of([said], trusted=True) in (Meaning.BACKCHANNEL, Meaning.NOTHING)


@pytest.mark.parametrize("said", ["no", "stop", "yeah but", "I see a dog", "wait a moment", "Tuesday"])
def test_words_interrupt(said: str) -> None:
    assert meaning_of([said], trusted=True) is Meaning.INTERRUPTS


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Mum.", Meaning.DOUBTFUL),
        ("But, uh,", Meaning.DOUBTFUL),
        ("I think.", Meaning.DOUBTFUL),
        ("Stop.", Meaning.INTERRUPTS),
        ("no wait", Meaning.INTERRUPTS),
        ("I want tea", Meaning.INTERRUPTS),
        ("mhm", Meaning.BACKCHANNEL),
    ],
)
def test_single_words_of_a_recognizer_that_is_not_sure_are_doubted(said: str, meaning: Meaning) -> None:
    assert meaning_of([said], trusted=False) is meaning


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("I would like to book a table for", Ending.UNFINISHED),
        ("I would like to book a table for.", Ending.UNFINISHED),
        ("Tell me about the", Ending.UNFINISHED),
        ("I went there and, um", Ending.UNFINISHED),
        ("Bread, milk,", Ending.UNFINISHED),
        ("I like tea because…", Ending.UNFINISHED),
        ("What are you looking at", Ending.OPEN),
        ("Where does it come from?", Ending.FINISHED),
        ("Could you remind me too?", Ending.UNFINISHED),
        ("I want you too.", Ending.FINISHED),
        ("The man who lives next to the old church", Ending.UNFINISHED),
        ("The man? Who lives next to the old church?", Ending.UNFINISHED),
        ("My very old car, which needs new tires.", Ending.UNFINISHED),
        ("The man who lives next to the old church is my uncle.", Ending.FINISHED),
        ("The man who lives next door called", Ending.OPEN),
        ("The weather is fine. Who cares?", Ending.FINISHED),
        ("I know the man who lives next door.", Ending.FINISHED),
        ("A table for two", Ending.OPEN),
        ("A table for two.", Ending.FINISHED),
        ("", Ending.OPEN),
    ],
)
def test_how_a_text_ends(text: str, ending: Ending) -> None:
    assert ending_of(text, "en-GB") is ending


def test_words_of_other_languages_say_nothing() -> None:
    assert ending_of("ich weiß nicht was an", "de") is Ending.OPEN
    assert ending_of("Brot, Milch,", "de") is Ending.UNFINISHED
