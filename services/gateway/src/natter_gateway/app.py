"""The gateway's HTTP: SmallWebRTC signalling, the list of bots, transcripts, health, and the page itself."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, cast

import orjson
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import AliasChoices, BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from natter_common.http import HealthProbe, service_routes
from natter_common.link import LinkDownError
from natter_common.metrics import Metrics
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.bots.loader import UnknownBotError
from natter_gateway.bots.model import Bot
from natter_gateway.bots.variables import MAX_VARIABLES, VariableError
from natter_gateway.leases.broker import LeaseRefusedError, NoCapacityError
from natter_gateway.media.sdp import OfferError, OfferTooLargeError, validate_offer
from natter_gateway.peer import MAX_CANDIDATES, CandidateError
from natter_gateway.session import Session
from natter_gateway.sessions import NotServingError, Sessions, no_capacity
from natter_gateway.settings import GatewaySettings
from natter_gateway.transcript import turns_of

MAX_BODY_BYTES: Final = 128 * 1024
_RETRY_AFTER_S: Final = "2"
_MAX_ID_CHARACTERS: Final = 160

Id = Annotated[str, Field(max_length=_MAX_ID_CHARACTERS)]


class StartBody(BaseModel):
    """What a page may ask for; fields that are not known are ignored."""

    bot: str | None = None
    variables: Annotated[dict[str, Any], Field(max_length=MAX_VARIABLES)] = {}
    """Values for the bot's variables: text, numbers, true or false."""


class StartRequest(BaseModel):
    body: StartBody | None = None


class Offer(BaseModel):
    sdp: str
    type: str
    pc_id: Id | None = None
    restart_pc: bool = False
    request_data: StartBody | None = Field(default=None, validation_alias=AliasChoices("requestData", "request_data"))


class Candidate(BaseModel):
    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class Candidates(BaseModel):
    pc_id: Id
    candidates: Annotated[list[Candidate], Field(max_length=MAX_CANDIDATES)]


def make_app(
    settings: GatewaySettings, sessions: Sessions, catalogue: BotCatalogue, metrics: Metrics, probe: HealthProbe
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
        with_bot = _bot(catalogue, (request and request.body) or StartBody())
        async with _as_http_errors():
            await sessions.has_capacity(with_bot)
            session = sessions.reserve(with_bot)
        servers = [server.model_dump(exclude_none=True) for server in settings.ice_servers]
        return {"sessionId": session.public_id, "iceConfig": {"iceServers": servers}}

    @app.post("/api/offer")
    async def offer(request: Offer) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return await _answer(sessions, catalogue, request, None)

    @app.post("/sessions/{session_id}/api/offer")
    async def session_offer(session_id: str, request: Offer) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return await _answer(sessions, catalogue, request, session_id)

    @app.patch("/api/offer")
    @app.patch("/sessions/{session_id}/api/offer")
    async def candidates(request: Candidates) -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        session = await sessions.find(request.pc_id)
        if session is None:
            raise HTTPException(404, "no such session: it is over, or never was")
        try:
            for item in request.candidates:
                await session.add_candidate(item.candidate, item.sdp_mid, item.sdp_mline_index)
        except CandidateError as error:
            raise HTTPException(400, str(error)) from error
        return {"status": "success"}

    @app.get("/sessions/{session_id}/transcript")
    async def transcript(session_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = sessions.going_on(session_id)
        if found is None:
            raise HTTPException(404, "no such conversation: it is over, has not begun, or never was")
        session, started_at = found
        content = {
            "session": session.id,
            "bot": session.bot.id,
            "started_at": started_at.isoformat(timespec="milliseconds"),
            "turns": turns_of(session.conductor.context.entries),
        }
        return Response(orjson.dumps(content), media_type="application/json", headers={"cache-control": "no-store"})

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


async def _answer(
    sessions: Sessions, catalogue: BotCatalogue, request: Offer, session_id: str | None
) -> dict[str, str]:
    if request.type != "offer":
        raise HTTPException(400, f"an offer is expected, not {request.type[:20]!r}")
    async with _as_http_errors():
        # Before anything is leased: what can't be answered must cost the stages nothing.
        validate_offer(request.sdp)
        session = await _session_of(sessions, catalogue, request, session_id)
        # A client that wants its own session back names it; one that knows only the session's address is a new one.
        answer = await session.connect(request.sdp, new_client=request.pc_id is None)
    return {"sdp": answer, "type": "answer", "pc_id": session.public_id}


async def _session_of(sessions: Sessions, catalogue: BotCatalogue, request: Offer, session_id: str | None) -> Session:
    """The session that an offer is for: its `pc_id`'s, its URL's, or a new one."""
    for public_id in (request.pc_id, session_id):
        session = None if public_id is None else await sessions.find(public_id)
        if session is not None:
            return session
    if session_id is not None and request.pc_id is None:
        raise HTTPException(404, "no such session: start again with /start")
    return await sessions.open_new(_bot(catalogue, request.request_data or StartBody()))


def _bot(catalogue: BotCatalogue, body: StartBody) -> Bot:
    """The bot that is asked for, with its variables filled in."""
    try:
        return catalogue.get(body.bot).with_variables(body.variables)
    except UnknownBotError as error:
        raise HTTPException(404, str(error)) from error
    except VariableError as error:
        raise HTTPException(400, str(error)) from error


@asynccontextmanager
async def _as_http_errors() -> AsyncGenerator[None]:
    """Errors of a call's start as HTTP: what may pass is 503 with Retry-After, what can't is 4xx."""
    try:
        yield
    except NoCapacityError as error:
        raise _later(no_capacity(error.stage, error.problem)) from error
    except (NotServingError, LinkDownError) as error:
        raise _later(str(error)) from error
    except TimeoutError as error:
        raise _later("the connection took too long to set up") from error
    except OfferTooLargeError as error:
        raise HTTPException(413, str(error)) from error
    except (OfferError, LeaseRefusedError) as error:
        raise HTTPException(400, str(error)) from error


def _later(words: str) -> HTTPException:
    return HTTPException(503, words, headers={"Retry-After": _RETRY_AFTER_S})


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
