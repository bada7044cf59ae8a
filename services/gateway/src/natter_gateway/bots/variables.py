"""Variables of a bot: declared in its file, given at the start of a call, filled into its texts as `{{name}}`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from natter_gateway.bots.section import control_characters

MAX_VARIABLES: Final = 50
MAX_VALUE_CHARACTERS: Final = 1_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
# Whatever could be meant as a name, so that a misspelled one is found too. Other braces are text.
_PLACEHOLDER: Final = re.compile(r"\{\{[ \t]*([\w.-]+)[ \t]*\}\}")
# Beyond this many bits an integer has too many digits, and Python refuses to write out the largest of them.
_MAX_BITS: Final = 4 * MAX_VALUE_CHARACTERS
_SHOWN_CHARACTERS: Final = 60


class VariableError(ValueError):
    """Values that don't fit a bot's variables; the text says which, and which there are."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`default` is None where a value must be given."""

    name: str
    default: str | int | float | bool | None

    @property
    def required(self) -> bool:
        return self.default is None


def placeholders(text: str) -> list[str]:
    """Names that stand in `text` as `{{name}}`, each once, in order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{{name}}` replaced where `values` has it. What is filled in is text, also where it has braces."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def choose(variables: Sequence[Variable], given: Mapping[str, object]) -> dict[str, str]:
    """The text of every variable: the value that was given, else the default. Raises `VariableError`."""
    known = [variable.name for variable in variables]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise VariableError(f"there {_is_no(unknown)} {_listed(unknown)}; {_there_are(known)}")
    missing = [variable.name for variable in variables if variable.required and variable.name not in given]
    if missing:
        raise VariableError(f"no value is given for {_listed(missing)}; {_there_are(known)}")
    return {
        variable.name: value_text(variable.name, given.get(variable.name, variable.default)) for variable in variables
    }


def value_text(name: str, value: object) -> str:
    """A value as it stands in a text: `true` and `false` in small letters. Raises `VariableError`."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = value
        case int() if value.bit_length() <= _MAX_BITS:
            text = str(value)
        case float() if math.isfinite(value):
            text = repr(value)
        case int():
            text = "9" * (MAX_VALUE_CHARACTERS + 1)
        case _:
            raise VariableError(f"the variable {name} should be text, a number, true or false")
    if len(text) > MAX_VALUE_CHARACTERS:
        raise VariableError(f"the variable {name} is longer than {MAX_VALUE_CHARACTERS} characters")
    if control_characters(text, allowed="\n"):
        raise VariableError(f"the variable {name} has control characters in it; only line breaks are taken")
    return text


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:_SHOWN_CHARACTERS]) for name in names[:MAX_VARIABLES])


def _is_no(names: Sequence[str]) -> str:
    return "is no variable" if len(names) == 1 else "are no variables"


def _there_are(known: Sequence[str]) -> str:
    return f"this bot has: {', '.join(known)}" if known else "this bot has none"


def _declared(value: object) -> tuple[Variable, ...]:
    """The `variables` of a file, checked."""
    if not isinstance(value, dict):
        raise PydanticCustomError("variables", "should be lines of `name: default`")
    declared = cast("dict[Any, Any]", value)
    if len(declared) > MAX_VARIABLES:
        raise PydanticCustomError("variables", "are more than {most}", {"most": MAX_VARIABLES})
    variables: list[Variable] = []
    for name, default in declared.items():
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            words = "is no name of a variable: a small letter, then up to 39 of a-z 0-9 _"
            raise PydanticCustomError("variable_name", words, {"at": str(name)})
        if default is not None:
            try:
                value_text(name, default)
            except VariableError as error:
                words = str(error).removeprefix(f"the variable {name} ")
                raise PydanticCustomError("variable_default", "{words}", {"words": words, "at": name}) from error
        variables.append(Variable(name, default))
    return tuple(variables)


Variables = Annotated[tuple[Variable, ...], PlainValidator(_declared)]
"""Written as a mapping from names to defaults."""
