"""Section `call` of a bot: what happens when nobody speaks any more, and how long a call may get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from natter_gateway.bots.section import Section

CALL_TEXT_CHARACTERS: Final = 300
_Text = Annotated[str, Field(max_length=CALL_TEXT_CHARACTERS)] | None


@dataclass(frozen=True, slots=True)
class CallWords:
    """What the bot says by itself, word for word; what is empty is not said."""

    idle_question: str
    idle_goodbye: str
    length_goodbye: str
    not_understood: str


CALL_TEXTS: Final = ("idle_question", "idle_goodbye", "length_goodbye", "not_understood")
"""Fields of the section that are spoken and may have variables in them."""
_ENGLISH: Final = CallWords(
    "Are you still there?",
    "I can't hear you any more, so I'll hang up now. Goodbye!",
    "We have to stop here, our time is over. Goodbye!",
    "Sorry, I didn't catch that.",
)


class CallSection(Section):
    """When a call is ended. A text that is not given is English for a bot that speaks English, else nothing is said."""

    idle_after_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 30_000
    idle_close_ms: Annotated[int, Field(ge=1_000, le=3_600_000)] = 15_000
    max_length_s: Annotated[int, Field(ge=0, le=86_400)] = 3600
    idle_question: _Text = None
    idle_goodbye: _Text = None
    length_goodbye: _Text = None
    not_understood: _Text = None

    def texts(self) -> dict[str, str | None]:
        """The texts by field, None for those that the file does not have."""
        return {name: getattr(self, name) for name in CALL_TEXTS}

    def words(self, language: str) -> CallWords:
        """What is said by a bot of this language (as in `en-GB`)."""
        english = language.split("-")[0].lower() in ("en", "eng")
        return CallWords(
            **{
                name: text if text is not None else getattr(_ENGLISH, name) if english else ""
                for name, text in self.texts().items()
            }
        )
