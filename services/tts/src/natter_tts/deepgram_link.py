"""One WebSocket to Deepgram's voices, through the vendor's SDK, for one session.

As of https://developers.deepgram.com/docs/tts-websocket: Speak gives text, Flush asks for its voice, which ends with
Flushed; Clear drops what is not sent yet and is answered by Cleared.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack, suppress
from enum import Enum
from typing import Any, Final

from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from natter_common.providers import Trouble, refused
from natter_tts.faults import copy_of
from natter_tts.provider import RATE_HZ, TtsError

VENDOR: Final = "Deepgram"
KEY_VARIABLE: Final = "DEEPGRAM_API_KEY"
CONNECT_S: Final = 2.0
WRITE_S: Final = 1.0
# The vendor takes 20 flushes in 60 s on a socket and ignores more; the next socket is opened before.
MOST_FLUSHES: Final = 18
FLUSHES_WITHIN_S: Final = 60.0
# The vendor ends a socket after an hour.
MOST_AGE_S: Final = 2_700.0
_PARTING_S: Final = 0.5
_MOST_PIECES: Final = 4_096
_MOST_UNSENT: Final = 16


def client(api_key: str, base_url: str) -> AsyncDeepgramClient:
    """The SDK's client, for ``base_url`` when it is not empty."""
    if not base_url:
        return AsyncDeepgramClient(api_key=api_key)
    http = base_url.rstrip("/")
    socket = "ws" + http.removeprefix("http")
    environment = DeepgramClientEnvironment(base=http, production=socket, agent=socket, agent_rest=http)
    return AsyncDeepgramClient(api_key=api_key, environment=environment)


class _Control(Enum):
    FLUSH = "flush"
    CLEAR = "clear"


class FlushBudget:
    """Counts flushes in a window of time. Pure."""

    def __init__(self, most: int = MOST_FLUSHES, within_s: float = FLUSHES_WITHIN_S) -> None:
        self._most = most
        self._within_s = within_s
        self._at_s: deque[float] = deque(maxlen=most)

    def allows(self, now_s: float) -> bool:
        """One more is taken by the vendor."""
        return len(self._at_s) < self._most or now_s - self._at_s[0] > self._within_s

    def note(self, now_s: float) -> None:
        """One was sent."""
        self._at_s.append(now_s)


