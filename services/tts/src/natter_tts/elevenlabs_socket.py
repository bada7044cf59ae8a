"""One WebSocket to ElevenLabs and the contexts on it."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import Final
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from natter_common.providers import Trouble
from natter_tts import elevenlabs_wire as wire
from natter_tts.faults import copy_of
from natter_tts.provider import TtsError

CONNECT_S: Final = 2.0
# What does not leave within it stands in a connection that nobody reads.
WRITE_S: Final = 1.0
# A peer that is gone without a word is noticed by pings, also between replies.
PING_INTERVAL_S: Final = 10.0
PING_TIMEOUT_S: Final = 10.0
# The vendor allows five at a time and ends the socket at the sixth. One is left free: it may see a context end later
# than we do.
MOST_CONTEXTS: Final = 4
# A context that is closed counts with the vendor until its last message; if that never comes, so long.
CLOSING_S: Final = 5.0
# Messages that nobody has taken yet: a minute of voice and more. Beyond it the context fails.
_MOST_PIECES: Final = 1_024
_MOST_UNSENT: Final = 256
_MOST_MESSAGE_BYTES: Final = 8 << 20


class _State(Enum):
    OPEN = "open"
    CLOSING = "closing"
    ENDED = "ended"


class VoiceContext:
    """One attempt's voice: segments are said into it one after the other, the next one ahead at most."""

    def __init__(self, socket: VoiceSocket, speed: float) -> None:
        self.id = uuid4().hex
        self._socket = socket
        self._state = _State.OPEN
        self._busy = False
        self._ahead = False
        self._texts = 0
        self._pieces: deque[wire.VoicePiece] = deque()
        self._changed = asyncio.Event()
        self._error: TtsError | None = None
        self.touched_s = asyncio.get_running_loop().time()
        socket.send(wire.open_message(self.id, speed))

    @property
    def usable(self) -> bool:
        """More can be said into it."""
        return self._state is _State.OPEN and self._error is None

    @property
    def closing(self) -> bool:
        """It was closed, and its last message has not come."""
        return self._state is _State.CLOSING

    @property
    def busy(self) -> bool:
        """A segment is being made."""
        return self._busy

    @property
    def has_tail(self) -> bool:
        """The voice that comes first may still be what was left of a segment before (its dying away)."""
        return self._texts > 1

    def say(self, spoken: str) -> None:
        """Ask for a segment's voice. What has come of the one before is dropped."""
        self._pieces.clear()
        self._busy = True
        self._send(spoken)

    def say_ahead(self, spoken: str) -> None:
        """Ask for the voice of the segment behind the one that is being made; once at a time."""
        self._ahead = True
        self._send(spoken)

    def begin_ahead(self) -> None:
        """The segment that was asked for ahead is the current one now."""
        self._ahead = False
        self._busy = True

    async def next(self, within_s: float) -> wire.VoicePiece | None:
        """The next piece of voice; None when the context has ended.

        Raises TimeoutError when nothing comes within ``within_s``, TtsError when the socket has failed.
        """
        async with asyncio.timeout(within_s):
            while not self._pieces:
                if self._error is not None:
                    raise copy_of(self._error)
                if self._state is _State.ENDED:
                    return None
                self._changed.clear()
                await self._changed.wait()
        return self._pieces.popleft()

    def put_back(self, piece: wire.VoicePiece) -> None:
        """Have `next` give this first: it is of the segment that was asked for ahead."""
        self._pieces.appendleft(piece)

    def rest(self) -> None:
        """The segment is whole; the context waits for the next. Its voice is kept if it was asked for ahead."""
        self._busy = False
        self.touched_s = asyncio.get_running_loop().time()

    def close(self) -> None:
        """Nothing more is to be said. Voice that was asked for still comes to whoever waits for it."""
        if self._state is _State.OPEN:
            self._state = _State.CLOSING
            self.touched_s = asyncio.get_running_loop().time()
            self._socket.send(wire.close_context_message(self.id))

    def abandon(self) -> None:
        """Nothing more is wanted."""
        self._busy = self._ahead = False
        self._pieces.clear()
        self.close()

    def doubt(self) -> None:
        """No answer came: the socket takes no more contexts and ends soon."""
        self._socket.retire()

    async def check(self, within_s: float) -> None:
        """Raise TtsError when the vendor does not even answer a ping."""
        await self._socket.check(within_s)

    def _send(self, spoken: str) -> None:
        self._texts += 1
        self.touched_s = asyncio.get_running_loop().time()
        self._socket.send(wire.say_message(self.id, spoken))

    def on_piece(self, piece: wire.VoicePiece) -> None:
        """For the socket: voice came."""
        if not (self._busy or self._ahead):
            return
        if len(self._pieces) >= _MOST_PIECES:
            self.on_error(TtsError(Trouble.UNAVAILABLE, f"{wire.VENDOR} sends more voice than can be taken."))
            return
        self._pieces.append(piece)
        self._changed.set()

    def on_end(self) -> None:
        """For the socket: the last message came, or is no longer waited for."""
        self._state = _State.ENDED
        self._changed.set()

    def on_error(self, error: TtsError) -> None:
        """For the socket: it ended."""
        self._error = error
        self._changed.set()


