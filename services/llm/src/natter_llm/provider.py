"""What a language model has to be able to do for Natter: one small protocol, one provider a file.

A provider is registered through the entry point group ``natter.llm`` and made without arguments. It keeps warm
connections and prompt caches and nothing else: everything that a generation needs stands in its request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from natter_common.providers import Provider, ProviderError

Role = Literal["system", "user", "assistant", "tool"]
Reason = Literal["stop", "length", "tool_calls", "filtered"]

ENTRY_POINT_GROUP = "natter.llm"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants to run; ``arguments`` is a JSON object as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that the model may call; ``parameters`` is a JSON schema, as text."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the context. ``tool_call_id`` goes with role ``tool``: the call that this answers."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class LlmRequest:
    """All that one generation needs.

    Attributes:
        session: whose it is; only to find a warm cache again.
        messages: system prompt first, this turn's user message (or tool results) last.
        reply_so_far: text that this attempt has already said; the model goes on behind it.
        max_tokens: of the whole generation; 0 leaves it to the provider.
        max_sentences: of the whole reply; 0 leaves it to the provider.
        temperature: None leaves it to the provider.
        spoken: False when the reply is only read.
        model: None leaves it to the provider.
        tools: those that it may call.
    """

    session: str
    messages: tuple[ChatMessage, ...]
    reply_so_far: str = ""
    max_tokens: int = 0
    max_sentences: int = 0
    temperature: float | None = None
    spoken: bool = True
    model: str | None = None
    tools: tuple[ToolDefinition, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one generation; ``estimated`` when they were counted here and not told by the provider."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the reply's text; never empty.

    ``border``: the provider knows that a sentence ends here and another follows, though nothing of that was told yet.
    """

    text: str
    border: bool = False


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """The generation stops here until these have run; an ``End`` with reason ``tool_calls`` follows."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Last event of a generation that was not cancelled."""

    reason: Reason
    usage: Usage


LlmEvent = Delta | ToolCalls | End


class LlmError(ProviderError):
    """A generation that failed."""


@runtime_checkable
class LlmProvider(Provider, Protocol):
    """A language model. One instance serves all sessions of a worker, from one event loop."""

    async def warm(self, request: LlmRequest) -> None:
        """Take the request's messages into the prompt cache, where there is one. Makes no text."""
        ...

    def generate(self, request: LlmRequest) -> AsyncGenerator[LlmEvent, None]:
        """Yield deltas (or tool calls), then one ``End``. ``aclose()`` or cancellation stops the inference at once.

        Raises LlmError, also in the middle.
        """
        ...
