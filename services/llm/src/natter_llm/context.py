"""From a turn frame to what a model is asked. Pure."""

from __future__ import annotations

from typing import Final

from natter_llm.lease_settings import LlmLeaseSettings
from natter_llm.provider import ChatMessage, LlmRequest, ToolCall
from natter_llm.provider import Role as ChatRole
from natter_proto import Message, Modality, Role, Summarize, Turn
from natter_proto import ToolCall as ToolCallFrame

_SUM_UP: Final = (
    "Sum up this phone call in a few plain sentences for the assistant that goes on with it: who the caller is, what "
    "they want, what was agreed, names, numbers and dates. Nothing else."
)
_SUMMARIES: Final = "summaries"
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
    results = {result.id: result.result for result in turn.tool_results}
    for step in turn.steps:
        messages.append(_message(step))
        # A call without a result is refused by models: there is always something to say of it.
        messages += [
            ChatMessage("tool", results.get(call.id, "Nothing is known of it."), tool_call_id=call.id)
            for call in step.tool_calls
        ]
    return LlmRequest(
        session=turn.header.session,
        messages=tuple(messages),
        reply_so_far="".join(segment.text for segment in turn.reply_so_far),
        max_tokens=settings.max_tokens or 0,
        max_sentences=settings.max_sentences or 0,
        temperature=settings.temperature,
        spoken=turn.modality != Modality.MODALITY_TEXT,
        model=settings.model,
        tools=tuple(tool.for_model() for tool in settings.tools),
    )


def segments_kept(turn: Turn) -> int:
    """The number of the last segment that was made already."""
    return max((segment.segment for segment in turn.reply_so_far), default=turn.segments_kept)


def summary_request(request: Summarize, settings: LlmLeaseSettings) -> LlmRequest:
    """The request that sums up old turns: they as one text, so that no model takes them for its own conversation."""
    lines = [_line(message) for message in request.context]
    return LlmRequest(
        # Not the session's: that would take the place of its prompt in the cache, just before its next turn.
        session=_SUMMARIES,
        messages=(ChatMessage("system", _SUM_UP), ChatMessage("user", "\n".join(line for line in lines if line))),
        max_tokens=request.max_tokens,
        temperature=settings.temperature,
        spoken=False,
        model=settings.model,
    )


def _line(message: Message) -> str:
    match _ROLES.get(message.role, "user"):
        case "system":
            return f"Before: {message.content}"
        case "tool":
            return f"Found: {message.content}"
        case "assistant":
            return f"Assistant: {message.content}" if message.content else ""
        case _:
            return f"Caller: {message.content}"


def _message(message: Message) -> ChatMessage:
    return ChatMessage(
        _ROLES.get(message.role, "user"),
        message.content,
        tuple(_tool_call(call) for call in message.tool_calls),
        message.tool_call_id,
    )


def _tool_call(call: ToolCallFrame) -> ToolCall:
    return ToolCall(call.id, call.name, call.arguments)
