"""Reads the chunks of a streamed chat completion. Pure.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. Servers that imitate it differ in details; what
is read here is as little as a reply needs, and lenient where they are known to differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from natter_llm.provider import Reason, ToolCall, Usage

# Some servers send more than one token in a chunk; English has about four characters in a token.
_CHARS_PER_TOKEN: Final = 4


class MalformedChunkError(ValueError):
    """A chunk that is none; the text names the field, never its content."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


def _as_text(value: Any) -> Any:
    """Arguments are JSON in a string; a few servers send the object itself."""
    return json.dumps(value) if isinstance(value, dict) else value


class _Function(_Wire):
    name: str | None = None
    arguments: Annotated[str | None, BeforeValidator(_as_text)] = None


class _ToolCallPiece(_Wire):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(_Wire):
    content: str | None = None
    refusal: str | None = None
    # What reasoning models think aloud, by the two names in use: it is progress, and never said.
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[_ToolCallPiece] | None = None


class _Choice(_Wire):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(_Wire):
    cached_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(_Wire):
    choices: list[_Choice] | None
    usage: _Usage | None = None


@dataclass(slots=True)
class _GrowingCall:
    id: str = ""
    name: str = ""
    arguments: str = ""

    def takes(self, piece: _ToolCallPiece) -> bool:
        """Is ``piece`` more of this call? Some servers give each call of a reply the same index."""
        name = piece.function.name if piece.function else None
        other = bool(piece.id) and piece.id != self.id and bool(name) and bool(self.id)
        return not (other and _is_json(self.arguments))

    def add(self, piece: _ToolCallPiece) -> None:
        # Whole names and ids are repeated by some servers with every piece.
        if piece.id and piece.id != self.id:
            self.id += piece.id
        if piece.function is None:
            return
        if piece.function.name and piece.function.name != self.name:
            self.name += piece.function.name
        self.arguments += piece.function.arguments or ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class ReplyReader:
    """Puts a reply together from its chunks.

    Args:
        new_id: makes the id of a tool call that came without one.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._calls: list[tuple[int, _GrowingCall]] = []
        self._usage: _Usage | None = None
        self._pieces = 0
        self._chars = 0
        self._finished = ""
        self._chunks = 0
        self._progressed = False

    @property
    def chunks(self) -> int:
        """How many chunks were read."""
        return self._chunks

    @property
    def progressed(self) -> bool:
        """Did the last chunk bring anything of the reply, or its end?"""
        return self._progressed

    @property
    def finished(self) -> bool:
        """Was there a reason to finish? Only usage may come then."""
        return bool(self._finished)

    @property
    def has_usage(self) -> bool:
        """Did the server say what was used?"""
        return self._usage is not None

    @property
    def reason(self) -> Reason:
        """Why the reply ended. Some servers say "stop" behind tool calls."""
        match self._finished:
            case "length":
                return "length"
            case "content_filter":
                return "filtered"
            case _:
                return "tool_calls" if any(call.name for _, call in self._calls) else "stop"

    def feed(self, chunk: object) -> str:
        """Take a chunk as decoded from JSON; return the text in it, perhaps none.

        Raises:
            MalformedChunkError: it is no chunk.
        """
        try:
            read = _Chunk.model_validate(chunk)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "chunk"
            raise MalformedChunkError(f"{where}: {first['msg']}") from None
        self._chunks += 1
        self._progressed = False
        # Usage comes behind the end, or with every chunk and growing.
        self._usage = read.usage or self._usage
        text = ""
        for choice in read.choices or ():
            if choice.index == 0:
                text += self._feed_choice(choice)
        return text

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls, complete only when the reply is `finished`."""
        calls = [call for _, call in sorted(self._calls, key=lambda item: item[0]) if call.name]
        for call in calls:
            call.id = call.id or self._new_id()
        return tuple(ToolCall(call.id, call.name, call.arguments.strip() or "{}") for call in calls)

    def usage(self, prompt_tokens: int) -> Usage:
        """What was used; counted from the chunks where the server does not say, ``prompt_tokens`` as estimated."""
        told = self._usage
        if told is None or told.prompt_tokens is None or told.completion_tokens is None:
            counted = max(self._pieces, self._chars // _CHARS_PER_TOKEN)
            return Usage(prompt_tokens, counted, estimated=True)
        details = told.prompt_tokens_details
        cached = details.cached_tokens if details else None
        return Usage(told.prompt_tokens, told.completion_tokens, cached or 0)

    def _feed_choice(self, choice: _Choice) -> str:
        delta = choice.delta or _Delta()
        text = (delta.content or "") + (delta.refusal or "")
        said = [text] if text else []
        said += [thought for thought in (delta.reasoning_content, delta.reasoning) if isinstance(thought, str)]
        for piece in delta.tool_calls or ():
            self._add_call(piece)
            said.append((piece.function and piece.function.arguments) or "")
        if said:
            self._pieces += 1
            self._chars += sum(map(len, said))
        if choice.finish_reason:
            self._finished = choice.finish_reason
        self._progressed = self._progressed or bool(said) or bool(choice.finish_reason)
        return text

    def _add_call(self, piece: _ToolCallPiece) -> None:
        index = piece.index
        if index is None:
            # Without an index, an id begins a call.
            last = self._calls[-1][0] if self._calls else -1
            index = last + 1 if piece.id or last < 0 else last
        call = next((call for at, call in reversed(self._calls) if at == index and call.takes(piece)), None)
        if call is None:
            call = _GrowingCall()
            self._calls.append((index, call))
        call.add(piece)