class VoiceSocket:
    """A connection for one voice, model and language. `run` lives as long as it does."""

    def __init__(self, connection: ClientConnection, line: wire.VoiceLine) -> None:
        self._connection = connection
        self._line = line
        self._contexts: dict[str, VoiceContext] = {}
        self._unsent: asyncio.Queue[str] = asyncio.Queue(_MOST_UNSENT)
        self._ended = False
        self._asked_to_end = False
        self.error: TtsError | None = None
        self.served = False
        self.retiring = False
        loop = asyncio.get_running_loop()
        self.opened_s = self.used_s = loop.time()

    @classmethod
    async def open(cls, base_url: str, api_key: str, line: wire.VoiceLine) -> VoiceSocket:
        """Connect. Raises TtsError."""
        try:
            connection = await connect(
                wire.socket_url(base_url, line),
                additional_headers={"xi-api-key": api_key},
                compression=None,
                open_timeout=CONNECT_S,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PING_TIMEOUT_S,
                close_timeout=1.0,
                max_size=_MOST_MESSAGE_BYTES,
            )
        except InvalidStatus as error:
            body = error.response.body
            raise wire.refusal(error.response.status_code, line, wire.detail(body or b"")) from error
        except TimeoutError as error:
            raise TtsError(Trouble.UNAVAILABLE, f"{wire.VENDOR} does not answer within {CONNECT_S:g} s.") from error
        except InvalidURI as error:
            raise TtsError(
                Trouble.BAD_SETTINGS, "ELEVENLABS_BASE_URL is no http(s) address.", retryable=False
            ) from error
        except (OSError, InvalidHandshake, ConnectionClosed, EOFError) as error:
            raise TtsError(Trouble.UNAVAILABLE, f"{wire.VENDOR} can't be reached ({type(error).__name__}).") from error
        return cls(connection, line)

    @property
    def has_room(self) -> bool:
        """Another context may be opened."""
        return not self._ended and not self.retiring and len(self._contexts) < MOST_CONTEXTS

    @property
    def empty(self) -> bool:
        """No context is on it, none closing either."""
        return not self._contexts

    @property
    def ended(self) -> bool:
        """It is gone."""
        return self._ended

    def open_context(self, speed: float) -> VoiceContext:
        """One more; `has_room` has to hold."""
        context = VoiceContext(self, speed)
        self._contexts[context.id] = context
        return context

    def retire(self) -> None:
        """Take no more contexts; whoever tends the socket ends it when the last is gone."""
        self.retiring = True

    def tend(self, now_s: float, idle_s: float) -> None:
        """Close contexts into which nothing was said for ``idle_s``; forget those whose last message never comes."""
        for context in list(self._contexts.values()):
            if context.closing and now_s - context.touched_s > CLOSING_S:
                context.on_end()
                del self._contexts[context.id]
            elif context.usable and not context.busy and now_s - context.touched_s > idle_s:
                context.close()

    async def check(self, within_s: float) -> None:
        """Raise TtsError when the other side does not answer a ping."""
        try:
            async with asyncio.timeout(within_s):
                await (await self._connection.ping())
        except (ConnectionClosed, TimeoutError) as error:
            self.retire()
            raise TtsError(Trouble.STALLED, f"{wire.VENDOR} does not answer.") from error

    def send(self, message: str) -> None:
        """Send soon. A message for a socket that has ended is dropped: its contexts know."""
        if self._ended:
            return
        self.used_s = asyncio.get_running_loop().time()
        try:
            self._unsent.put_nowait(message)
        except asyncio.QueueFull:
            self._end(TtsError(Trouble.STALLED, f"{wire.VENDOR} takes no more text."))
            self._connection.transport.abort()

    def end(self) -> None:
        """End it now."""
        if not self._asked_to_end:
            self._asked_to_end = True
            self.retiring = True
            self.send(wire.close_socket_message())

    async def run(self) -> None:
        """Read and write until either side ends it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(), name="elevenlabs-write")
                await self._read()
                writer.cancel()
        finally:
            self._end(TtsError(Trouble.CUT_OFF, f"The connection to {wire.VENDOR} was ended."))
            self._connection.transport.abort()

    async def _read(self) -> None:
        while not self._ended:
            try:
                message = wire.parse(await self._connection.recv())
            except ConnectionClosed as closed:
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
                self._end(wire.closed_error(code, reason, self._line))
                return
            except TtsError as error:
                self._end(error)
                return
            match message:
                case wire.VoicePiece():
                    self.served = True
                    if (context := self._contexts.get(message.context)) is not None:
                        context.on_piece(message)
                case wire.ContextEnded():
                    if (context := self._contexts.pop(message.context, None)) is not None:
                        context.on_end()
                case wire.Complaint():
                    self._end(wire.complaint_error(message, self._line))
                    return
                case None:
                    pass

    async def _write(self) -> None:
        while True:
            message = await self._unsent.get()
            try:
                async with asyncio.timeout(WRITE_S):
                    await self._connection.send(message)
                if self._asked_to_end and self._unsent.empty():
                    await self._connection.close()
                    return
            except ConnectionClosed:
                return
            except TimeoutError:
                self._end(TtsError(Trouble.STALLED, f"{wire.VENDOR} takes no more text."))
                self._connection.transport.abort()
                return

    def _end(self, error: TtsError) -> None:
        if self._ended:
            return
        self._ended = True
        self.error = None if self._asked_to_end else error
        for context in self._contexts.values():
            context.on_error(error)
        self._contexts.clear()
