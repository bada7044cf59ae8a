"""Gladia: live recognition (v2)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from natter_emulators.emulator import Context, Emulator
from natter_emulators.gladia.live import CREATED_AT, InvalidParametersError, Live, LiveOptions
from natter_emulators.outbox import Outbox
from natter_emulators.script import Fault, Part
from natter_emulators.server import Connection, Exchange, Peer, Router
from natter_emulators.telling import Message, Teller, with_outbox

__all__ = ["Gladia", "register"]

_KEPT_SESSIONS: Final = 1_000
_ERRORS: Final = {
    Fault.UNAUTHORIZED: (401, "gladia key not found: no such key, or it was revoked"),
    Fault.QUOTA: (402, "You have used up your credits: please upgrade your plan"),
    Fault.RATE_LIMITED: (429, "Maximum number of concurrent sessions reached"),
    Fault.BROKEN: (503, "Service Unavailable"),
    Fault.BAD_REQUEST: (400, "Invalid parameter(s)"),
}


@dataclass(slots=True)
class _Session:
    live: Live
    model: str
    part: Part | None
    """Of the first connection; None once that was made."""


class Gladia(Emulator):
    """Scripts go by the request's `model`. A session outlives its connections, as the SDK expects: it comes back to the
    same address and sends again what was not acknowledged. Each of its connections counts for the script.

    Attributes:
        sentences: transcripts with capitals and full stops, as the real service writes them. Off, they are the bare
            words that were spoken.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.sentences = False
        self._sessions: dict[str, _Session] = {}

    async def init(self, exchange: Exchange) -> None:
        """`POST /v2/live`: a new session."""
        if exchange.request.headers.get("x-gladia-key") != self.context.key:
            await _refuse(exchange, Fault.UNAUTHORIZED)
            return
        try:
            body: Any = exchange.request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            await _refuse(exchange, Fault.BAD_REQUEST, problems=["the body must be a JSON object"])
            return
        await self._begin(exchange, cast("dict[str, Any]", body))

    async def _begin(self, exchange: Exchange, body: Mapping[str, Any]) -> None:
        model = str(body.get("model") or "solaria-1")
        part = self.play(model)
        if part.fault.refuses:
            problems = [f"model must be one of the following values: solaria-1, not {model}"]
            await _refuse(exchange, part.fault, problems=problems, retry_after_s=part.script.retry_after_s)
            return
        session_id = str(uuid.uuid4())
        try:
            options, differ = LiveOptions.from_body(body), part.script.finals_differ_every
            live = Live(options, session_id, self.new_stream(), self.sentences, differ)
        except InvalidParametersError as error:
            await _refuse(exchange, Fault.BAD_REQUEST, problems=error.problems)
            return
        except ValueError as error:
            await _refuse(exchange, Fault.BAD_REQUEST, problems=[str(error)])
            return
        if len(self._sessions) >= _KEPT_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[session_id] = _Session(live, model, part)
        url = f"ws://{exchange.request.headers.get('host', '')}/v2/live?token={session_id}"
        await exchange.respond(201, {"id": session_id, "created_at": CREATED_AT, "url": url})

    async def live(self, connection: Connection) -> None:
        """The session's WebSocket, the first or a later one."""
        session = self._sessions.get(connection.request.query.get("token", ""))
        if session is None:
            await _refuse(connection, Fault.UNAUTHORIZED)
            return
        part, session.part = session.part or self.play(session.model), None
        if part.fault.refuses:
            await _refuse(connection, part.fault, retry_after_s=part.script.retry_after_s)
            return
        await connection.accept()
        if part.fault is Fault.HALF_OPEN:
            await connection.half_open()
            return

        async def work(outbox: Outbox) -> None:
            teller = Teller(
                connection, outbox, session.live, part, self.delays, is_final=_is_final, is_interim=_is_interim
            )
            await self._listen(connection, outbox, session, teller)

        await with_outbox(connection, work, "gladia live")

    async def _listen(self, connection: Connection, outbox: Outbox, session: _Session, teller: Teller) -> None:
        live = session.live
        teller.tell([])
        while True:
            data = await connection.receive()
            pcm = data if isinstance(data, bytes) else _audio(data)
            if pcm is None and _kind(data) == "stop_recording":
                teller.tell(live.stop(), cut_now=True)
                break
            if not pcm:
                continue
            if not live.began and live.options.wants("lifecycle_events"):
                teller.tell([live.message("start_recording")])
            acknowledgement = live.acknowledge(pcm)
            if live.options.wants("acknowledgments") and not teller.stalled:
                await connection.send_json(acknowledgement)
            teller.tell(live.feed(pcm))
        if teller.stalled:
            await connection.swallow()
            return
        await outbox.sent()
        self._sessions.pop(live.session_id, None)
        await connection.close()


def _is_final(message: Message) -> bool:
    return message["type"] == "transcript" and message["data"]["is_final"]


def _is_interim(message: Message) -> bool:
    return message["type"] == "transcript" and not message["data"]["is_final"]


def _object(data: str | bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _kind(data: str | bytes) -> object:
    return _object(data).get("type")


def _audio(data: str) -> bytes | None:
    """The audio of an `audio_chunk` in JSON; None for other messages."""
    message = _object(data)
    if message.get("type") != "audio_chunk":
        return None
    try:
        return base64.b64decode(message["data"]["chunk"])
    except (KeyError, TypeError, binascii.Error):
        return b""


async def _refuse(peer: Peer, fault: Fault, *, problems: list[str] | None = None, retry_after_s: int = 0) -> None:
    """An error of the HTTP API, also at the handshake."""
    status, message = _ERRORS[fault]
    body: dict[str, Any] = {
        "timestamp": CREATED_AT,
        "path": peer.request.path,
        "request_id": f"G-{uuid.uuid4().hex[:8]}",
        "statusCode": status,
        "message": message,
    }
    if status == _ERRORS[Fault.BAD_REQUEST][0]:
        body["validation_errors"] = problems or []
    headers = {"Retry-After": str(retry_after_s)} if fault is Fault.RATE_LIMITED else None
    await peer.refuse(status, body, headers)


def register(router: Router, context: Context) -> Gladia:
    """Add the service to the router."""
    gladia = Gladia(context)
    gladia.http(router, "POST", "/v2/live", gladia.init)
    gladia.websocket(router, "/v2/live", gladia.live)
    return gladia
