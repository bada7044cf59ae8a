"""Deepgram: recognition (listen v1, and Flux, which is listen v2) and voice (speak v1)."""

from __future__ import annotations

import uuid
from typing import Final

from natter_emulators.deepgram.flux import Flux, FluxOptions, TurnQuiet
from natter_emulators.deepgram.listen import BadQueryError, Listen, ListenOptions
from natter_emulators.deepgram.listen_socket import serve_flux, serve_listen
from natter_emulators.deepgram.refusals import refuse, refuse_key, refuse_query
from natter_emulators.deepgram.speak import SpeakConnection, SpeakOptions
from natter_emulators.emulator import Context, Emulator
from natter_emulators.script import Fault, Part
from natter_emulators.server import Connection, Router

__all__ = ["Deepgram", "TurnQuiet", "register"]

_IDLE_S: Final = 10.0
_FLUSHES_PER_MINUTE: Final = 20


class Deepgram(Emulator):
    """Scripts go by the query's `model`.

    Attributes:
        idle_s: a listening connection that gets no message for so long is closed with NET-0001.
        turn_quiet: when Flux takes a turn for over.
        flushes_per_minute: of one speaking connection; None for no limit.
        sentences: transcripts with capitals and full stops, as the real service writes them where it was asked to
            punctuate. Off, they are the bare words that were spoken.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.idle_s = _IDLE_S
        self.turn_quiet = TurnQuiet()
        self.flushes_per_minute: int | None = _FLUSHES_PER_MINUTE
        self.sentences = False

    async def listen(self, connection: Connection) -> None:
        """`/v1/listen`."""
        if (part := await self._enter_script(connection)) is None:
            return
        request_id = str(uuid.uuid4())
        try:
            options = ListenOptions.from_query(connection.request.query)
            stream = Listen(options, request_id, self.new_stream(), self.sentences, part.script.finals_differ_every)
        except ValueError as error:
            await refuse_query(connection, request_id, str(error))
            return
        if await self._accept(connection, part, request_id):
            await serve_listen(connection, stream, part, self.delays, self.idle_s)

    async def listen_flux(self, connection: Connection) -> None:
        """`/v2/listen`."""
        if (part := await self._enter_script(connection)) is None:
            return
        request_id = str(uuid.uuid4())
        try:
            options = FluxOptions.from_query(connection.request.query)
            stream = Flux(
                options,
                request_id,
                self.turn_quiet,
                self.new_stream(),
                self.sentences,
                part.script.finals_differ_every,
            )
        except ValueError as error:
            await refuse_query(connection, request_id, str(error))
            return
        if await self._accept(connection, part, request_id):
            await serve_flux(connection, stream, part, self.delays, self.idle_s)

    async def speak(self, connection: Connection) -> None:
        """`/v1/speak`."""
        if (part := await self._enter_script(connection)) is None:
            return
        request_id = str(uuid.uuid4())
        try:
            options = SpeakOptions.from_query(connection.request.query)
        except BadQueryError as error:
            await refuse_query(connection, request_id, str(error))
            return
        if await self._accept(connection, part, request_id):
            speaking = SpeakConnection(connection, options, request_id, part, self.context, self.flushes_per_minute)
            await speaking.serve()

    async def _enter_script(self, connection: Connection) -> Part | None:
        """The connection's part, or None when it was refused."""
        scheme, _, key = connection.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or key != self.context.key:
            await refuse_key(connection, str(uuid.uuid4()))
            return None
        part = self.play(connection.request.query.get("model"))
        if part.fault.refuses:
            await refuse(connection, part, str(uuid.uuid4()))
            return None
        return part

    async def _accept(self, connection: Connection, part: Part, request_id: str) -> bool:
        """Complete the handshake; false when that was all that ever happens on this connection."""
        await connection.accept({"dg-request-id": request_id})
        if part.fault is Fault.HALF_OPEN:
            await connection.half_open()
            return False
        return True


def register(router: Router, context: Context) -> Deepgram:
    """Add the service to the router."""
    deepgram = Deepgram(context)
    deepgram.websocket(router, "/v1/listen", deepgram.listen)
    deepgram.websocket(router, "/v2/listen", deepgram.listen_flux)
    deepgram.websocket(router, "/v1/speak", deepgram.speak)
    return deepgram
