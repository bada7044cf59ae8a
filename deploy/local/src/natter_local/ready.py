"""Asks whether something is ready: a service by its `/ready`, a broker by its port."""

import asyncio
import http.client
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

READY: Final = ""
STARTING: Final = "starting"
_TIMEOUT_S: Final = 2.0
_NATS_PORT: Final = 4222

Probe = Callable[[str], Awaitable[str]]
"""Takes an address; gives `READY`, or in words what is being waited for."""


async def http_ready(url: str) -> str:
    """`/ready` of a service: 200 is ready, 503 says why not."""
    try:
        status, body = await http_get(f"{url}/ready")
    except (OSError, http.client.HTTPException):
        return STARTING
    if status == http.client.OK:
        return READY
    try:
        answer: Any = json.loads(body)
    except ValueError:
        answer = None
    detail = cast("dict[str, Any]", answer).get("detail") if isinstance(answer, dict) else None
    return detail if isinstance(detail, str) and detail else f"/ready answers {status}"


async def tcp_ready(url: str) -> str:
    """Whether one of the addresses (commas between) takes connections."""
    for one in url.split(","):
        address = urlsplit(one if "//" in one else f"//{one}")
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                _, writer = await asyncio.open_connection(address.hostname, address.port or _NATS_PORT)
        except (OSError, TimeoutError):
            continue
        writer.close()
        return READY
    return STARTING


async def http_get(url: str) -> tuple[int, bytes]:
    """Status and body of an HTTP address on this machine. Raises OSError or HTTPException."""
    return await asyncio.to_thread(_http_get, url)


def _http_get(url: str) -> tuple[int, bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=_TIMEOUT_S)
    try:
        path = address.path or "/"
        connection.request("GET", f"{path}?{address.query}" if address.query else path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
