"""SmallWebRTC signalling over HTTP: POST /start, then the offer where the official client sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from aiortc import RTCIceServer

from natter_bench.errors import CallError, NothingAnswersError, RefusedError

HTTP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Started:
    """What POST /start gave."""

    session_id: str
    ice_servers: list[RTCIceServer] = field(default_factory=list[RTCIceServer])


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an offer."""

    sdp: str
    pc_id: str


def http_client() -> httpx.AsyncClient:
    """A client without proxies: media takes no proxy either. Making one costs tens of milliseconds: share it."""
    return httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False)


class Signalling:
    """Talks to one gateway. `base_url` is where /start and /api/offer are."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    def at(self, base_url: str) -> Signalling:
        """The same with another gateway."""
        return Signalling(self._http, base_url)

    async def start(self, bot: str | None, variables: Mapping[str, Any] | None = None) -> Started:
        """POST /start. `variables` are the bot's."""
        asked = _asked(bot, variables)
        body: dict[str, Any] = {"transport": "webrtc", "enableDefaultIceServers": True, "body": asked}
        reply = await self._request("POST", "/start", body)
        session_id = reply.get("sessionId")
        if not isinstance(session_id, str):
            raise CallError(f"{self._base_url}/start answered without a sessionId: {_short(reply)}")
        return Started(session_id, _ice_servers(reply.get("iceConfig")))

    async def offer(
        self,
        sdp: str,
        *,
        session_id: str | None,
        bot: str | None,
        variables: Mapping[str, Any] | None = None,
        pc_id: str | None = None,
        restart: bool = False,
    ) -> Answer:
        """POST the offer: below the session when /start gave one, else bare."""
        path = "/api/offer" if session_id is None else f"/sessions/{session_id}/api/offer"
        body: dict[str, Any] = {"sdp": sdp, "type": "offer", "pc_id": pc_id, "restart_pc": restart}
        asked = _asked(bot, variables)
        if asked and session_id is None:
            body["requestData"] = asked
        reply = await self._request("POST", path, body)
        answer, identity = reply.get("sdp"), reply.get("pc_id")
        if not isinstance(answer, str) or not isinstance(identity, str):
            raise CallError(f"{path} answered without sdp or pc_id: {_short(reply)}")
        return Answer(answer, identity)

    async def _request(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = self._base_url + path
        try:
            response = await self._http.request(method, url, json=body)
        except httpx.ConnectError as error:
            raise NothingAnswersError(f"nothing answers at {self._base_url}: is it running? ({error})") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise CallError(f"not an address: {self._base_url} ({error})") from error
        except httpx.HTTPError as error:
            raise CallError(f"{method} {url} failed: {type(error).__name__} {error}") from error
        try:
            reply: Any = response.json()
        except ValueError:
            reply = None
        if not response.is_success:
            raise RefusedError(response.status_code, _detail(reply, response.text), _retry_after_s(response))
        if not isinstance(reply, dict):
            raise CallError(f"{method} {url} answered no JSON object: is this a Natter gateway?")
        return cast("dict[str, Any]", reply)


def _asked(bot: str | None, variables: Mapping[str, Any] | None) -> dict[str, Any]:
    """What /start and a bare offer are told of the call that is wanted."""
    asked = {"bot": bot, "variables": dict(variables) if variables else None}
    return {key: value for key, value in asked.items() if value is not None}


def _ice_servers(config: Any) -> list[RTCIceServer]:
    entries: Any = cast("dict[str, Any]", config).get("iceServers") if isinstance(config, dict) else None
    if not isinstance(entries, list):
        return []
    servers = [cast("dict[str, Any]", entry) for entry in cast("list[Any]", entries) if isinstance(entry, dict)]
    return [
        RTCIceServer(urls=server["urls"], username=server.get("username"), credential=server.get("credential"))
        for server in servers
        if "urls" in server
    ]


def _detail(reply: Any, text: str) -> str:
    if isinstance(reply, dict) and "detail" in reply:
        return str(cast("dict[str, Any]", reply)["detail"])
    return text.strip()[:200] or "no detail"


def _retry_after_s(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None


def _short(reply: object) -> str:
    return repr(reply)[:200]
