"""The gateway's HTTP: SmallWebRTC signalling, the list of bots, transcripts, health, and the page itself."""

from typing import Any, Final, cast

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from natter_common.http import HealthProbe, service_routes
from natter_common.link import LinkDownError
from natter_common.metrics import Metrics
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.sessions import NotServingError, Sessions
from natter_gateway.settings import GatewaySettings
from natter_gateway.signalling import Candidates, Offer, Signalling, StartBody, later

MAX_BODY_BYTES: Final = 128 * 1024


class StartRequest(BaseModel):
    """Of pages that choose a bot before they connect."""

    body: StartBody | None = None


def make_app(
    settings: GatewaySettings,
    sessions: Sessions,
    catalogue: BotCatalogue,
    signalling: Signalling,
    metrics: Metrics,
    probe: HealthProbe,
) -> FastAPI:
    """Build the application; everything that it touches is handed in."""
    app = FastAPI(title="Natter", docs_url=None, redoc_url=None, routes=[*service_routes(metrics, probe)])
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PATCH", "OPTIONS"],
        allow_headers=["content-type", "authorization"],
    )
    app.add_middleware(_BodyLimit)
    app.add_exception_handler(RequestValidationError, _bad_request)

    @app.post("/start")
    async def start(request: StartRequest | None = None) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        with_bot = signalling.bot((request and request.body) or StartBody())
        try:
            await sessions.has_capacity(with_bot)
            session = await sessions.reserve(with_bot)
        except (NotServingError, LinkDownError) as error:
            raise later(str(error)) from error
        servers = [server.model_dump(exclude_none=True) for server in settings.ice_servers]
        return {"sessionId": session.public_id, "iceConfig": {"iceServers": servers}}

    @app.post("/api/offer")
    async def offer(request: Offer) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return await signalling.offer(request, None)

    @app.post("/sessions/{session_id}/api/offer")
    async def session_offer(session_id: str, request: Offer) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return await signalling.offer(request, session_id)

    @app.patch("/api/offer")
    @app.patch("/sessions/{session_id}/api/offer")
    async def candidates(request: Candidates) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return await signalling.candidates(request)

    @app.get("/sessions/{session_id}/transcript")
    async def transcript(session_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        content = orjson.dumps(await signalling.transcript(session_id))
        return Response(content, media_type="application/json", headers={"cache-control": "no-store"})

    @app.get("/api/bots")
    async def bots() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return {"bots": await catalogue.describe()}

    if settings.web_dir.is_dir():
        app.mount("/", StaticFiles(directory=settings.web_dir, html=True))
    else:

        @app.get("/")
        async def no_page() -> Response:  # pyright: ignore[reportUnusedFunction]
            return Response(f"The page is not built ({settings.web_dir} is missing): run `make web`.\n", 404)

    return app


async def _bad_request(_request: Request, error: Exception) -> Response:
    items = cast("list[dict[str, Any]]", error.errors()) if isinstance(error, RequestValidationError) else []
    words = "; ".join(f"{'.'.join(map(str, item['loc'][1:])) or 'body'}: {item['msg']}" for item in items)
    # A key in the body may hold what UTF-8 can't carry.
    return JSONResponse({"detail": words.encode(errors="replace").decode() or "bad request"}, status_code=400)


class _BodyLimit:
    """Refuses bodies over `MAX_BODY_BYTES`, whatever their length header says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = scope["method"] in ("POST", "PATCH", "PUT")
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BODY_BYTES:
                await _send_too_large(send)
                return
        whole: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def replay() -> Message:
            nonlocal whole
            message, whole = whole, None
            return message if message is not None else await receive()

        await self._app(scope, replay, send)


async def _send_too_large(send: Send) -> None:
    body = orjson.dumps({"detail": f"the body is too large: {MAX_BODY_BYTES} bytes are the most"})
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
