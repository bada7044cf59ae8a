"""What a bot says of one of its tools, as the llm lease carries it (key ``tools``, a list)."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Final, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from natter_llm.provider import ToolDefinition

MAX_TOOLS: Final = 64
MAX_SCHEMA_BYTES: Final = 16 * 1024
_TOKEN: Final = r"^[A-Za-z0-9_-]{1,64}$"  # noqa: S105 - a shape, no secret
_VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OWN_HEADERS: Final = ("x-natter-", "idempotency-key", "content-", "host", "transfer-encoding", "connection")

Token = Annotated[str, Field(pattern=_TOKEN)]
Variable = Annotated[str, Field(pattern=_VARIABLE)]
"""Name of an environment variable of the llm worker."""


class ToolKind(StrEnum):
    """Who runs a tool."""

    BROWSER = "browser"
    HTTP = "http"
    NATS = "nats"
    MCP = "mcp"


class HttpMethod(StrEnum):
    """How a webhook is called: GET and DELETE carry the arguments in the query, the others a JSON body."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address that begins with http:// or https://")
    return url


WebAddress = Annotated[str, Field(max_length=2048), AfterValidator(_web_address)]


def _free_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if _HEADER.fullmatch(name) is None or any(mark in value for mark in "\r\n\0"):
            raise ValueError(f"{name[:40]!r} is no header that can be sent")
        if name.lower().startswith(_OWN_HEADERS):
            raise ValueError(f"{name!r} is set by Natter itself")
    return headers


Headers = Annotated[dict[str, str], Field(max_length=32), AfterValidator(_free_headers)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class HttpTool(_Part):
    """A webhook. Secrets are named here and stand in the worker's environment."""

    url: WebAddress
    method: HttpMethod = HttpMethod.POST
    secret: Variable | None = None
    """Holds the secret that requests are signed with."""
    headers: Headers = Field(default_factory=dict[str, str])
    header_secrets: Annotated[dict[str, Variable], Field(max_length=8), AfterValidator(_free_headers)] = Field(
        default_factory=dict[str, str]
    )
    """Header to the variable that holds its value: ``{"Authorization": "CRM_TOKEN"}``."""


class NatsTool(_Part):
    """A tool that somebody serves on ``tool.<name>``."""

    tool: Token | None = None
    """Last token of the subject; None: the tool's name."""


class McpTool(_Part):
    """A tool of an MCP server: a program that the worker starts, or an address."""

    command: (
        Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(min_length=1, max_length=64)] | None
    ) = None
    url: WebAddress | None = None
    env: Annotated[tuple[Variable, ...], Field(max_length=32)] = ()
    """Variables of the worker's environment that the program gets to see."""
    header_secrets: Annotated[dict[str, Variable], Field(max_length=8), AfterValidator(_free_headers)] = Field(
        default_factory=dict[str, str]
    )
    """For an address: header to the variable that holds its value."""
    tool: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """What the server calls it; None: the tool's name."""

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either a command or a url")
        if self.command is not None and (not self.command[0] or any("\0" in word for word in self.command)):
            raise ValueError("the command names no program")
        return self


def _is_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise ValueError('must be a JSON schema with "type": "object"')
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise ValueError(f"is longer than {MAX_SCHEMA_BYTES} bytes")
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"refers to {reference[:80]!r}, and nothing outside of the schema is fetched")
    return schema


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        found: list[str] = []
        for key, value in cast("dict[str, object]", node).items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                found.append(value)
            else:
                found += _references(value)
        return found
    if isinstance(node, list):
        return [reference for item in cast("list[object]", node) for reference in _references(item)]
    return []


def _no_arguments() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class BotTool(_Part):
    """One tool of a bot. Unknown keys are tolerated: a gateway may be newer than the worker.

    Attributes:
        parameters: JSON schema (draft 2020-12) of the arguments, an object; no references to other documents.
        read_only: changes nothing, so it may start as soon as the turn is committed, and be tried again.
        idempotent: may run a second time under the same call id without harm.
        survives_interruption: goes on when the caller interrupts; else it is cancelled.
        max_result_characters: what is longer is cut, with a note.
    """

    name: Token
    description: Annotated[str, Field(max_length=1024)] = ""
    parameters: Annotated[dict[str, Any], AfterValidator(_is_json_schema)] = Field(default_factory=_no_arguments)
    kind: ToolKind
    timeout_ms: Annotated[int, Field(ge=100, le=120_000)] = 10_000
    read_only: bool = False
    idempotent: bool = False
    survives_interruption: bool = False
    max_result_characters: Annotated[int, Field(ge=100, le=100_000)] = 4_000
    http: HttpTool | None = None
    nats: NatsTool = NatsTool()
    mcp: McpTool | None = None

    @model_validator(mode="after")
    def _has_its_part(self) -> Self:
        if self.kind is ToolKind.HTTP and self.http is None:
            raise ValueError(f"tool {self.name} is of kind http and needs http.url")
        if self.kind is ToolKind.MCP and self.mcp is None:
            raise ValueError(f"tool {self.name} is of kind mcp and needs mcp.command or mcp.url")
        return self

    @property
    def may_run_twice(self) -> bool:
        """A second run does no harm."""
        return self.read_only or self.idempotent

    def for_model(self) -> ToolDefinition:
        """What the language model is told of it."""
        return ToolDefinition(self.name, self.description, json.dumps(self.parameters, ensure_ascii=False))


def _names_differ(tools: tuple[BotTool, ...]) -> tuple[BotTool, ...]:
    names = [tool.name for tool in tools]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two tools are called {twice[0]}")
    return tools


BotTools = Annotated[tuple[BotTool, ...], Field(max_length=MAX_TOOLS), AfterValidator(_names_differ)]
"""Field type for a list of tools with different names."""
