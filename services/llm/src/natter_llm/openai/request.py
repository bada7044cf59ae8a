"""From a request to the body of a chat completion, in the dialect that a server understands. Pure.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from natter_llm.provider import ChatMessage, LlmRequest, ToolDefinition

DEFAULT_MAX_TOKENS: Final = 1000
"""Of a reply whose bot sets none: about five minutes of speech. Small models on an own server may never stop else."""

_GO_ON: Final = (
    "Your last message was cut off there. Go on with it exactly where it ends: "
    "repeat nothing of it, do not start again, and do not mention this."
)

# What each model family of OpenAI's takes for "think as little as you can"; a caller waits. Newer ones know "none".
_LEAST_EFFORT: Final = (
    (re.compile(r"gpt-5(-|$)"), "minimal"),
    (re.compile(r"gpt-([6-9]|5\.)"), "none"),
    (re.compile(r"o\d"), "low"),
)
_REFUSED = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|extra input|extra field",
    re.IGNORECASE,
)
_NO_PARAMETERS: Final = '{"type": "object", "properties": {}}'
_OTHER_LIMIT: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


@dataclass(slots=True)
class Dialect:
    """What one model on one server takes, as far as its refusals have told.

    Attributes:
        official: OpenAI's own API, which newer models' parameters exist for; other servers get only what all know.
        refused: parameters that it does not take.
    """

    official: bool
    refused: set[str] = field(default_factory=set[str])

    @property
    def limit(self) -> str:
        """The parameter that limits the reply's length."""
        first = "max_completion_tokens" if self.official else "max_tokens"
        return _OTHER_LIMIT[first] if first in self.refused else first

    def learn(self, sent: Mapping[str, Any], parameter: str, words: str) -> bool:
        """Take a refusal (status 400 or 422) of the body ``sent``: is there a parameter to leave out next time?

        Args:
            sent: the body.
            parameter: which the server says is wrong; may be empty.
            words: the server's message.
        """
        droppable = ("temperature", "reasoning_effort", "stream_options", "prompt_cache_key", *_OTHER_LIMIT)
        for name in droppable:
            named = parameter == name or (not parameter and re.search(rf"\b{name}\b", words) is not None)
            if (
                name in sent
                and name not in self.refused
                and named
                and (name == "temperature" or _REFUSED.search(words))
            ):
                self.refused.add(name)
                return True
        return False


def body_of(request: LlmRequest, model: str, dialect: Dialect) -> dict[str, Any]:
    """The body without ``stream``. What changes least stands first, so that prefix caches hold."""
    body: dict[str, Any] = {"model": model, "messages": _messages(request, dialect)}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    body[dialect.limit] = request.max_tokens or DEFAULT_MAX_TOKENS
    if request.temperature is not None:
        body["temperature"] = request.temperature
    body["stream_options"] = {"include_usage": True}
    if dialect.official:
        body["prompt_cache_key"] = request.session
        if (effort := next((word for form, word in _LEAST_EFFORT if form.match(model)), None)) is not None:
            body["reasoning_effort"] = effort
    return {name: value for name, value in body.items() if name not in dialect.refused}


def _messages(request: LlmRequest, dialect: Dialect) -> list[dict[str, Any]]:
    messages = [_message(message) for message in answered(request.messages)]
    if said := request.reply_so_far.rstrip():
        messages.append({"role": "assistant", "content": said})
        # Chat templates of open models often refuse a system message that is not the first.
        messages.append({"role": "system" if dialect.official else "user", "content": _GO_ON})
    return messages


def answered(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Tool calls whose results follow, and results whose call precedes: the API refuses any other.

    One may be without the other at the edges of a trimmed context. A result without its call stays as a line of text.
    """
    results: list[ChatMessage] = []
    waiting: set[str] = set()
    for position, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id in waiting:
                waiting.discard(message.tool_call_id)
                results.append(message)
            else:
                results.append(ChatMessage("user", f"(a tool said: {message.content})"))
            continue
        calls = message.tool_calls
        if calls:
            following: set[str] = set()
            for later in messages[position + 1 :]:
                if later.role != "tool":
                    break
                following.add(later.tool_call_id)
            calls = tuple(call for call in calls if call.id in following)
        waiting = {call.id for call in calls}
        if calls or message.content or not message.tool_calls:
            results.append(ChatMessage(message.role, message.content, calls))
    return results


def _message(message: ChatMessage) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    return body


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    parameters: Any = json.loads(tool.parameters or _NO_PARAMETERS)
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}
