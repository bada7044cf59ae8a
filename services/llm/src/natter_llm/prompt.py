"""Fits a context into a small model's window. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from natter_llm.provider import ChatMessage

# A message's frame in a chat template.
_TOKENS_PER_MESSAGE = 5
# English has about 4.2 characters in a token of such models; careful on purpose.
_CHARS_PER_TOKEN = 3.5
# Old messages go in blocks: if one went each turn, the prompt's beginning would always change and no cache would help.
_BLOCK = 4
# Of a tool's result; more than that only confuses a small model.
_MOST_RESULT_CHARS = 300


def estimate_tokens(message: ChatMessage) -> int:
    """About how many tokens a message takes."""
    return _TOKENS_PER_MESSAGE + round(len(message.content) / _CHARS_PER_TOKEN)


def fit_messages(messages: Sequence[ChatMessage], budget_tokens: int) -> list[ChatMessage]:
    """Drop the oldest messages (never the system prompt nor the last message) until about ``budget_tokens`` are left.

    What cannot be dropped is shortened: the system prompt at its end, the last message at its start. Text that looks
    like the chat template's own marks is defused, so that nobody can speak in another role.
    """
    plain = without_tools(messages)
    defused = [replace(message, content=message.content.replace("<|", "< |")) for message in plain]
    if not defused:
        return []
    head = [defused[0]] if defused[0].role == "system" else []
    tail = defused[len(head) :]
    last = tail[-1:]
    middle = tail[:-1]
    if head:
        head = [_shortened(head[0], budget_tokens // 2, keep_end=False)]
    last = [_shortened(message, budget_tokens // 2, keep_end=True) for message in last]
    left = budget_tokens - sum(map(estimate_tokens, head + last))
    while middle and sum(map(estimate_tokens, middle)) > left:
        middle = middle[_BLOCK:]
    return head + middle + last


def without_tools(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """For a model that knows no tools: calls go, a result becomes a line of text, "(weather: 12 degrees)"."""
    names: dict[str, str] = {}
    results: list[ChatMessage] = []
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool":
            said = " ".join(message.content.split())[:_MOST_RESULT_CHARS]
            results.append(ChatMessage("user", f"({names.get(message.tool_call_id, 'result')}: {said})"))
        elif message.content or not message.tool_calls:
            results.append(replace(message, tool_calls=()))
    return results


def _shortened(message: ChatMessage, budget_tokens: int, *, keep_end: bool) -> ChatMessage:
    chars = round((budget_tokens - _TOKENS_PER_MESSAGE) * _CHARS_PER_TOKEN)
    if len(message.content) <= chars:
        return message
    content = message.content[-chars:] if keep_end else message.content[:chars]
    return replace(message, content=content)
