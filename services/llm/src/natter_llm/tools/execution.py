"""What the runner hands to an executor, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from natter_llm.tools.definition import BotTool
from natter_proto import Header

MAX_WORDS: Final = 500
"""Characters of an error that are passed on."""


class ToolFailedError(Exception):
    """The tool did not do it; the text is for the model (and through it for the caller): no keys, no traces."""

    def __init__(self, words: str) -> None:
        super().__init__(words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + "…")


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One call with its arguments checked.

    Attributes:
        call_id: ``turn.step.index``, unique in the session.
        arguments_json: the same arguments as the model wrote them.
        header: of the order; names session, turn and attempt.
    """

    tool: BotTool
    call_id: str
    arguments: dict[str, Any]
    arguments_json: str
    header: Header

    @property
    def key(self) -> str:
        """The same for the same call, whoever runs it: for receivers that must not do it twice."""
        return f"{self.header.session}.{self.call_id}"


@dataclass(frozen=True, slots=True)
class ToolText:
    """What a tool said. ``more``: there was more than was read."""

    text: str
    more: bool = False


class ToolExecutor(Protocol):
    """Runs the tools of one kind."""

    async def execute(self, request: ToolRequest) -> ToolText:
        """Run it and return its text; cancelling really stops the work, as far as the other side can be stopped.

        Raises ToolFailedError in words, or TimeoutError when nothing came back in time. The runner sets the deadline.
        """
        ...

    def problems(self, tool: BotTool) -> list[str]:
        """What is missing for this tool to run, in words; known without trying."""
        ...


def shortened(text: ToolText, most_characters: int) -> str:
    """The text, cut to its limit with a note that says so (the note comes on top of the limit)."""
    if len(text.text) <= most_characters and not text.more:
        return text.text
    whole = f"more than {len(text.text)}" if text.more else str(len(text.text))
    kept = min(most_characters, len(text.text))
    return f"{text.text[:kept]}… (cut: {kept} of {whole} characters)"
