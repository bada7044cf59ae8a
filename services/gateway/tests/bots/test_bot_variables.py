"""Variables: declared in the file, given at the start, filled into the texts and nowhere else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_gateway.bots import Bot, Variable, VariableError
from natter_gateway.bots.variables import MAX_VALUE_CHARACTERS, choose, fill, placeholders


def bot(**fields: Any) -> Bot:
    return Bot.model_validate({"id": "b", "name": "B", "prompt": "Be B.", **fields})


HOTEL = bot(
    greeting="Hello {{guest}}, room {{ room }}.",
    prompt="You work at {{hotel}}. Breakfast: {{breakfast}}, {{price}} euros.",
    prompt_small="You work at {{hotel}}.",
    variables={"guest": None, "room": 12, "hotel": "the Ritz", "breakfast": True, "price": 9.5},
)


def test_defaults_and_given_values_are_filled_in() -> None:
    made = HOTEL.with_variables({"guest": "Ann", "hotel": "the Adlon"})
    assert made.greeting == "Hello Ann, room 12."
    assert made.prompt == "You work at the Adlon. Breakfast: true, 9.5 euros."
    assert made.prompt_small == "You work at the Adlon."
    assert HOTEL.greeting.startswith("Hello {{guest}}"), "the bot itself stays as it is"


def test_declared_variables_are_listed() -> None:
    assert [variable.name for variable in HOTEL.variables if variable.required] == ["guest"]
    assert HOTEL.variables[1] == Variable("room", 12)


def test_a_value_is_text_also_where_it_looks_like_a_variable() -> None:
    made = HOTEL.with_variables({"guest": "{{hotel}} {{guest}}", "hotel": "\\1 \\g<0> {{x}}"})
    assert made.greeting == "Hello {{hotel}} {{guest}}, room 12."
    assert made.prompt_small == "You work at \\1 \\g<0> {{x}}."
    assert made.with_variables({}).greeting == made.greeting, "nothing is filled a second time"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=50))
def test_any_text_arrives_as_it_is(text: str) -> None:
    assert HOTEL.with_variables({"guest": text}).greeting == f"Hello {text}, room 12."


def test_a_bot_without_variables_takes_none() -> None:
    assert bot().with_variables({}) == bot()
    with pytest.raises(VariableError, match=r"^there is no variable 'x'; this bot has none$"):
        bot().with_variables({"x": 1})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no value is given for 'guest'; this bot has: guest, room, hotel, breakfast, price"),
        ({"guest": "A", "rom": 1, "Room": 2}, "there are no variables 'rom', 'Room'; this bot has: guest, room"),
        ({"guest": None}, "the variable guest should be text, a number, true or false"),
        ({"guest": ["A"]}, "the variable guest should be text, a number, true or false"),
        ({"guest": {"a": 1}}, "the variable guest should be text"),
        ({"guest": float("nan")}, "the variable guest should be text"),
        ({"guest": "x" * (MAX_VALUE_CHARACTERS + 1)}, "the variable guest is longer than 1000 characters"),
        ({"guest": 10**MAX_VALUE_CHARACTERS}, "the variable guest is longer than 1000 characters"),
        ({"guest": 1 << 100_000}, "the variable guest is longer than 1000 characters"),
        ({"guest": "a\tb"}, "the variable guest has control characters in it"),
        ({"guest": "a\x00b"}, "the variable guest has control characters in it"),
        ({"guest": "\ud800"}, "the variable guest has control characters in it"),
        ({"guest": "x" * 990}, "with these variables greeting is longer than 1000 characters"),
    ],
)
def test_values_that_do_not_fit(values: dict[str, Any], words: str) -> None:
    with pytest.raises(VariableError) as caught:
        HOTEL.with_variables(values)
    assert str(caught.value).startswith(words)


def test_values_may_have_lines_and_be_empty_but_not_all_of_a_prompt() -> None:
    assert fill("{{a}}", choose([Variable("a", None)], {"a": "1\n2"})) == "1\n2"
    made = bot(prompt="{{all}}", greeting="{{all}}", variables={"all": "x"})
    with pytest.raises(VariableError, match="prompt is empty"):
        made.with_variables({"all": " "})


def test_what_counts_as_a_placeholder() -> None:
    assert placeholders("{{a}} {{ b }} {{a}} {{C-d}} {{}} {{ }} {a} { {b} } {{x y}}") == ["a", "b", "C-d"]
    assert fill("{{a}} {{b}}", {"a": "1"}) == "1 {{b}}"
