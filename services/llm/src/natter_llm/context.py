"""From a turn frame to what a model is asked. Pure."""

from __future__ import annotations

from typing import Final

from natter_llm.lease_settings import LlmLeaseSettings
from natter_llm.provider import ChatMessage, LlmRequest, ToolCall
from natter_llm.provider import Role as ChatRole
from natter_proto import Message, Modality, Role, Turn
from natter_proto import ToolCall as ToolCallFrame

_ROLES: Final[dict[int, ChatRole]] = {
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "tool",
}


def request_of(turn: Turn, settings: LlmLeaseSettings) -> LlmRequest:
    """The request of an attempt: context, this turn's text, the results of its tools, and the reply so far."""
    messages = [_message(message) for message in turn.context]
    if turn.text:
        messages.append(ChatMessage("user", turn.text))
    messages += [ChatMessage("tool", result.result, tool_call_id=result.id) for result in turn.tool_results]
    return LlmRequest(
        session=turn.header.session,
        messages=tuple(messages),
        reply_so_far="".join(segment.text for segment in turn.reply_so_far),
        max_tokens=settings.max_tokens or 0,
        max_sentences=settings.max_sentences or 0,
        temperature=settings.temperature,
        spoken=turn.modality != Modality.MODALITY_TEXT,
    )


def segments_kept(turn: Turn) -> int:
    """The number of the last segment that was made already."""
    return max((segment.segment for segment in turn.reply_so_far), default=0)


def _message(message: Message) -> ChatMessage:
    return ChatMessage(
        _ROLES.get(message.role, "user"),
        message.content,
        tuple(_tool_call(call) for call in message.tool_calls),
        message.tool_call_id,
    )


def _tool_call(call: ToolCallFrame) -> ToolCall:
    return ToolCall(call.id, call.name, call.arguments)