class SpeakLink:
    """A connection. `run` lives as long as it does."""

    def __init__(self, vendor: AsyncDeepgramClient, model: str, speed: float) -> None:
        self._client = vendor
        self._model = model
        self._speed = speed
        self._socket: Any = None
        self._unsent: asyncio.Queue[str | _Control] = asyncio.Queue(_MOST_UNSENT)
        self._pieces: deque[bytes | None] = deque()
        self._changed = asyncio.Event()
        self._clearing = False
        self._budget = FlushBudget()
        self._opened_s = 0.0
        self.over = asyncio.Event()
        self.settled = asyncio.Event()
        self.error: TtsError | None = None
        self.ended = False
        self.served = False

    @property
    def worn(self) -> bool:
        """Another one should be opened at a quiet moment."""
        now_s = asyncio.get_running_loop().time()
        return now_s - self._opened_s > MOST_AGE_S or not self._budget.allows(now_s)

    @property
    def clearing(self) -> bool:
        """A Clear was not answered yet."""
        return self._clearing

    def speak(self, spoken: str) -> None:
        """Ask for a segment's voice; `clearing` must not hold."""
        self._pieces.clear()
        self._budget.note(asyncio.get_running_loop().time())
        self._send(spoken)
        self._send(_Control.FLUSH)

    def clear(self) -> None:
        """Drop what was asked for; whatever comes before the answer is not wanted."""
        if not self.ended:
            self._clearing = True
            self._pieces.clear()
            self._send(_Control.CLEAR)

    async def cleared(self, within_s: float) -> bool:
        """Wait for the answer to `clear`; False when none comes in time."""
        try:
            async with asyncio.timeout(within_s):
                while self._clearing and not self.ended:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return not self.ended

    async def next(self, within_s: float) -> bytes | None:
        """The next piece of voice, None for the end of the segment. Raises TimeoutError, TtsError."""
        async with asyncio.timeout(within_s):
            while not self._pieces:
                if self.error is not None:
                    raise copy_of(self.error)
                if self.ended:
                    raise TtsError(Trouble.CUT_OFF, f"The connection to {VENDOR} was ended.")
                self._changed.clear()
                await self._changed.wait()
        return self._pieces.popleft()

    def end(self) -> None:
        """End it; nothing more is said into it."""
        self.ended = True
        self.over.set()
        self._changed.set()

    def drop(self, error: TtsError) -> None:
        """End it without a word: it does not answer."""
        self._fail(error)
        self.end()

    async def run(self) -> None:
        """Connect, then read and write until either side ends it; `error` tells what went wrong."""
        stack = AsyncExitStack()
        try:
            await self._open(stack)
            if self.error is not None:
                return
            self._opened_s = asyncio.get_running_loop().time()
            self.settled.set()
            async with asyncio.TaskGroup() as tasks:
                jobs = {
                    tasks.create_task(self._read(), name="deepgram-speak-read"),
                    tasks.create_task(self._write(), name="deepgram-speak-write"),
                    tasks.create_task(self._wait_for_end(), name="deepgram-speak-end"),
                }
                await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
                for job in jobs:
                    job.cancel()
            self.end()
            await self._part()
        finally:
            self.end()
            self.settled.set()
            self._abort()
            # Closing what is closed: the SDK minds, nobody else does.
            with suppress(ConnectionClosed, OSError):
                await stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        speed = None if self._speed == 1.0 else self._speed
        try:
            async with asyncio.timeout(CONNECT_S):
                self._socket = await stack.enter_async_context(
                    self._client.speak.v1.connect(
                        model=self._model, encoding="linear16", sample_rate=str(RATE_HZ), speed=speed
                    )
                )
        except ApiError as error:
            # The error's own text holds the request's headers, and the key in them: it must not be shown.
            what = refused(VENDOR, error.status_code or 0, KEY_VARIABLE)
            asked = f" Asked for: voice {self._model!r}." if what.code == Trouble.BAD_SETTINGS else ""
            self.error = TtsError(what.code, what.words + asked, retryable=what.retryable)
        except TimeoutError:
            self.error = TtsError(Trouble.UNAVAILABLE, f"{VENDOR} does not answer within {CONNECT_S:g} s.")
        except (OSError, InvalidHandshake, ConnectionClosed, EOFError) as error:
            self.error = TtsError(Trouble.UNAVAILABLE, f"{VENDOR} can't be reached ({type(error).__name__}).")

    async def _read(self) -> None:
        while True:
            try:
                message = await self._socket.recv()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                self._fail(TtsError(Trouble.CUT_OFF, f"{VENDOR} ended the connection ({code})."))
                return
            except ValueError:
                self._fail(TtsError(Trouble.MALFORMED, f"{VENDOR} sent a message that is none."))
                return
            if isinstance(message, bytes):
                self.served = True
                if not self._clearing:
                    self._put(message)
                continue
            match getattr(message, "type", None):
                case "Flushed":
                    if not self._clearing:
                        self._put(None)
                case "Cleared":
                    self._clearing = False
                    self._changed.set()
                case "Warning":
                    words = " ".join(str(getattr(message, "description", "")).split())[:200]
                    self._fail(TtsError(Trouble.RATE_LIMITED, f"{VENDOR} can't go on. {VENDOR} says: {words}"))
                    return
                case "Metadata":
                    pass
                case _:
                    self._fail(TtsError(Trouble.MALFORMED, f"{VENDOR} sent a message of an unknown kind."))
                    return

    async def _write(self) -> None:
        while True:
            message = await self._unsent.get()
            try:
                async with asyncio.timeout(WRITE_S):
                    if message is _Control.FLUSH:
                        await self._socket.send_flush()
                    elif message is _Control.CLEAR:
                        await self._socket.send_clear()
                    else:
                        await self._socket.send_text(SpeakV1Text(text=message))
            except ConnectionClosed:
                # Reading tells why.
                await asyncio.Event().wait()
            except TimeoutError:
                self._fail(TtsError(Trouble.STALLED, f"{VENDOR} takes no more text."))
                return

    async def _part(self) -> None:
        """Say good-bye if somebody listens."""
        if self.error is None:
            with suppress(ConnectionClosed, TimeoutError, ValueError):
                async with asyncio.timeout(_PARTING_S):
                    await self._socket.send_close()
                    while True:
                        await self._socket.recv()

    def _abort(self) -> None:
        """Let go: the SDK alone would wait for up to 40 s for an answer of one that is gone."""
        # The SDK shows no other way to it.
        connection = getattr(self._socket, "_websocket", None)
        if connection is not None:
            connection.transport.abort()

    async def _wait_for_end(self) -> None:
        await self.over.wait()

    def _send(self, message: str | _Control) -> None:
        try:
            self._unsent.put_nowait(message)
        except asyncio.QueueFull:
            self.drop(TtsError(Trouble.STALLED, f"{VENDOR} takes no more text."))

    def _put(self, piece: bytes | None) -> None:
        if len(self._pieces) >= _MOST_PIECES:
            self.drop(TtsError(Trouble.UNAVAILABLE, f"{VENDOR} sends more voice than can be taken."))
            return
        self._pieces.append(piece)
        self._changed.set()

    def _fail(self, error: TtsError) -> None:
        if self.error is None and not self.ended:
            self.error = error
        self._changed.set()
