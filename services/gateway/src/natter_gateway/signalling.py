"""What pages ask for: offers, candidates, transcripts; answered here, or by the gateway that holds the session.

Any gateway takes any of it. Where the owner of a session is gone, the one that was asked takes the session over.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import HTTPException
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from natter_common.link import LinkDownError
from natter_gateway.bots.catalogue import BotCatalogue
from natter_gateway.bots.loader import UnknownBotError
from natter_gateway.bots.model import Bot
from natter_gateway.bots.variables import MAX_VARIABLES, VariableError
from natter_gateway.elsewhere import Asked, Elsewhere, OwnerSilentError
from natter_gateway.leases.broker import LeaseRefusedError, NoCapacityError
from natter_gateway.media.sdp import OfferError, OfferTooLargeError, validate_offer
from natter_gateway.peer import MAX_CANDIDATES, CandidateError
from natter_gateway.session import Session
from natter_gateway.sessions import NotServingError, Sessions, no_capacity
from natter_gateway.transcript import turns_of
from natter_proto import AskSignal, AskSignalAnswer

RETRY_AFTER_S: Final = "2"
_MAX_ID_CHARACTERS: Final = 160
_SETTLE_S: Final = 1.0

Id = Annotated[str, Field(max_length=_MAX_ID_CHARACTERS)]


class StartBody(BaseModel):
    """What a page may ask for; fields that are not known are ignored."""

    bot: str | None = None
    variables: Annotated[dict[str, Any], Field(max_length=MAX_VARIABLES)] = {}
    """Values for the bot's variables: text, numbers, true or false."""


class Offer(BaseModel):
    """A page's side of a connection."""

    sdp: str
    type: str
    pc_id: Id | None = None
    restart_pc: bool = False
    request_data: StartBody | None = Field(default=None, validation_alias=AliasChoices("requestData", "request_data"))


class Candidate(BaseModel):
    """An address at which a page may be reached."""

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class Candidates(BaseModel):
    """More of them, as they are found."""

    pc_id: Id
    candidates: Annotated[list[Candidate], Field(max_length=MAX_CANDIDATES)]


