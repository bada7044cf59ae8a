"""Sessions at Gladia through its SDK: a session is made over HTTP, which gives the address of its WebSocket.

Wire: https://docs.gladia.io/api-reference/v2/live/init and the message pages beside it. The SDK's own reconnecting is
turned off: it would keep what was not acknowledged to itself, without bound, while the session needs to know.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from gladiaio_sdk.network.http_client import HttpError
from gladiaio_sdk.v2.live.generated_types import (
    LiveV2AudioChunkAckMessage,
    LiveV2SpeechEndMessage,
    LiveV2SpeechStartMessage,
    LiveV2TranscriptMessage,
)

from natter_common.providers import Trouble, refused
from natter_stt.dropping import drop
from natter_stt.exchange import Alive, Audio, Heard, Message, Received, Signal, Silence, SpeechNoticed, Step, VendorWord
from natter_stt.provider import SttError

if TYPE_CHECKING:
    from gladiaio_sdk.v2.live.async_client import LiveV2AsyncClient
    from gladiaio_sdk.v2.live.async_session import LiveV2AsyncSession
    from gladiaio_sdk.v2.live.generated_types import LiveV2InitRequest

VENDOR: Final = "Gladia"
KEY_VARIABLE: Final = "GLADIA_API_KEY"
GOODBYE_S: Final = 0.4
# Messages come a few a second and are taken at once. Over this nobody takes them any more: the connection is given up.
MOST_WAITING: Final = 1_024
# Of a refused handshake the SDK passes on the words only.
_STATUS: Final = re.compile(r"\bHTTP (\d{3})\b")


class GladiaLink:
    """An open session. The SDK calls back; what it says is queued for `receive`."""

    def __init__(self, session: LiveV2AsyncSession) -> None:
        self.session = session
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._queue: asyncio.Queue[object] = asyncio.Queue(MOST_WAITING)
        self._trouble: SttError | None = None
        # The SDK reports a failed start a second time, to nobody: its task then fails with what is known already.
        starting: asyncio.Task[None] | None = getattr(session, "_start_session_task", None)
        if starting is not None:
            starting.add_done_callback(_looked_at)
        session.on("connected", self._on_connected)
        session.on("message", self._on_message)
        session.on("error", self._on_error)
        session.on("ended", self._on_ended)

    async def send(self, step: Step) -> None:
        """Send audio; raises `SttError`."""
        if self._trouble is not None:
            raise self._trouble
        match step:
            case Audio():
                self.session.send_audio(step.pcm)
            case Silence(samples):
                self.session.send_audio(bytes(2 * samples))
            case Signal():
                raise ValueError(f"Gladia can't be told to {step.value}")
        # The SDK writes in a task of its own: let it.
        await asyncio.sleep(0)

    async def receive(self) -> Message:
        """The next message; raises `SttError`."""
        message = await self._queue.get()
        if isinstance(message, SttError):
            raise message
        try:
            return understand(message)
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise SttError(Trouble.MALFORMED, f"{VENDOR} says what can't be understood.") from error

    def _on_connected(self, _message: object) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def _on_message(self, message: object) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._fail(SttError(Trouble.STALLED, f"{VENDOR}'s messages are not taken."))

    def _on_error(self, error: Exception) -> None:
        self._fail(_trouble(error, opened=self.opened.done()))

    def _on_ended(self, message: Any) -> None:
        self.ended.set()
        reason = f" ({message.code} {str(message.reason or '')[:80]})".replace(" )", ")")
        code = Trouble.CUT_OFF if self.opened.done() else Trouble.UNAVAILABLE
        self._fail(SttError(code, f"{VENDOR} ended the connection{reason}."))

    def _fail(self, error: SttError) -> None:
        if self._trouble is not None:
            return
        self._trouble = error
        if not self.opened.done():
            self.opened.set_exception(error)
        while self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(error)


def _looked_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def understand(message: object) -> Message:
    """A message of the SDK's in our words; raises what Python raises for what is missing in it."""
    match message:
        case LiveV2TranscriptMessage():
            utterance = message.data.utterance
            words = tuple(
                VendorWord(word.word.strip(), float(word.start), float(word.end), float(word.confidence))
                for word in utterance.words
                if word.word.strip()
            )
            language = str(utterance.language or "")
            return Heard(
                words, float(utterance.start), float(utterance.end), bool(message.data.is_final), language=language
            )
        case LiveV2AudioChunkAckMessage():
            return Alive() if message.data is None else Received(float(message.data.time_range[1]))
        case LiveV2SpeechStartMessage():
            return SpeechNoticed(True)
        case LiveV2SpeechEndMessage():
            return SpeechNoticed(False)
        case _:
            return Alive()


@asynccontextmanager
async def open_link(client: LiveV2AsyncClient, request: LiveV2InitRequest) -> AsyncGenerator[GladiaLink]:
    """Make a session and connect to it; entering raises `SttError`."""
    link = GladiaLink(client.start_session(request))
    try:
        await link.opened
    except BaseException:
        _abort(link, broken=True)
        raise
    broken = False
    try:
        yield link
    except SttError:
        broken = True
        raise
    finally:
        if not broken:
            await _say_goodbye(link)
        _abort(link, broken=broken)


async def _say_goodbye(link: GladiaLink) -> None:
    """A session that is not stopped stays open at the vendor, and is paid for."""
    link.session.stop_recording()
    with suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await link.ended.wait()


def _abort(link: GladiaLink, *, broken: bool) -> None:
    """Drop the TCP connection: the SDK would wait 10 s, in a task that nobody holds, for the other side to close."""
    if link.opened.done() and not link.opened.cancelled():
        link.opened.exception()  # looked at, or it is complained about
    socket: Any = getattr(link.session, "_ws", None)
    connection: Any = getattr(socket, "_ws", None)
    if connection is not None:
        drop(connection.transport, broken=broken)
    link.session.end_session()


def _refused(status: int, detail: str) -> SttError:
    # What is said about a key may quote it.
    refusal = refused(VENDOR, status, KEY_VARIABLE, "" if status in {401, 403} else detail)
    return SttError(refusal.code, refusal.words, retryable=refusal.retryable)


def _trouble(error: Exception, *, opened: bool) -> SttError:
    if isinstance(error, HttpError):
        body: Any = error.response_body
        detail = str(body.get("message", "")) if hasattr(body, "get") else ""
        return _refused(error.status, detail)
    status = _STATUS.search(str(error))
    if status is not None and not opened:
        return _refused(int(status[1]), "")
    if opened:
        # The SDK has read a message that it can't parse.
        return SttError(Trouble.MALFORMED, f"{VENDOR} says what can't be understood.")
    return SttError(Trouble.UNAVAILABLE, f"{VENDOR} can't be reached: {type(error).__name__}.")
