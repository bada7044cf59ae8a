"""What a bot may say of a tool."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from natter_llm.tools.definition import BotTool, BotTools, HttpMethod, ToolKind

WEBHOOK: dict[str, Any] = {"name": "weather", "kind": "http", "http": {"url": "https://example.org/hook"}}


class Settings(BaseModel):
    tools: BotTools = ()


def test_defaults_of_a_webhook() -> None:
    tool = BotTool.model_validate_json(json.dumps(WEBHOOK))
    assert (tool.kind, tool.timeout_ms, tool.max_result_characters) == (ToolKind.HTTP, 10_000, 4_000)
    assert (tool.read_only, tool.idempotent, tool.survives_interruption) == (False, False, False)
    assert tool.http is not None
    assert tool.http.method is HttpMethod.POST
    assert tool.parameters["type"] == "object"


def test_what_a_newer_gateway_adds_is_tolerated() -> None:
    assert BotTool.model_validate(WEBHOOK | {"colour": "blue"}).name == "weather"


def test_what_the_model_is_told() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    told = BotTool.model_validate(WEBHOOK | {"description": "Weather", "parameters": schema}).for_model()
    assert (told.name, told.description, json.loads(told.parameters)) == ("weather", "Weather", schema)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "a.b"}, "name"),
        ({"name": ""}, "name"),
        ({"description": "x" * 1025}, "description"),
        ({"timeout_ms": 99}, "timeout_ms"),
        ({"timeout_ms": 120_001}, "timeout_ms"),
        ({"max_result_characters": 99}, "max_result_characters"),
        ({"kind": "carrier_pigeon"}, "kind"),
        ({"http": None}, "needs http.url"),
        ({"http": {"url": "file:///etc/passwd"}}, "http://"),
        ({"http": {"url": "http://"}}, "http://"),
        ({"http": {"url": "http://x", "headers": {"A": "b\r\nC: d"}}}, "no header"),
        ({"http": {"url": "http://x", "headers": {"X-Natter-Signature": "no"}}}, "by Natter itself"),
        ({"http": {"url": "http://x", "secret": "not a name"}}, "secret"),
        ({"parameters": {"type": "array"}}, "object"),
        ({"parameters": {"type": "object", "description": "x" * 16_384}}, "longer"),
        ({"parameters": {"type": "object", "properties": {"a": {"$ref": "http://x/y"}}}}, "outside"),
        ({"kind": "mcp"}, "mcp.command"),
        ({"kind": "mcp", "mcp": {}}, "either a command or a url"),
        ({"kind": "mcp", "mcp": {"command": ["a"], "url": "http://x"}}, "either a command or a url"),
        ({"kind": "mcp", "mcp": {"command": []}}, "command"),
        ({"kind": "nats", "nats": {"tool": "a.>"}}, "nats.tool"),
    ],
)
def test_what_can_not_be_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        BotTool.model_validate_json(json.dumps(WEBHOOK | change))
    told = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()]
    assert any(words in line for line in told), told


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two tools are called weather"):
        Settings.model_validate_json(json.dumps({"tools": [WEBHOOK, WEBHOOK]}))
