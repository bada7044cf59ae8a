"""A call's arguments as the model wrote them, checked against the tool's schema; what is wrong is said so that the
model can do better."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from natter_llm.tools.execution import ToolFailedError

MAX_ARGUMENT_CHARACTERS: Final = 64 * 1024
_MOST_PROBLEMS: Final = 3
_PROBLEM_CHARACTERS: Final = 160


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterator[ValidationError]: ...


class ArgumentsSchema:
    """The schema of one tool's arguments, compiled at its first use (checking a large one takes milliseconds)."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema: Final = schema
        self._validator: _Validator | None = None

    def parse(self, text: str) -> dict[str, Any]:
        """The arguments; raise `ToolFailedError` with what is wrong with them. No text at all means no arguments."""
        if len(text) > MAX_ARGUMENT_CHARACTERS:
            raise ToolFailedError(f"The arguments are longer than {MAX_ARGUMENT_CHARACTERS} characters.")
        try:
            arguments: object = json.loads(text or "{}", parse_constant=_no_such_number)
        except (ValueError, RecursionError) as error:
            raise ToolFailedError(
                f"The arguments are not valid JSON: {error}. Call it again with a JSON object."
            ) from error
        if not isinstance(arguments, dict):
            raise ToolFailedError("The arguments must be a JSON object. Call it again with one.")
        known = cast("dict[str, Any]", arguments)
        problems = self._problems(known)
        if problems:
            raise ToolFailedError(f"The arguments don't fit: {'; '.join(problems)}. Call it again with ones that do.")
        return known

    def _problems(self, arguments: dict[str, Any]) -> list[str]:
        try:
            if self._validator is None:
                Draft202012Validator.check_schema(self._schema)
                # A registry of its own: nothing is fetched, whatever the schema refers to.
                registry: Registry[Any] = Registry()
                self._validator = cast("_Validator", Draft202012Validator(self._schema, registry=registry))
            found: list[str] = []
            for error in self._validator.iter_errors(arguments):
                where = ".".join(str(step) for step in error.absolute_path)
                words = error.message[:_PROBLEM_CHARACTERS]
                found.append(f"{where}: {words}" if where else words)
                if len(found) == _MOST_PROBLEMS:
                    break
        except (SchemaError, Unresolvable, re.error, RecursionError) as error:
            raise ToolFailedError(f"The tool's own schema is broken: {str(error)[:_PROBLEM_CHARACTERS]}") from error
        return found


def _no_such_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
