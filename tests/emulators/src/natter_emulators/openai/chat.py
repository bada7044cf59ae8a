"""One chat completion without the network: a request in, chunks out.

After https://platform.openai.com/docs/api-reference/chat-streaming and the types of `openai` 3.54.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from natter_bench.words import normalise
from natter_emulators.script import DEFAULT_REPLIES, Messages, Part, Reply

FinishReason = Literal["stop", "length", "tool_calls"]

# "'s" and the like are one token, as in OpenAI's vocabularies (https://github.com/openai/tiktoken).
_TOKEN: Final = re.compile(r"(?<=\w)['’](?:s|t|re|ve|m|ll|d)\b|\s*(?:[^\W_]+|[\W_])|\s+$", re.IGNORECASE)
_LONGEST_TOKEN_LETTERS: Final = 6
_ARGUMENT_PIECE_LETTERS: Final = 8
_CREATED: Final = 1_715_367_049
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_TOKENS: Final = 4  # what a message costs beside its text
_UNANSWERED: Final = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: {ids}"
)
_UNASKED: Final = (
    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
)


class BadRequestError(ValueError):
    """A request that the service answers with 400; the text is its message."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Piece:
    """One token: the delta that carries it, and how many whole words had been said before it."""

    delta: Mapping[str, Any]
    words_before: int


@dataclass(frozen=True, slots=True)
class Generation:
    """What the model will say.

    Attributes:
        prompt_tokens: estimated.
        usage: whether the client wants the chunk with the tokens used.
    """

    model: str
    pieces: tuple[Piece, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    stream: bool
    usage: bool
    reply: Reply
    call_ids: tuple[str, ...]
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")

    @classmethod
    def of_request(cls, body: Mapping[str, Any], part: Part) -> Generation:
        """Read a request, and ask the script for the reply.

        Raises:
            BadRequestError: what the service would refuse.
        """
        messages = _messages(body)
        for tool in cast("Sequence[dict[str, Any]]", body.get("tools") or ()):
            name = tool.get("function", {}).get("name", "")
            if not _TOOL_NAME.fullmatch(name):
                raise BadRequestError(f"Invalid 'tools': {name!r} is not a name for a function.", "tools")
        reply = reply_to(messages, part)
        call_ids = tuple(f"call_{uuid.uuid4().hex[:24]}" for _ in reply.tool_calls)
        pieces = tuple(_pieces(reply, call_ids))
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        cut = isinstance(limit, int) and limit < len(pieces)
        options = cast("dict[str, Any]", body.get("stream_options") or {})
        return cls(
            model=str(body["model"]),
            pieces=pieces[:limit] if cut else pieces,
            finish_reason="length" if cut else "tool_calls" if reply.tool_calls else "stop",
            prompt_tokens=sum(_MESSAGE_TOKENS + len(tokens(text_of(message))) for message in messages),
            stream=bool(body.get("stream")),
            usage=bool(options.get("include_usage")),
            reply=reply,
            call_ids=call_ids,
        )

    def first(self) -> dict[str, Any]:
        """The chunk that opens the answer."""
        return self.chunk({"role": "assistant", "content": None if self.reply.tool_calls else "", "refusal": None})

    def chunk(self, delta: Mapping[str, Any], finish_reason: FinishReason | None = None) -> dict[str, Any]:
        """A chunk with this delta."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk([choice], None)

    def last(self) -> Iterator[dict[str, Any]]:
        """The chunks that close it: the reason, and the tokens used if they are wanted."""
        yield self.chunk({}, self.finish_reason)
        if self.usage:
            yield self._chunk([], self.used())

    def used(self) -> dict[str, int]:
        """Tokens."""
        made = len(self.pieces)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": made,
            "total_tokens": self.prompt_tokens + made,
        }

    def whole(self) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        text = "".join(piece.delta.get("content") or "" for piece in self.pieces)
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if self.reply.tool_calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
                for call, call_id in zip(self.reply.tool_calls, self.call_ids, strict=True)
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": _CREATED,
            "model": self.model,
            "choices": [choice],
            "usage": self.used(),
        }

    def _chunk(self, choices: list[dict[str, Any]], usage: dict[str, int] | None) -> dict[str, Any]:
        chunk: dict[str, Any] = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": None,
            "choices": choices,
        }
        if self.usage:
            chunk["usage"] = usage  # null in all but the last
        return chunk


def tokens(text: str) -> list[str]:
    """A text in pieces of a word or less, each with the space before it, as models cut them."""
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        split = len(token) // 2 if len(token.strip()) > _LONGEST_TOKEN_LETTERS else 0
        found += [token[:split], token[split:]] if split else [token]
    return found


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text, be it a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = cast("Sequence[Mapping[str, Any]]", content or ())
    return " ".join(str(part.get("text", "")) for part in parts)


def reply_to(messages: Messages, part: Part) -> Reply:
    """What the script says to these messages. Requests that end in a fault use up no reply."""
    replies = part.script.replies
    if replies is None:
        asked = sum(message.get("role") == "user" for message in messages)
        return Reply(DEFAULT_REPLIES[max(0, asked - 1) % len(DEFAULT_REPLIES)])
    if callable(replies):
        return replies(messages)
    if not replies:
        return Reply()
    times = part.script.times
    place = part.number if times is None else max(0, part.number - times)
    return replies[min(place, len(replies) - 1)]


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(body.get("model"), str):
        raise BadRequestError("you must provide a model parameter", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("Missing required parameter: 'messages'.", "messages")
    checked = cast("list[dict[str, Any]]", messages)
    open_ids: list[str] = []
    for message in checked:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_ids:
                raise BadRequestError(_UNASKED, "messages")
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            raise BadRequestError(_UNANSWERED.format(ids=", ".join(open_ids)), "messages")
        open_ids = [call["id"] for call in message.get("tool_calls") or ()]
    if open_ids:
        raise BadRequestError(_UNANSWERED.format(ids=", ".join(open_ids)), "messages")
    return checked


def _pieces(reply: Reply, call_ids: Sequence[str]) -> Iterator[Piece]:
    said = ""
    for token in tokens(reply.text):
        yield Piece({"content": token}, _whole_words(said, token))
        said += token
    words = len(normalise(reply.text))
    arguments: list[list[str]] = []
    for index, (call, call_id) in enumerate(zip(reply.tool_calls, call_ids, strict=True)):
        opening = {"index": index, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield Piece({"tool_calls": [opening]}, words)
        text = call.arguments_json
        arguments.append(
            [text[at : at + _ARGUMENT_PIECE_LETTERS] for at in range(0, len(text), _ARGUMENT_PIECE_LETTERS)]
        )
    # Calls made at once come interleaved, so that only their index tells whose a piece is. A piece counts as a word.
    for round_of_pieces in itertools.zip_longest(*arguments):
        for index, text in enumerate(round_of_pieces):
            if text is not None:
                yield Piece({"tool_calls": [{"index": index, "function": {"arguments": text}}]}, words)
                words += 1


def _whole_words(said: str, token: str) -> int:
    """Words that are complete before the token: the last one is not, if the token goes on with it."""
    words = len(normalise(said))
    return words - 1 if words and token[:1].isalnum() and said[-1:].isalnum() else words
