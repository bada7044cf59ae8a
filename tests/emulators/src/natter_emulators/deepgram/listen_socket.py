"""`/v1/listen` and `/v2/listen` on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final, cast

from natter_emulators.deepgram.flux import Flux
from natter_emulators.deepgram.listen import Listen, Message
from natter_emulators.outbox import Outbox
from natter_emulators.script import Delays, Part
from natter_emulators.server import Connection
from natter_emulators.telling import Teller, with_outbox

NOTHING_CAME: Final = (
    1011,
    "NET-0001",
    "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001",
)
"""The close code, the error's name, and the close reason when a client falls silent."""


async def serve_listen(connection: Connection, listen: Listen, part: Part, delays: Delays, idle_s: float) -> None:
    """One stream of `/v1/listen`, until either side closes it."""

    async def work(outbox: Outbox) -> None:
        teller = Teller(connection, outbox, listen, part, delays, is_final=_is_final, is_interim=_is_interim)
        teller.tell([])
        while (data := await _next(connection, idle_s)) is not None:
            if data and isinstance(data, bytes):
                teller.tell(listen.feed(data))
            elif (kind := _kind(data)) == "KeepAlive":
                continue
            elif kind == "Finalize":
                teller.tell(listen.finalize(), cut_now=True)
            elif kind == "Configure":
                teller.tell([listen.configure(_object(data))])
            elif kind == "CloseStream":
                await _close(connection, outbox, teller, listen.close())
                return
            else:
                teller.tell([_schema_error(data)])
        await connection.close(NOTHING_CAME[0], NOTHING_CAME[2])

    await with_outbox(connection, work, "deepgram listen")


async def serve_flux(connection: Connection, flux: Flux, part: Part, delays: Delays, idle_s: float) -> None:
    """One stream of `/v2/listen`, until either side closes it."""

    async def work(outbox: Outbox) -> None:
        outbox.put(json.dumps(flux.connected()))
        teller = Teller(connection, outbox, flux, part, delays, is_final=_is_final, is_interim=_is_interim)
        teller.tell([])
        while (data := await _next(connection, idle_s)) is not None:
            if data and isinstance(data, bytes):
                teller.tell(flux.feed(data))
            elif (kind := _kind(data)) == "ForceEndTurn":
                teller.tell(flux.force_end_turn(), cut_now=True)
            elif kind == "Configure":
                teller.tell([flux.configure(_object(data))])
            elif kind == "CloseStream":
                await _close(connection, outbox, teller, flux.close())
                return
            else:
                error = flux.fatal("UNPARSABLE_CLIENT_MESSAGE", "The message could not be parsed.")
                await _close(connection, outbox, teller, [error], code=1008)
                return
        await _close(connection, outbox, teller, [flux.fatal(*NOTHING_CAME[1:])], code=NOTHING_CAME[0])

    await with_outbox(connection, work, "deepgram flux")


async def _next(connection: Connection, idle_s: float) -> str | bytes | None:
    """The next message; None when none came in time."""
    try:
        async with asyncio.timeout(idle_s):
            return await connection.receive()
    except TimeoutError:
        return None


async def _close(
    connection: Connection, outbox: Outbox, teller: Teller, last: Iterable[Message], *, code: int = 1000
) -> None:
    teller.tell(last, cut_now=True)
    if teller.stalled:
        await connection.swallow()
        return
    await outbox.sent()
    await connection.close(code)


def _is_final(message: Message) -> bool:
    return bool(message.get("is_final")) or message.get("event") == "EndOfTurn"


def _is_interim(message: Message) -> bool:
    if message.get("type") == "Results":
        return not message["is_final"]
    return message.get("event") in ("StartOfTurn", "Update")


def _object(data: str | bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(data)
    except ValueError:
        return {}
    return cast(dict[str, Any], parsed) if isinstance(parsed, dict) else {}


def _kind(data: str | bytes) -> object:
    """Of a control message. An empty binary message has always closed the stream."""
    return _object(data).get("type") if data else "CloseStream"


def _schema_error(data: str | bytes) -> Message:
    return {
        "type": "Error",
        "variant": "SchemaError",
        "description": "Could not deserialize last text message: it is no message of the protocol.",
        "message": data if isinstance(data, str) else "",
    }
