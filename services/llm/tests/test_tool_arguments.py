"""Arguments of a call against the schema of its tool."""

from typing import Any

import pytest

from natter_llm.tools.arguments import MAX_ARGUMENT_CHARACTERS, ArgumentsSchema
from natter_llm.tools.execution import ToolFailedError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"$ref": "#/$defs/unit"},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"unit": {"enum": ["c", "f"]}},
}


def test_arguments_that_fit() -> None:
    assert ArgumentsSchema(SCHEMA).parse('{"city": "Ulm", "unit": "c"}') == {"city": "Ulm", "unit": "c"}


def test_a_model_that_writes_nothing_means_no_arguments() -> None:
    assert ArgumentsSchema({"type": "object"}).parse("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"city": "Ulm"', "not valid JSON"),
        ("[" * 60_000, "not valid JSON"),
        ('{"city": NaN}', "NaN"),
        ('["Ulm"]', "must be a JSON object"),
        ("{}", "'city' is a required property"),
        ('{"city": 3}', "city: 3 is not of type 'string'"),
        ('{"city": "Ulm", "days": 9}', "days: 9 is greater than the maximum of 7"),
        ('{"city": "Ulm", "unit": "k"}', "unit: 'k' is not one of"),
        ('{"city": "Ulm", "town": 1}', "'town' was unexpected"),
        ('"' + "x" * MAX_ARGUMENT_CHARACTERS + '"', "longer than"),
    ],
)
def test_what_is_wrong_is_said_so_that_the_model_can_do_better(text: str, words: str) -> None:
    with pytest.raises(ToolFailedError) as caught:
        ArgumentsSchema(SCHEMA).parse(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "strin"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_broken_schema_fails_the_call_only(schema: dict[str, Any]) -> None:
    with pytest.raises(ToolFailedError, match="own schema is broken"):
        ArgumentsSchema(schema).parse('{"a": "b"}')
