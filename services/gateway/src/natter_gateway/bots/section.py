"""What all sections of a bot's file have in common, and the kinds of text that stand in them."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

_UNSPEAKABLE: Final = ("Cc", "Cs")
"""Unicode categories: control characters, and halves of surrogate pairs, which no UTF-8 can carry."""


class Section(BaseModel):
    """Frozen and hashable; unknown fields and other types than the field's are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def not_blank(text: str) -> str:
    """`text`, unless it is empty or only spaces."""
    if not text.strip():
        raise PydanticCustomError("blank", "is empty")
    return text


def control_characters(text: str, allowed: str = "") -> list[str]:
    """Characters of `text` that are no text, other than those `allowed`."""
    return [letter for letter in text if letter not in allowed and unicodedata.category(letter) in _UNSPEAKABLE]


def _one_line(text: str) -> str:
    if control_characters(text):
        raise PydanticCustomError("not_one_line", "should be one line without control characters")
    return text


def _as_tuple(value: object) -> object:
    """Hashable and frozen like the rest; the items themselves are checked after this."""
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""May stand in a NATS subject."""
Line = Annotated[str, AfterValidator(_one_line)]
"""Text without control characters; may be empty."""
FromList: Final = BeforeValidator(_as_tuple)
"""Takes the list of a file for a tuple."""
