"""Bodies of chat completions, and what a server's refusals teach."""

from typing import Any

import pytest

from natter_llm.openai.request import DEFAULT_MAX_TOKENS, Dialect, answered, body_of
from natter_llm.provider import ChatMessage, LlmRequest, ToolCall, ToolDefinition

ASK = ChatMessage("user", "How warm is it in Ulm?")
CALLS = ChatMessage("assistant", "", (ToolCall("a", "weather", '{"city":"Ulm"}'),))
RESULT = ChatMessage("tool", "12 degrees", tool_call_id="a")


def body(official: bool = False, model: str = "m", *messages: ChatMessage, **fields: Any) -> dict[str, Any]:
    return body_of(LlmRequest("session-1", messages or (ASK,), **fields), model, Dialect(official))


def test_a_server_of_ones_own_gets_what_every_server_knows() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": ASK.content}],
        "max_tokens": DEFAULT_MAX_TOKENS,
        "stream_options": {"include_usage": True},
    }


def test_the_official_api_gets_more() -> None:
    made = body(True, "gpt-5.4-mini", max_tokens=50, temperature=0.3)
    assert made["max_completion_tokens"] == 50
    assert "max_tokens" not in made
    assert (made["prompt_cache_key"], made["temperature"], made["reasoning_effort"]) == ("session-1", 0.3, "none")


@pytest.mark.parametrize(
    ("model", "effort"),
    [("gpt-5-mini", "minimal"), ("gpt-5", "minimal"), ("gpt-6-luna", "none"), ("o3", "low"), ("gpt-4.1", None)],
)
def test_models_that_think_are_asked_to_think_little(model: str, effort: str | None) -> None:
    assert body(True, model).get("reasoning_effort") == effort


def test_the_beginning_stays_the_same_from_turn_to_turn() -> None:
    tools = (ToolDefinition("weather", "Tells the weather.", ""),)
    first = body(False, "m", ASK, tools=tools)
    second = body(False, "m", ASK, ChatMessage("assistant", "Warm."), ASK, tools=tools)
    assert second["messages"][:1] == first["messages"]
    assert list(first) == list(second)
    assert first["tools"] == second["tools"]


def test_tools_and_their_results() -> None:
    schema = '{"type": "object", "properties": {"city": {"type": "string"}}}'
    made = body(False, "m", ASK, CALLS, RESULT, tools=(ToolDefinition("weather", "Tells the weather.", schema),))
    assert made["tools"][0]["function"]["parameters"]["properties"] == {"city": {"type": "string"}}
    function = {"name": "weather", "arguments": '{"city":"Ulm"}'}
    assert made["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "content": "12 degrees", "tool_call_id": "a"},
    ]


@pytest.mark.parametrize(("official", "role"), [(True, "system"), (False, "user")])
def test_a_reply_is_gone_on_with(official: bool, role: str) -> None:
    said, instruction = body(official, "m", ASK, reply_so_far="It is warm. ")["messages"][-2:]
    assert said == {"role": "assistant", "content": "It is warm."}
    assert instruction["role"] == role


def test_calls_and_results_without_the_other() -> None:
    assert answered([ASK, CALLS, RESULT]) == [ASK, CALLS, RESULT]
    assert answered([ASK, CALLS, ASK]) == [ASK, ASK]
    assert answered([RESULT, ASK]) == [ChatMessage("user", "(a tool said: 12 degrees)"), ASK]
    both = ChatMessage("assistant", "Wait.", (*CALLS.tool_calls, ToolCall("b", "time", "{}")))
    assert answered([both, RESULT]) == [ChatMessage("assistant", "Wait.", CALLS.tool_calls), RESULT]
    assert answered([both]) == [ChatMessage("assistant", "Wait.")]
    # A second result of the same call is none.
    assert [message.role for message in answered([CALLS, RESULT, RESULT])] == ["assistant", "tool", "user"]


@pytest.mark.parametrize(
    ("official", "parameter", "words", "gone", "there"),
    [
        (True, "temperature", "Unsupported value: 'temperature' does not support 0.3", "temperature", None),
        (False, "", "`temperature` is not supported by this model", "temperature", None),
        (True, "max_completion_tokens", "Unsupported parameter", "max_completion_tokens", "max_tokens"),
        (
            False,
            "max_tokens",
            "Unsupported parameter: use max_completion_tokens",
            "max_tokens",
            "max_completion_tokens",
        ),
        (False, "", "stream_options: Extra inputs are not permitted", "stream_options", None),
        (True, "reasoning_effort", "Unrecognized request argument", "reasoning_effort", None),
    ],
)
def test_what_is_refused_is_left_out(official: bool, parameter: str, words: str, gone: str, there: str | None) -> None:
    dialect = Dialect(official)
    request = LlmRequest("s", (ASK,), temperature=0.3, max_tokens=9)
    sent = body_of(request, "gpt-5.4-mini", dialect)
    assert gone in sent
    assert dialect.learn(sent, parameter, words)
    again = body_of(request, "gpt-5.4-mini", dialect)
    assert gone not in again
    assert there is None or again[there] == 9
    # What is not sent can't be the cause any more.
    assert not dialect.learn(again, gone, words)


def test_other_refusals_teach_nothing() -> None:
    dialect = Dialect(True)
    sent = body_of(LlmRequest("s", (ASK,), max_tokens=99_999), "m", dialect)
    assert not dialect.learn(sent, "max_completion_tokens", "max_completion_tokens is too large: 99999")
    assert not dialect.learn(sent, "model", "The model 'm' is not supported")
    assert body_of(LlmRequest("s", (ASK,), max_tokens=99_999), "m", dialect) == sent
