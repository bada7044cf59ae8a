"""Messages from the page: parsed, bounded, typed. What can't be understood raises `BadMessageError`."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from natter_gateway.rtvi.outgoing import LABEL, PROTOCOL_VERSION

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_TEXT_CHARACTERS: Final = 8_000
_MAX_ID_CHARACTERS: Final = 64


class BadMessageError(ValueError):
    """A message that can't be served; `request_id` is None where it had none."""

    def __init__(self, words: str, request_id: str | None) -> None:
        super().__init__(words)
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Ping:
    """`ping: <ms>` each second: the client's liveness."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not for us: another label, or a signalling message that we have no use for."""


class TrackStatus(BaseModel):
    """The client switched a track: 0 is the microphone, 1 the camera, 2 the screen."""

    receiver_index: Annotated[int, Field(ge=0, le=2)]
    enabled: bool


class ClientReady(BaseModel):
    version: str = ""
    about: Any = None

    def version_problem(self) -> str | None:
        """Words for a client whose protocol is of another major version; None when it fits."""
        if self.version.split(".")[0] == PROTOCOL_VERSION.split(".")[0]:
            return None
        said = self.version[:20] or "none"
        return f"RTVI {PROTOCOL_VERSION} is spoken here and the client speaks {said}: some messages may not work"


class SendTextOptions(BaseModel):
    run_immediately: bool = True
    audio_response: bool = True


class SendText(BaseModel):
    content: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
    options: SendTextOptions = SendTextOptions()


class AppendToContext(BaseModel):
    """Deprecated by `send-text`, still sent by older pages."""

    role: Literal["user", "assistant"]
    content: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS)]
    run_immediately: bool = False


class FunctionCallResult(BaseModel):
    """What became of a tool that ran in the page."""

    function_name: Annotated[str, Field(max_length=64)]
    tool_call_id: Annotated[str, Field(max_length=64)]
    result: Any = None


PING: Final = "natter-ping"
"""Name of the client message that asks whether somebody is there."""


class ClientMessage(BaseModel):
    t: Annotated[str, Field(max_length=200)]
    d: Any = None


class DisconnectBot(BaseModel):
    pass


_KINDS: Final[dict[str, type[BaseModel]]] = {
    "client-ready": ClientReady,
    "send-text": SendText,
    "append-to-context": AppendToContext,
    "client-message": ClientMessage,
    "llm-function-call-result": FunctionCallResult,
    "disconnect-bot": DisconnectBot,
}

Request = ClientReady | SendText | AppendToContext | ClientMessage | FunctionCallResult | DisconnectBot


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """An RTVI message of the page's."""

    request_id: str
    request: Request


_SIGNALLING: Final = TypeAdapter(dict[str, Any])


def parse(text: str | bytes) -> ClientRequest | TrackStatus | Ping | Ignored:
    """Understand one data channel message."""
    size = len(text) if isinstance(text, bytes) else len(text.encode())
    if size > MAX_MESSAGE_BYTES:
        raise BadMessageError(f"message of {size} bytes: {MAX_MESSAGE_BYTES} are the most", None)
    if isinstance(text, str) and text.startswith("ping"):
        return Ping()
    try:
        parsed = _SIGNALLING.validate_python(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise BadMessageError("not a JSON object", None) from error
    if parsed.get("type") == "signalling":
        return _parse_signalling(parsed.get("message"))
    if parsed.get("label") != LABEL:
        return Ignored()
    return _parse_request(parsed)


def _parse_signalling(content: Any) -> TrackStatus | Ignored:
    if not isinstance(content, dict) or content.get("type") != "trackStatus":  # pyright: ignore[reportUnknownMemberType]
        return Ignored()
    try:
        return TrackStatus.model_validate(content)
    except ValidationError as error:
        raise BadMessageError(f"trackStatus: {_words(error)}", None) from error


def _parse_request(parsed: dict[str, Any]) -> ClientRequest:
    raw_id = parsed.get("id")
    request_id = raw_id if isinstance(raw_id, str) and len(raw_id) <= _MAX_ID_CHARACTERS else None
    kind = parsed.get("type")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise BadMessageError(f"Unsupported type {str(kind)[:80]}", request_id)
    data = parsed.get("data")
    try:
        request = model.model_validate({} if data is None else data)
    except ValidationError as error:
        raise BadMessageError(f"{kind}: {_words(error)}", request_id) from error
    return ClientRequest(request_id or "", request)  # pyright: ignore[reportArgumentType] - _KINDS holds Request's types


def _words(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'data'}: {item['msg']}" for item in error.errors(include_input=False)
    )
