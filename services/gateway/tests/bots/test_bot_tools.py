"""Tools of a bot: what its file says, and what of it the llm worker is given."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from natter_gateway.bots import Bot
from natter_proto import Stage

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DEFAULTS = {
    "timeout_ms": 10_000,
    "read_only": False,
    "idempotent": False,
    "survives_interruption": False,
    "max_result_characters": 4_000,
}


def bot(*tools: dict[str, Any], **fields: Any) -> Bot:
    described = [{"name": "weather", "description": "Tells it.", "parameters": PARAMETERS, **tool} for tool in tools]
    return Bot.model_validate({"id": "b", "name": "B", "prompt": "Be B.", "tools": described, **fields})


def in_lease(tool: dict[str, Any]) -> dict[str, Any]:
    return json.loads(bot(tool).settings(Stage.STAGE_LLM, "local"))["tools"][0]


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"kind": "browser"}, {"kind": "browser"}),
        ({"kind": "nats"}, {"kind": "nats", "nats": {"tool": "weather"}}),
        ({"kind": "nats", "nats": {"tool": "w2"}}, {"kind": "nats", "nats": {"tool": "w2"}}),
        (
            {"kind": "http", "http": {"url": "https://example.org/w"}},
            {
                "kind": "http",
                "http": {"url": "https://example.org/w", "method": "POST", "headers": {}, "header_secrets": {}},
            },
        ),
        (
            {
                "kind": "http",
                "http": {
                    "url": "http://127.0.0.1:8000/w?a=b",
                    "method": "GET",
                    "secret": "HOOK_SECRET",
                    "headers": {"X-From": "natter"},
                    "header_secrets": {"Authorization": "HOOK_TOKEN"},
                },
            },
            {
                "kind": "http",
                "http": {
                    "url": "http://127.0.0.1:8000/w?a=b",
                    "method": "GET",
                    "secret": "HOOK_SECRET",
                    "headers": {"X-From": "natter"},
                    "header_secrets": {"Authorization": "HOOK_TOKEN"},
                },
            },
        ),
        (
            {"kind": "mcp", "mcp": {"command": ["uvx", "server"], "env": ["TZ"]}},
            {
                "kind": "mcp",
                "mcp": {"command": ["uvx", "server"], "env": ["TZ"], "header_secrets": {}, "tool": "weather"},
            },
        ),
        (
            {"kind": "mcp", "mcp": {"url": "http://host/mcp", "header_secrets": {"X-Key": "K"}, "tool": "get weather"}},
            {
                "kind": "mcp",
                "mcp": {"url": "http://host/mcp", "env": [], "header_secrets": {"X-Key": "K"}, "tool": "get weather"},
            },
        ),
    ],
)  # fmt: skip
def test_each_kind_in_the_lease(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    described = {"name": "weather", "description": "Tells it.", "parameters": PARAMETERS}
    assert in_lease(tool) == {**described, **DEFAULTS, **expected}


def test_what_the_conductor_needs_stays_with_the_bot() -> None:
    made = bot({"kind": "browser", "filler": "One moment.", "filler_after_ms": 300, "read_only": True})
    assert (made.tools[0].filler, made.tools[0].filler_after_ms, made.tools[0].read_only) == ("One moment.", 300, True)
    assert (bot({"kind": "browser"}).tools[0].filler, made.llm.max_tool_steps) == ("", 5)
    assert hash(made) == hash(
        bot({"kind": "browser", "filler": "One moment.", "filler_after_ms": 300, "read_only": True})
    )
    assert not any("filler" in key for key in in_lease({"kind": "browser", "filler": "One moment."}))


def test_a_tool_without_parameters_takes_no_arguments() -> None:
    made = Bot.model_validate(
        {"id": "b", "name": "B", "prompt": "p", "tools": [{"name": "now", "description": "d", "kind": "browser"}]}
    )
    assert json.loads(made.tools[0].parameters) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "tool",
    [
        {"kind": "ftp"},
        {"kind": "http"},
        {"kind": "mcp"},
        {"kind": "browser", "http": {"url": "https://example.org"}},
        {"kind": "nats", "http": {"url": "https://example.org"}},
        {"kind": "nats", "nats": {"tool": "a.b"}},
        {"kind": "http", "http": {"url": "ftp://example.org"}},
        {"kind": "http", "http": {"url": "https://"}},
        {"kind": "http", "http": {"url": "https://example.org/ x"}},
        {"kind": "http", "http": {"url": "https://example.org:99999/"}},
        {"kind": "http", "http": {"url": "https://example.org", "method": "get"}},
        {"kind": "http", "http": {"url": "https://example.org", "secret": "not a name"}},
        {"kind": "http", "http": {"url": "https://example.org", "headers": {"a b": "c"}}},
        {"kind": "http", "http": {"url": "https://example.org", "headers": {"a": "b\r\nc: d"}}},
        {"kind": "http", "http": {"url": "https://example.org", "headers": {"X-Natter-Signature": "mine"}}},
        {"kind": "http", "http": {"url": "https://example.org", "header_secrets": {"Authorization": "Bearer x"}}},
        {"kind": "mcp", "mcp": {}},
        {"kind": "mcp", "mcp": {"command": ["a"], "url": "http://localhost"}},
        {"kind": "mcp", "mcp": {"command": []}},
        {"kind": "mcp", "mcp": {"command": [""]}},
        {"kind": "mcp", "mcp": {"command": ["a"], "env": ["A=b"]}},
        {"kind": "browser", "timeout_ms": 99},
        {"kind": "browser", "timeout_ms": 120_001},
        {"kind": "browser", "max_result_characters": 99},
        {"kind": "browser", "filler": "x" * 201},
        {"kind": "browser", "name": "a.b"},
        {"kind": "browser", "description": " "},
        {"kind": "browser", "read_only": "yes"},
        {"kind": "browser", "parameters": {"type": "string"}},
        {"kind": "browser", "parameters": {"type": "object", "properties": {"a": {"type": "text"}}}},
        {"kind": "browser", "parameters": {"type": "object", "properties": {"a": {"$ref": "http://x/y.json"}}}},
        {"kind": "browser", "parameters": {"type": "object", "description": "x" * 16_384}},
        {"kind": "browser", "parameters": {"type": "object", "default": object()}},
        {"kind": "browser", "parameters": {"type": "object", "default": float("inf")}},
    ],
)
def test_a_tool_that_can_not_be_right(tool: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        bot(tool)


def test_names_differ_and_there_are_not_too_many() -> None:
    with pytest.raises(ValidationError, match="is the name of tools"):
        bot({"kind": "browser"}, {"kind": "nats"})
    many = [{"kind": "browser", "name": f"t{index}"} for index in range(65)]
    assert len(bot(*many[:64]).tools) == 64
    with pytest.raises(ValidationError, match="at most 64"):
        bot(*many)


def test_all_together_fit_a_frame() -> None:
    large = {"type": "object", "description": "x" * 16_000}
    with pytest.raises(ValidationError, match="are larger than 128 KiB together"):
        bot(*({"kind": "browser", "name": f"t{index}", "parameters": large} for index in range(9)))
