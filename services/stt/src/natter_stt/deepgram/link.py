"""Connections to Deepgram through its SDK: what is said over them, and what their ends mean.

Wire: https://developers.deepgram.com/reference/speech-to-text/listen-streaming (v1) and …/listen-flux (v2).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, Protocol

from deepgram.core.api_error import ApiError
from deepgram.listen.v1.types import ListenV1Error, ListenV1Results, ListenV1UtteranceEnd
from deepgram.listen.v2.types import ListenV2FatalError, ListenV2TurnInfo
from pydantic import BaseModel
from websockets.exceptions import ConnectionClosed, WebSocketException

from natter_common.providers import Trouble, refused
from natter_stt.dropping import drop
from natter_stt.exchange import Alive, Audio, Heard, Message, Signal, Silence, Step, UtteranceOver, VendorWord
from natter_stt.provider import SttError, TurnSign

VENDOR: Final = "Deepgram"
KEY_VARIABLE: Final = "DEEPGRAM_API_KEY"
# After CloseStream the vendor says goodbye and closes.
GOODBYE_S: Final = 0.4

_SIGNS: Final[Mapping[str, TurnSign]] = {
    "EagerEndOfTurn": TurnSign.EAGER_END,
    "TurnResumed": TurnSign.RESUMED,
    "EndOfTurn": TurnSign.END,
}


class ListenSocket(Protocol):
    """What both sockets of the SDK have."""

    async def send_media(self, message: bytes) -> None: ...

    async def send_close_stream(self) -> None: ...

    async def recv(self) -> Any: ...


class DeepgramLink:
    """An open connection of either version."""

    def __init__(self, socket: ListenSocket) -> None:
        self._socket = socket

    async def send(self, step: Step) -> None:
        """Send audio or a signal; raises `SttError`."""
        socket: Any = self._socket
        try:
            match step:
                case Audio():
                    await socket.send_media(step.pcm)
                case Silence(samples):
                    await socket.send_media(bytes(2 * samples))
                case Signal.FINALIZE:
                    await socket.send_finalize()
                case Signal.KEEP_ALIVE:
                    await socket.send_keep_alive()
                case Signal.END_TURN:
                    await socket.send_force_end_turn()
        except (WebSocketException, OSError) as error:
            raise _ended(error) from error

    async def receive(self) -> Message:
        """The next message; raises `SttError`."""
        try:
            message = await self._socket.recv()
        except json.JSONDecodeError as error:
            raise SttError(Trouble.MALFORMED, f"{VENDOR} says what is no JSON.") from error
        except (WebSocketException, OSError, UnicodeDecodeError) as error:
            raise _ended(error) from error
        try:
            return understand(message)
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise SttError(Trouble.MALFORMED, f"{VENDOR} says what can't be understood.") from error


def understand(message: object) -> Message:
    """A message of the SDK's in our words.

    Raises:
        SttError: it says that the service can't go on.
        AttributeError, TypeError, ValueError, IndexError: it lacks what it has to have.
    """
    match message:
        case ListenV1Results():
            return _results(message)
        case ListenV2TurnInfo():
            return _turn_info(message)
        case ListenV1UtteranceEnd():
            return UtteranceOver()
        case ListenV1Error():
            raise SttError(Trouble.UNAVAILABLE, f"{VENDOR} reports an error: {message.variant[:80]}")
        case ListenV2FatalError():
            raise SttError(Trouble.UNAVAILABLE, f"{VENDOR} reports an error: {message.code[:80]}")
        case BaseModel():
            return Alive()
        case {"type": str()}:
            return Alive()  # newer than the SDK
        case _:
            raise ValueError("no message of this protocol")


def _results(message: ListenV1Results) -> Heard:
    best = message.channel.alternatives[0]
    words = tuple(
        VendorWord(str(word.punctuated_word or word.word), float(word.start), float(word.end), float(word.confidence))
        for word in best.words
    )
    begin = float(message.start)
    return Heard(
        words,
        begin,
        begin + float(message.duration),
        final=bool(message.is_final),
        from_finalize=bool(message.from_finalize),
        language=_two_letters(best.languages),
    )


def _turn_info(message: ListenV2TurnInfo) -> Heard:
    begin, end = float(message.audio_window_start), float(message.audio_window_end)
    sign = _SIGNS.get(str(message.event), TurnSign.NONE)
    timed = all(word.start is not None and word.end is not None for word in message.words)
    count = len(message.words)
    words = tuple(
        VendorWord(str(word.word), float(word.start or 0.0), float(word.end or 0.0), float(word.confidence))
        if timed
        else VendorWord(
            str(word.word),
            begin + (end - begin) * at / count,
            begin + (end - begin) * (at + 1) / count,
            float(word.confidence),
            estimated=True,
        )
        for at, word in enumerate(message.words)
    )
    return Heard(words, begin, end, final=sign is TurnSign.END, sign=sign, language=_two_letters(message.languages))


def _two_letters(languages: list[str] | None) -> str:
    return languages[0].split("-")[0] if languages else ""


@asynccontextmanager
async def open_link(connection: AbstractAsyncContextManager[Any]) -> AsyncGenerator[DeepgramLink]:
    """Open one of the SDK's connections; entering raises `SttError`."""
    try:
        socket = await connection.__aenter__()
    except ApiError as error:
        raise _refused(error) from error
    except (WebSocketException, OSError, EOFError, TimeoutError) as error:
        raise SttError(Trouble.UNAVAILABLE, f"{VENDOR} can't be reached: {type(error).__name__}.") from error
    broken = False
    try:
        yield DeepgramLink(socket)
    except SttError:
        broken = True
        raise
    finally:
        await _leave(connection, socket, broken=broken)


async def _leave(connection: AbstractAsyncContextManager[Any], socket: Any, *, broken: bool) -> None:
    """Say goodbye, where there is somebody; then the TCP connection is dropped, as the SDK would wait 20 s for it."""
    websocket: Any = socket._websocket
    if not broken:
        with suppress(WebSocketException, OSError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await socket.send_close_stream()
                while True:
                    await websocket.recv()
    drop(websocket.transport, broken=broken)
    with suppress(WebSocketException, OSError):
        await connection.__aexit__(None, None, None)


def _refused(error: ApiError) -> SttError:
    # The SDK keeps the status only; the reason is in a header of the response that it had.
    headers: Any = getattr(error.__context__, "headers", None) or {}
    status = error.status_code or 0
    # What is said about a key may quote it.
    detail = "" if status in {401, 403} else str(headers.get("dg-error", ""))
    refusal = refused(VENDOR, status, KEY_VARIABLE, detail)
    return SttError(refusal.code, refusal.words, retryable=refusal.retryable)


def _ended(error: Exception) -> SttError:
    reason = ""
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        reason = f" ({error.rcvd.code} {error.rcvd.reason[:80]})".replace(" )", ")")
    return SttError(Trouble.CUT_OFF, f"{VENDOR} ended the connection{reason}.")
