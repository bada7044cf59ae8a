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


def estimate_tokens(message: ChatMessage) -> int:
    """About how many tokens a message takes."""
    return _TOKENS_PER_MESSAGE + round(len(message.content) / _CHARS_PER_TOKEN)


def fit_messages(messages: Sequence[ChatMessage], budget_tokens: int) -> list[ChatMessage]:
    """Drop the oldest messages (never the system prompt nor the last message) until about ``budget_tokens`` are left.

    What cannot be dropped is shortened: the system prompt at its end, the last message at its start. Text that looks
    like the chat template's own marks is defused, so that nobody can speak in another role.
    """
    defused = [replace(message, content=message.content.replace("<|", "< |")) for message in messages]
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


def _shortened(message: ChatMessage, budget_tokens: int, *, keep_end: bool) -> ChatMessage:
    chars = round((budget_tokens - _TOKENS_PER_MESSAGE) * _CHARS_PER_TOKEN)
    if len(message.content) <= chars:
        return message
    content = message.content[-chars:] if keep_end else message.content[:chars]
    return replace(message, content=content)
