"""What the gateway writes into a lease of a bot's tools is what the llm worker reads: nothing refused, nothing lost."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from natter_gateway.bots import Bot
from natter_llm.tools.definition import BotTool, BotTools
from natter_proto import Stage

PARAMETERS = {"type": "object", "properties": {"Stadt": {"type": "string", "description": "wo? ☂"}}}
EXTREME = {
    "name": "t" * 64,
    "description": "ä" * 1024,
    "parameters": {"type": "object", "description": "ä" * 2_700},
    "timeout_ms": 120_000,
    "read_only": True,
    "idempotent": True,
    "survives_interruption": True,
    "max_result_characters": 100_000,
    "filler": "x" * 200,
}
TOOLS: dict[str, dict[str, Any]] = {
    "browser": {"kind": "browser"},
    "nats": {"kind": "nats"},
    "nats by name": {"kind": "nats", "nats": {"tool": "other"}},
    "http": {"kind": "http", "http": {"url": "https://example.org"}},
    "http in full": {
        "kind": "http",
        "http": {
            "url": "http://[::1]:8000/" + "x" * 2_000,
            "method": "DELETE",
            "secret": "S" * 128,
            "headers": {f"X-{index}": "v" * 1_024 for index in range(32)},
            "header_secrets": {f"Y-{index}": "TOKEN" for index in range(8)},
        },
    },
    "mcp by command": {
        "kind": "mcp",
        "mcp": {"command": ["x" * 4_096, *["y"] * 63], "env": [f"V{index}" for index in range(32)], "tool": "t" * 128},
    },
    "mcp by address": {"kind": "mcp", "mcp": {"url": "http://localhost/mcp", "header_secrets": {"Authorization": "T"}}},
}


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("common", [{"name": "find", "description": "Finds.", "parameters": PARAMETERS}, EXTREME])
def test_a_tool_of_a_bot_is_one_of_the_worker(kind: str, common: dict[str, Any]) -> None:
    written = {**common, **TOOLS[kind]}
    bot = Bot.model_validate({"id": "b", "name": "B", "prompt": "p", "tools": [written]})
    (sent,) = json.loads(bot.settings(Stage.STAGE_LLM, "local"))["tools"]
    (read,) = TypeAdapter[tuple[BotTool, ...]](BotTools).validate_python([sent])
    fields = read.model_dump(mode="json", exclude_none=True)
    assert fields["name"] == written["name"]
    assert json.loads(read.for_model().parameters) == written["parameters"]
    for part in ("http", "nats", "mcp"):
        for name, value in written.get(part, {}).items():
            assert fields[part][name] == value, f"{part}.{name}"
    for name in ("timeout_ms", "read_only", "idempotent", "survives_interruption", "max_result_characters"):
        assert fields[name] == bot.tools[0].model_dump()[name]