class Signalling:
    """Raises `HTTPException`: what may pass is 503 with Retry-After, what can't is 4xx."""

    def __init__(self, sessions: Sessions, catalogue: BotCatalogue, elsewhere: Elsewhere) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._elsewhere = elsewhere

    async def offer(self, request: Offer, session_id: str | None) -> dict[str, Any]:
        """Answer an offer: of the session of its `pc_id`, of its URL, or of a new one."""
        if request.type != "offer":
            raise HTTPException(400, f"an offer is expected, not {request.type[:20]!r}")
        try:
            self._sessions.check_leaving()
            # Before anything is leased: what can't be answered must cost the stages nothing.
            validate_offer(request.sdp)
            for public_id in (request.pc_id, session_id):
                if public_id is None:
                    continue
                if (session := await self._sessions.find(public_id)) is not None:
                    return await _connect(session, request)
                if (answer := await self._offer_elsewhere(public_id, request)) is not None:
                    return answer
            if session_id is not None and request.pc_id is None:
                raise HTTPException(404, "no such session: start again with /start")
            return await _connect(await self._sessions.open_new(self.bot(request.request_data or StartBody())), request)
        except _EXPECTED as error:
            raise _as_http(error) from error

    async def _offer_elsewhere(self, public_id: str, request: Offer) -> dict[str, Any] | None:
        """The owner's answer, or this gateway's once it has taken the session over; None: there is no such session."""
        try:
            answer = await self._ask(public_id, Asked.OFFER, request)
        except OwnerSilentError:
            session = await self._sessions.resume(public_id, self._bot_again)
            if session is None:
                # Nothing was kept that anybody else could go on with: the owner may come back.
                raise
        else:
            if answer is not None:
                return answer
            session = await self._sessions.resume(public_id, self._bot_again)
        return None if session is None else await _connect(session, request)

    async def candidates(self, request: Candidates) -> dict[str, Any]:
        """Take in a page's addresses."""
        try:
            session = await self._sessions.find(request.pc_id)
            if session is not None:
                return await _add_candidates(session, request)
            answer = await self._ask(request.pc_id, Asked.CANDIDATES, request)
        except _EXPECTED as error:
            raise _as_http(error) from error
        if answer is None:
            raise HTTPException(404, "no such session: it is over, or never was")
        return answer

    async def transcript(self, public_id: str) -> dict[str, Any]:
        """What was said in a conversation that goes on."""
        if self._sessions.going_on(public_id) is not None:
            return self._transcript(public_id)
        try:
            answer = await self._ask(public_id, Asked.TRANSCRIPT, None)
        except _EXPECTED as error:
            raise _as_http(error) from error
        if answer is None:
            raise HTTPException(404, _NO_CONVERSATION)
        return answer

    async def answer(self, session: Session, ask: AskSignal) -> AskSignalAnswer:
        """Answer what another gateway was asked about a session that is held here.

        Without a status: whoever asks may take the session over, for this gateway leaves.
        """
        try:
            if ask.method == Asked.OFFER and await self._gives_up(session):
                return AskSignalAnswer()
            status, content = 200, await self._answer(session, ask)
        except (HTTPException, *_EXPECTED) as error:
            failed = error if isinstance(error, HTTPException) else _as_http(error)
            status, content = failed.status_code, {"detail": failed.detail}
        return AskSignalAnswer(status=status, body=orjson.dumps(content).decode())

    async def _gives_up(self, session: Session) -> bool:
        """Whether the session is for whoever asks; if not it is open now, though it may have been reserved only."""
        if await self._sessions.find(session.public_id) is None:
            raise HTTPException(404, "no such session: it is over")
        if self._sessions.draining:
            # What is not kept by then is lost to whoever takes it over.
            await session.keeping.settle(_SETTLE_S)
        return self._sessions.draining

    def bot(self, body: StartBody) -> Bot:
        """The bot that is asked for, with its variables filled in."""
        try:
            return self._catalogue.get(body.bot).with_variables(body.variables)
        except UnknownBotError as error:
            raise HTTPException(404, str(error)) from error
        except VariableError as error:
            raise HTTPException(400, str(error)) from error

    def _bot_again(self, bot: str, variables: Mapping[str, str]) -> Bot:
        return self.bot(StartBody(bot=bot, variables=dict(variables)))

    async def _answer(self, session: Session, ask: AskSignal) -> dict[str, Any]:
        try:
            match ask.method:
                case Asked.OFFER:
                    return await _connect(session, Offer.model_validate_json(ask.body))
                case Asked.CANDIDATES:
                    return await _add_candidates(session, Candidates.model_validate_json(ask.body))
                case Asked.TRANSCRIPT:
                    return self._transcript(session.public_id)
                case _:
                    raise HTTPException(501, "this gateway is of an older version")
        except ValidationError as error:
            raise HTTPException(400, "bad request") from error

    async def _ask(self, public_id: str, method: Asked, request: BaseModel | None) -> dict[str, Any] | None:
        """The owner's answer; None where nobody holds the session."""
        body = "" if request is None else request.model_dump_json(by_alias=False)
        answer = await self._elsewhere.ask(public_id, method, body)
        if answer is None or answer.status == 404:
            return None
        try:
            content: dict[str, Any] = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise NotServingError("the gateway that has the call gave no answer") from error
        if answer.status != 200:
            headers = {"Retry-After": RETRY_AFTER_S} if answer.status == 503 else None
            raise HTTPException(answer.status, str(content.get("detail", "")), headers=headers)
        return content

    def _transcript(self, public_id: str) -> dict[str, Any]:
        found = self._sessions.going_on(public_id)
        if found is None:
            raise HTTPException(404, _NO_CONVERSATION)
        session, started_at = found
        return {
            "session": session.id,
            "bot": session.bot.id,
            "started_at": started_at.isoformat(timespec="milliseconds"),
            "turns": turns_of(session.conductor.context.entries),
        }


_NO_CONVERSATION: Final = "no such conversation: it is over, has not begun, or never was"
_EXPECTED: Final = (
    NoCapacityError,
    NotServingError,
    OwnerSilentError,
    LinkDownError,
    TimeoutError,
    OfferTooLargeError,
    OfferError,
    LeaseRefusedError,
    CandidateError,
)


async def _connect(session: Session, request: Offer) -> dict[str, Any]:
    # A client that wants its own session back names it; one that knows only the session's address is a new one.
    answer = await session.connect(request.sdp, new_client=request.pc_id is None)
    return {"sdp": answer, "type": "answer", "pc_id": session.public_id}


async def _add_candidates(session: Session, request: Candidates) -> dict[str, Any]:
    for item in request.candidates:
        await session.add_candidate(item.candidate, item.sdp_mid, item.sdp_mline_index)
    return {"status": "success"}


def _as_http(error: Exception) -> HTTPException:
    match error:
        case NoCapacityError():
            return later(no_capacity(error.stage, error.problem))
        case NotServingError() | LinkDownError():
            return later(str(error))
        case OwnerSilentError():
            return later("the gateway that has the call does not answer")
        case TimeoutError():
            return later("the connection took too long to set up")
        case OfferTooLargeError():
            return HTTPException(413, str(error))
        case _:
            return HTTPException(400, str(error))


def later(words: str) -> HTTPException:
    """What may pass: clients come back."""
    return HTTPException(503, words, headers={"Retry-After": RETRY_AFTER_S})
