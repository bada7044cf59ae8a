"""Putting a reply together from its chunks."""

from itertools import count
from typing import Any

import pytest

from natter_llm.openai.chunks import MalformedChunkError, ReplyReader
from natter_llm.provider import ToolCall, Usage


def reader() -> ReplyReader:
    numbers = count(1)
    return ReplyReader(lambda: f"made-{next(numbers)}")


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    piece = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return chunk(tool_calls=[{key: value for key, value in piece.items() if value is not None}])


def calls_of(*chunks: dict[str, Any]) -> tuple[ToolCall, ...]:
    read = reader()
    for one in chunks:
        read.feed(one)
    read.feed(chunk("tool_calls"))
    assert read.finished
    assert read.reason == ("tool_calls" if read.tool_calls() else "stop")
    return read.tool_calls()


def test_text_and_its_end() -> None:
    read = reader()
    assert read.feed(chunk(role="assistant", content="")) == ""
    assert not read.progressed
    assert read.feed(chunk(content="Hello")) == "Hello"
    assert read.progressed
    assert read.feed(chunk("stop")) == ""
    assert read.progressed
    assert (read.finished, read.reason, read.has_usage) == (True, "stop", False)
    read.feed({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
    assert read.usage(77) == Usage(9, 2)


def test_usage_that_is_not_told_is_counted() -> None:
    read = reader()
    for text in ("Hello", " there", ", my friend from a far away country"):
        read.feed(chunk(content=text))
    assert read.usage(12) == Usage(12, 11, estimated=True)


def test_usage_with_every_chunk_is_the_last() -> None:
    read = reader()
    for n in (1, 2):
        read.feed(chunk(content="a") | {"usage": {"prompt_tokens": 5, "completion_tokens": n}})
    read.feed(chunk("stop") | {"usage": None})
    assert read.usage(0) == Usage(5, 2)


def test_cached_tokens() -> None:
    read = reader()
    details = {"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 40}}
    read.feed({"choices": None, "usage": details})
    assert read.usage(0) == Usage(50, 1, 40)


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "length"), ("content_filter", "filtered"), ("stop", "stop"), ("eos", "stop")]
)
def test_reasons(finish: str, reason: str) -> None:
    read = reader()
    read.feed(chunk(finish, content="a"))
    assert read.reason == reason


def test_thinking_aloud_is_progress_and_no_text() -> None:
    read = reader()
    assert read.feed(chunk(reasoning_content="Hm, the caller wants")) == ""
    assert read.progressed


def test_refusals_are_text() -> None:
    assert reader().feed(chunk(refusal="I can't help with that.")) == "I can't help with that."


def test_only_the_first_choice_counts() -> None:
    assert reader().feed({"choices": [{"index": 1, "delta": {"content": "other"}}]}) == ""


def test_calls_in_pieces_join_by_index() -> None:
    assert calls_of(
        call(0, "call_a", "weather", ""),
        call(0, None, None, '{"ci'),
        call(1, "call_b", "ti", ""),
        call(0, None, None, 'ty": "Ulm"}'),
        call(1, None, "me", "{}"),
    ) == (ToolCall("call_a", "weather", '{"city": "Ulm"}'), ToolCall("call_b", "time", "{}"))


def test_whole_calls_in_one_chunk() -> None:
    both = chunk(
        tool_calls=[
            {"index": 1, "id": "b", "function": {"name": "time", "arguments": ""}},
            {"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"city": "Ulm"}'}},
        ]
    )
    assert calls_of(both) == (ToolCall("a", "weather", '{"city": "Ulm"}'), ToolCall("b", "time", "{}"))


def test_calls_that_share_an_index() -> None:
    assert calls_of(call(0, "a", "weather", '{"city": "Ulm"}'), call(0, "b", "weather", '{"city": "Bonn"}')) == (
        ToolCall("a", "weather", '{"city": "Ulm"}'),
        ToolCall("b", "weather", '{"city": "Bonn"}'),
    )


def test_calls_without_an_index_or_id() -> None:
    assert calls_of(call(None, "a", "weather", '{"a'), call(None, None, None, '": 1}'), call(None, "b", "time")) == (
        ToolCall("a", "weather", '{"a": 1}'),
        ToolCall("b", "time", "{}"),
    )
    assert calls_of(call(0, None, "weather", "{}")) == (ToolCall("made-1", "weather", "{}"),)


def test_names_and_ids_that_are_repeated() -> None:
    assert calls_of(call(0, "a", "weather", "{"), call(0, "a", "weather", "}")) == (ToolCall("a", "weather", "{}"),)


def test_arguments_as_an_object() -> None:
    assert calls_of(call(0, "a", "weather", {"city": "Ulm"})) == (ToolCall("a", "weather", '{"city": "Ulm"}'),)


def test_stop_behind_calls_means_calls() -> None:
    read = reader()
    read.feed(call(0, "a", "weather", "{}"))
    read.feed(chunk("stop"))
    assert read.reason == "tool_calls"


@pytest.mark.parametrize(
    "garbage",
    [None, "text", [1], {}, {"foo": 1}, {"choices": 3}, {"choices": [{"index": 0, "delta": {"content": ["secret"]}}]}],
)
def test_garbage_is_told_from_chunks_and_not_quoted(garbage: object) -> None:
    with pytest.raises(MalformedChunkError) as caught:
        reader().feed(garbage)
    assert "secret" not in str(caught.value)
