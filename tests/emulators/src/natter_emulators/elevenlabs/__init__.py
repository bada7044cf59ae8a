"""ElevenLabs: voice over the multi-context WebSocket."""

from __future__ import annotations

from typing import Final

from natter_emulators.elevenlabs.refusals import refuse, refuses
from natter_emulators.elevenlabs.socket import BadQueryError, MultiContextConnection, SocketOptions
from natter_emulators.emulator import Context, Emulator
from natter_emulators.script import Fault
from natter_emulators.server import Connection, Router

__all__ = ["ElevenLabs", "register"]

_PATH: Final = "/v1/text-to-speech/{voice}/multi-stream-input"


class ElevenLabs(Emulator):
    """Scripts go by the voice id in the path."""

    async def multi_stream_input(self, connection: Connection) -> None:
        """The WebSocket."""
        request = connection.request
        key = request.headers.get("xi-api-key")
        if key is not None and key != self.context.key:
            await refuse(connection, Fault.UNAUTHORIZED)
            return
        try:
            options = SocketOptions.from_query(request.query)
        except BadQueryError as error:
            await refuse(connection, Fault.BAD_REQUEST, message=str(error))
            return
        part = self.play(request.params.get("voice"))
        if await refuses(connection, part):
            return
        await connection.accept()
        if part.fault is Fault.HALF_OPEN:
            await connection.half_open()
            return
        await MultiContextConnection(connection, options, part, self.context, key_known=key is not None).serve()


def register(router: Router, context: Context) -> ElevenLabs:
    """Add the service to the router."""
    elevenlabs = ElevenLabs(context)
    elevenlabs.websocket(router, _PATH, elevenlabs.multi_stream_input)
    return elevenlabs
