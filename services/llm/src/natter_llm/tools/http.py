"""Webhooks: a signed HTTP request for each call. What receivers need to know stands in docs/tools.md."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2

from natter_llm.tools.definition import BotTool, HttpMethod, HttpTool
from natter_llm.tools.execution import MAX_WORDS, ToolFailedError, ToolRequest, ToolText
from natter_llm.tools.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature

MAX_ANSWER_BYTES: Final = 512 * 1024
"""More than the longest result needs (100,000 characters) in any encoding; what comes behind it is not read."""
_MOST_REDIRECTS: Final = 3
_CONNECT_S: Final = 5.0
_KEPT_IDLE_S: Final = 4.0
"""Below the 5 s after which common servers close: a request on a connection just closed can't be repeated safely."""
_WITHOUT_BODY: Final = (HttpMethod.GET, HttpMethod.DELETE)


def open_client() -> httpx2.AsyncClient:
    """The client that all webhooks of a worker share: connections are kept, redirects are left to `HttpTools`."""
    return httpx2.AsyncClient(
        # The runner's deadline bounds the whole; only a connect is given up earlier.
        timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        limits=httpx2.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=_KEPT_IDLE_S),
        follow_redirects=False,
        headers={"User-Agent": "natter"},
    )


class HttpTools:
    """Calls webhooks. Cancelling closes the connection, by which the receiver can tell."""

    def __init__(
        self,
        client: Callable[[], httpx2.AsyncClient],
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`environment` holds the secrets that tools name; `clock` gives the seconds since 1970."""
        self._client = client
        self._environment = environment
        self._clock = clock

    def problems(self, tool: BotTool) -> list[str]:
        part = _part(tool)
        names = ([part.secret] if part.secret else []) + list(part.header_secrets.values())
        return [f"the environment variable {name} is not set" for name in names if not self._environment.get(name)]

    async def execute(self, request: ToolRequest) -> ToolText:
        missing = self.problems(request.tool)
        if missing:
            raise ToolFailedError(f"{request.tool.name} is not set up: {'; '.join(missing)}.")
        try:
            try:
                return await self._call(request)
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                # The connection ended in the middle: whether it ran is not known.
                if not request.tool.may_run_twice:
                    raise
                return await self._call(request)
        except httpx2.ConnectTimeout as error:
            raise ToolFailedError(f"The server of {request.tool.name} can't be reached.") from error
        except httpx2.ConnectError as error:
            raise ToolFailedError(f"The server of {request.tool.name} can't be reached: {error}.") from error
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as error:
            unknown = "" if request.tool.read_only else " Whether it took effect is not known."
            raise ToolFailedError(
                f"The connection to the server of {request.tool.name} broke in the middle.{unknown}"
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ToolFailedError(f"{request.tool.name} failed: {type(error).__name__}.") from error

    async def _call(self, request: ToolRequest) -> ToolText:
        part = _part(request.tool)
        url = httpx2.URL(part.url)
        body = b""
        if part.method in _WITHOUT_BODY:
            url = url.copy_merge_params(_query(request.arguments))
        else:
            body = _body(request)
        for _ in range(_MOST_REDIRECTS + 1):
            headers = self._headers(part, request, url, body)
            client = self._client()
            async with client.stream(part.method, url, content=body or None, headers=headers) as response:
                onward = response.next_request.url if response.next_request is not None else None
                if onward is None:
                    return await _read(request.tool.name, response)
            url = _same_origin(request.tool.name, url, onward, response.status_code, part.method)
        raise ToolFailedError(f"The server of {request.tool.name} redirects in circles.")

    def _headers(self, part: HttpTool, request: ToolRequest, url: httpx2.URL, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        headers = {
            **part.headers,
            **{name: self._environment[variable] for name, variable in part.header_secrets.items()},
            TIMESTAMP_HEADER: timestamp,
            "Idempotency-Key": request.key,
            "Accept": "application/json, text/plain;q=0.9, */*;q=0.1",
        }
        if body:
            headers["Content-Type"] = "application/json"
        if request.header.traceparent:
            headers["traceparent"] = request.header.traceparent
        if part.secret:
            secret = self._environment[part.secret]
            headers[SIGNATURE_HEADER] = signature(secret, timestamp, body or url.raw_path)
        return headers


def _part(tool: BotTool) -> HttpTool:
    if tool.http is None:
        raise ToolFailedError(f"{tool.name} has no address.")
    return tool.http


def _body(request: ToolRequest) -> bytes:
    said: dict[str, Any] = {
        "id": request.call_id,
        "name": request.tool.name,
        "arguments": request.arguments,
        "session": request.header.session,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _query(arguments: dict[str, Any]) -> dict[str, str]:
    """Strings as they are, everything else as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in arguments.items()
    }


def _same_origin(name: str, here: httpx2.URL, onward: httpx2.URL, status: int, method: HttpMethod) -> httpx2.URL:
    """Where to go on: only on the same server, and only where the request stays the one that was signed for."""
    if (here.scheme, here.host, here.port) != (onward.scheme, onward.host, onward.port):
        raise ToolFailedError(f"The server of {name} redirects to another one ({onward.host}), which is not followed.")
    if status not in (307, 308) and method is not HttpMethod.GET:
        raise ToolFailedError(f"The server of {name} redirects with status {status}, which drops the request.")
    return onward


async def _read(name: str, response: httpx2.Response) -> ToolText:
    pieces = bytearray()
    more = False
    async for piece in response.aiter_bytes():
        pieces += piece
        if len(pieces) > MAX_ANSWER_BYTES:
            del pieces[MAX_ANSWER_BYTES:]
            more = True
            break
    text = pieces.decode(response.encoding or "utf-8", errors="replace")
    if more:
        # The last character may be half of one.
        text = text.rstrip("�")
    if not response.is_success:
        detail = f": {text[:MAX_WORDS].strip()}" if text.strip() else ""
        raise ToolFailedError(f"The server of {name} answered with status {response.status_code}{detail}")
    return ToolText(text, more)
