"""Tools of a bot, as its file declares them: what the model may call, and who answers."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, Self, cast
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, SchemaError
from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from natter_gateway.bots.section import FromList, Line, Name, Section, control_characters, not_blank

MAX_TOOLS: Final = 64
MAX_SCHEMA_BYTES: Final = 16 * 1024
MAX_TOOLS_BYTES: Final = 128 * 1024
"""All tools of a bot together: they travel in one frame with the prompt."""
_MAX_HEADERS: Final = 32
_MAX_SECRETS: Final = 8
_MAX_HEADER_CHARACTERS: Final = 1_024
_OWN_HEADERS: Final = ("x-natter-", "idempotency-key", "content-", "host", "transfer-encoding", "connection")
"""Beginnings of headers that the llm worker sets itself."""
# RFC 9110: the characters of a token.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NO_PARAMETERS: Final = '{"type":"object","properties":{}}'


def _schema(value: object) -> str:
    """A JSON schema of an object, as JSON."""
    if not isinstance(value, dict):
        raise PydanticCustomError("schema", "should be a JSON schema of an object: `type: object`, `properties: …`")
    schema = cast("dict[str, Any]", value)
    if schema.get("type") != "object":
        raise PydanticCustomError("schema", "should have `type: object`: arguments of a tool have names")
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        words = "holds what JSON has no word for: {words}"
        raise PydanticCustomError("schema", words, {"words": str(error)}) from error
    if len(text) > MAX_SCHEMA_BYTES:
        raise PydanticCustomError("schema", "is larger than {most} KiB", {"most": MAX_SCHEMA_BYTES // 1024})
    outside = [reference for reference in _references(schema) if not reference.startswith("#")]
    if outside:
        words = "refers to {reference}, and nothing outside of the schema is fetched"
        raise PydanticCustomError("schema", words, {"reference": repr(outside[0][:80])})
    try:
        Draft202012Validator.check_schema(json.loads(text))
    except SchemaError as error:
        at = ".".join(map(str, error.absolute_path))
        context: dict[str, Any] = {"words": error.message[:200], **({"at": at} if at else {})}
        raise PydanticCustomError("schema", "is no JSON schema: {words}", context) from error
    return text


def _references(node: object) -> list[str]:
    """What `$ref` names anywhere in a schema."""
    if isinstance(node, dict):
        pairs = cast("dict[str, object]", node).items()
        own = [value for key, value in pairs if key in ("$ref", "$dynamicRef") and isinstance(value, str)]
        return own + [reference for _, value in pairs for reference in _references(value)]
    if isinstance(node, list):
        return [reference for item in cast("list[object]", node) for reference in _references(item)]
    return []


def _environment_name(text: str) -> str:
    if _ENVIRONMENT_NAME.fullmatch(text) is None:
        raise PydanticCustomError("environment_name", "is no name of an environment variable; its value stays there")
    return text


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine or any(letter.isspace() for letter in text):
        raise PydanticCustomError("web_address", "should be an address like https://example.org/hook")
    return text


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    """A mapping from header names to values."""
    if not isinstance(value, dict):
        raise PydanticCustomError("headers", "should be lines of `name: value`")
    pairs = cast("dict[Any, Any]", value)
    if len(pairs) > _MAX_HEADERS:
        raise PydanticCustomError("headers", "are more than {most}", {"most": _MAX_HEADERS})
    headers: list[tuple[str, str]] = []
    for name, text in pairs.items():
        if not isinstance(name, str) or _HEADER_NAME.fullmatch(name) is None:
            raise PydanticCustomError("header_name", "is no name of an HTTP header", {"at": str(name)})
        if name.lower().startswith(_OWN_HEADERS):
            raise PydanticCustomError("own_header", "is a header that Natter sets itself", {"at": name})
        if not isinstance(text, str):
            raise PydanticCustomError("header_value", "should be text: put it in quotes", {"at": name})
        if len(text) > _MAX_HEADER_CHARACTERS or control_characters(text):
            words = "should be one line of at most {most} characters"
            raise PydanticCustomError("header_value", words, {"most": _MAX_HEADER_CHARACTERS, "at": name})
        headers.append((name, text))
    return tuple(headers)


def _header_secrets(value: object) -> tuple[tuple[str, str], ...]:
    headers = _headers(value)
    if len(headers) > _MAX_SECRETS:
        raise PydanticCustomError("headers", "are more than {most}", {"most": _MAX_SECRETS})
    for name, variable in headers:
        if _ENVIRONMENT_NAME.fullmatch(variable) is None:
            words = "is no name of an environment variable; its value stays there"
            raise PydanticCustomError("environment_name", words, {"at": name})
    return headers


def _names_a_program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0] or any("\0" in word for word in command):
        raise PydanticCustomError("no_program", "names no program that could be run")
    return command


EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Command = Annotated[
    tuple[Annotated[str, Field(max_length=4_096)], ...],
    FromList,
    Field(min_length=1, max_length=64),
    AfterValidator(_names_a_program),
]
"""A program and its arguments."""
Headers = Annotated[tuple[tuple[str, str], ...], PlainValidator(_headers)]
HeaderSecrets = Annotated[tuple[tuple[str, str], ...], PlainValidator(_header_secrets)]
"""Header to the environment variable that holds its value."""
WebAddress = Annotated[Line, Field(max_length=2_048), AfterValidator(_web_address)]


class HttpSection(Section):
    """A webhook."""

    url: WebAddress
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    secret: EnvironmentName | None = None
    headers: Headers = ()
    header_secrets: HeaderSecrets = ()

    def executor_settings(self) -> dict[str, Any]:
        """The section as JSON; without `secret` where there is none."""
        settings: dict[str, Any] = {
            "url": self.url,
            "method": self.method,
            "headers": dict(self.headers),
            "header_secrets": dict(self.header_secrets),
        }
        return settings if self.secret is None else {**settings, "secret": self.secret}


class NatsSection(Section):
    """Whoever listens on `tool.<tool>`."""

    tool: Name | None = None


class McpSection(Section):
    """An MCP server: a program, or an address."""

    command: Command | None = None
    url: WebAddress | None = None
    env: Annotated[tuple[EnvironmentName, ...], FromList, Field(max_length=32)] = ()
    header_secrets: HeaderSecrets = ()
    tool: Annotated[Line, Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise PydanticCustomError("mcp_server", "needs either `command` or `url`, not both")
        return self

    def executor_settings(self) -> dict[str, Any]:
        """The server as JSON: its `command` or its `url`."""
        server = {"command": self.command} if self.command is not None else {"url": self.url}
        return {**server, "env": self.env, "header_secrets": dict(self.header_secrets)}


class ToolSection(Section):
    """One tool. `parameters` is a JSON schema in a file, its JSON text here."""

    name: Name
    description: Annotated[str, Field(max_length=1_024), AfterValidator(not_blank)]
    parameters: Annotated[str, PlainValidator(_schema)] = _NO_PARAMETERS
    kind: Literal["browser", "http", "nats", "mcp"]
    timeout_ms: Annotated[int, Field(ge=100, le=120_000)] = 10_000
    read_only: bool = False
    idempotent: bool = False
    survives_interruption: bool = False
    max_result_characters: Annotated[int, Field(ge=100, le=100_000)] = 4_000
    filler: Annotated[str, Field(max_length=200)] = ""
    filler_after_ms: Annotated[int, Field(ge=0, le=60_000)] = 700
    http: HttpSection | None = None
    nats: NatsSection | None = None
    mcp: McpSection | None = None

    @model_validator(mode="after")
    def _section_of_its_kind(self) -> Self:
        for kind in ("http", "nats", "mcp"):
            if getattr(self, kind) is not None and kind != self.kind:
                words = "belongs to a tool of kind {kind}, and this one is {own}"
                raise PydanticCustomError("other_kind", words, {"kind": kind, "own": self.kind, "at": kind})
        if self.kind in ("http", "mcp") and getattr(self, self.kind) is None:
            words = "says nothing of how to reach it: add a section `{kind}`"
            raise PydanticCustomError("no_section", words, {"kind": self.kind})
        return self

    def executor_settings(self) -> dict[str, Any]:
        """What the llm worker needs to offer it to the model and to run it: a JSON object."""
        settings: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "parameters": json.loads(self.parameters),
            "kind": self.kind,
            "timeout_ms": self.timeout_ms,
            "read_only": self.read_only,
            "idempotent": self.idempotent,
            "survives_interruption": self.survives_interruption,
            "max_result_characters": self.max_result_characters,
        }
        match self.kind:
            case "http" if self.http is not None:
                settings["http"] = self.http.executor_settings()
            case "nats":
                settings["nats"] = {"tool": (self.nats and self.nats.tool) or self.name}
            case "mcp" if self.mcp is not None:
                settings["mcp"] = {**self.mcp.executor_settings(), "tool": self.mcp.tool or self.name}
            case _:
                pass
        return settings


def _check_tools(tools: tuple[ToolSection, ...]) -> tuple[ToolSection, ...]:
    first: dict[str, int] = {}
    for index, tool in enumerate(tools):
        if first.setdefault(tool.name, index) != index:
            words = "is the name of tools[{first}] already"
            raise PydanticCustomError("tool_twice", words, {"first": first[tool.name], "at": f"{index}.name"})
    size = sum(len(json.dumps(tool.executor_settings(), ensure_ascii=False).encode()) for tool in tools)
    if size > MAX_TOOLS_BYTES:
        raise PydanticCustomError("tools", "are larger than {most} KiB together", {"most": MAX_TOOLS_BYTES // 1024})
    return tools


Tools = Annotated[tuple[ToolSection, ...], FromList, Field(max_length=MAX_TOOLS), AfterValidator(_check_tools)]
